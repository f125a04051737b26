"""The commands of this plugin: each `@command` adds one when its module is imported."""

import inspect
import typing
from dataclasses import dataclass, is_dataclass
from typing import Any, Callable, TypeVar

from . import pattern, shape
from .context import Context
from .verdict import Verdict

Function = TypeVar("Function", bound=Callable[..., Any])
Effect = str | list[dict[str, str]]

_CLASSES = ("read", "idempotent", "verify", "never")


@dataclass(frozen=True)
class Command:
    """A command that is served."""

    name: str
    summary: str
    effect: Effect
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    run: Callable[[dict[str, Any], Context], Any]
    verify: Callable[[dict[str, Any], Context], Verdict] | None


COMMANDS: dict[str, Command] = {}


def command(
    name: str,
    *,
    effect: Effect = "never",
    summary: str | None = None,
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    verify: Callable[..., Verdict] | None = None,
) -> Callable[[Function], Function]:
    """Makes a function a command. Each of its parameters is a field of the inputs, unless its only one is a dataclass: that is all of
    them. A parameter of the type `Context` gets the context. With a schema in `inputs`, the function takes the inputs as a dict.

    `{place}` between the dots of the name takes one segment, `{place+}` at the end one or more. Without an effect, a call is never
    repeated; `verify` takes the same parameters, and tells whether an earlier attempt of the call took effect.
    """
    wrong = pattern.fault(name) or _effect_fault(effect, verify) or ("it is there already" if name in COMMANDS else None)
    if wrong:
        raise ValueError(f'command "{name}": {wrong}')

    def add(function: Function) -> Function:
        call = _Call(function, is_dict=inputs is not None)
        COMMANDS[name] = Command(
            name,
            summary if summary is not None else _sentence(function),
            effect,
            inputs if inputs is not None else call.schema(),
            outputs if outputs is not None else shape.schema(call.hints.get("return", Any)),
            call,
            _Call(verify, is_dict=inputs is not None) if verify else None,
        )
        return function

    return add


def describe(plugin: Any) -> dict[str, Any]:
    """What the agent learns when it loads the plugin: `plugin` has a name, a version and the schema of its settings."""
    told = []
    for it in COMMANDS.values():
        key = "pattern" if pattern.is_pattern(it.name) else "name"
        entry = {key: it.name, "summary": it.summary, "effect": it.effect, "inputs": it.inputs, "outputs": it.outputs}
        told.append(entry)
    config = {"config": plugin.config} if plugin.config else {}
    return {"name": plugin.name, "version": plugin.version, "commands": told, **config}


def find(name: str) -> tuple[Command, dict[str, str]] | None:
    """The command that serves `name`, and what its places took."""
    if name in COMMANDS and not pattern.is_pattern(name):
        return COMMANDS[name], {}
    patterns = [it for it in COMMANDS.values() if pattern.is_pattern(it.name)]
    for it in sorted(patterns, key=lambda it: -pattern.words(it.name)):
        taken = pattern.captures(it.name, name)
        if taken is not None:
            return it, taken
    return None


class _Call:
    """A function, called with inputs and a context as its parameters want them."""

    def __init__(self, function: Callable[..., Any], is_dict: bool) -> None:
        self.function = function
        self.hints = typing.get_type_hints(function)
        parameters = inspect.signature(function).parameters.values()
        self.contexts = [it.name for it in parameters if self.hints.get(it.name) is Context]
        rest = [it for it in parameters if it.name not in self.contexts]
        self.fields = [(it.name, self.hints.get(it.name, Any), it.default is it.empty) for it in rest]
        kind = self.fields[0][1] if len(self.fields) == 1 else None
        self.whole = dict if is_dict else kind if is_dataclass(kind) else None
        if is_dict and len(rest) != 1:
            raise ValueError(f"with a schema in `inputs`, `{function.__name__}` takes the inputs as its one dict")

    def schema(self) -> dict[str, Any]:
        return shape.schema(self.whole) if self.whole else shape.record(self.fields)

    def __call__(self, inputs: dict[str, Any], context: Context) -> Any:
        contexts = {name: context for name in self.contexts}
        if self.whole:
            return self.function(**{self.fields[0][0]: shape.read(self.whole, inputs)}, **contexts)
        return self.function(**shape.read_record(self.fields, inputs), **contexts)


def _sentence(function: Callable[..., Any]) -> str:
    """The first paragraph of a docstring, on one line and without its full stop."""
    paragraph = (inspect.getdoc(function) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).removesuffix(".")


def _effect_fault(effect: Effect, verify: Callable[..., Verdict] | None) -> str | None:
    rules = [{"effect": effect}] if isinstance(effect, str) else effect
    if not rules or any(rule.get("effect") not in _CLASSES or set(rule) - {"when", "effect"} for rule in rules):
        return 'an effect is one of "read", "idempotent", "verify", "never"'
    if any(("when" in rule) == (index == len(rules) - 1) for index, rule in enumerate(rules)):
        return "each rule of `effect` but the last has `when`; the last catches every other call"
    verifies = any(rule["effect"] == "verify" for rule in rules)
    if verifies and not verify:
        return 'the effect "verify" needs `verify`, a function that tells whether a call took effect'
    if verify and not verifies:
        return '`verify` is only asked for the effect "verify"'
    return None
