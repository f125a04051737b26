"""The component's side: the export `handler`, made of the commands. `build-plugin` calls it; authors do not."""

import json
import traceback
from dataclasses import dataclass
from typing import Any

# Modules that are not loaded when the component is made are not in it.
from . import commands, http, kubernetes, log, outside, wasi  # noqa: F401
from .context import Context
from .error import PluginError
from .shape import Misfit, written
from .verdict import contract

__all__ = ["Plugin", "attach", "describe", "run", "verify"]

Answer = tuple[str, PluginError | None]


@dataclass(frozen=True)
class Plugin:
    """What the manifest says of the plugin."""

    name: str
    version: str
    config: dict[str, Any] | None = None


def attach(interfaces: dict[str, Any], failure: type[BaseException]) -> None:
    """What the component imports, by the names of the interfaces; they fail with `failure`."""
    if "outgoing_handler" in interfaces:
        sender = wasi.Sender(*(interfaces[name] for name in ("outgoing_handler", "wasi_http_types", "streams")))
        interfaces = {**interfaces, "http": sender}
    outside.attach(interfaces, failure)


def describe(plugin: Plugin) -> str:
    """What the agent learns when it loads the plugin."""
    return json.dumps(commands.describe(plugin), ensure_ascii=False)


def run(command: str, inputs: str, context: str) -> Answer:
    """Does it; answers its result's JSON text, or why it failed."""
    return _answer(command, inputs, context, lambda found, *call: found.run(*call))


def verify(command: str, inputs: str, context: str) -> Answer:
    """Asks whether an earlier attempt took effect; answers the verdict's JSON text."""

    def ask(found: commands.Command, *call: Any) -> Any:
        if not found.verify:
            return {"verdict": "unknown", "why": "this command cannot tell"}
        return contract(found.verify(*call))

    return _answer(command, inputs, context, ask)


def _answer(command: str, inputs: str, context: str, ask: Any) -> Answer:
    try:
        found = commands.find(command)
        if not found:
            raise PluginError("not-found", f"this plugin has no command `{command}`")
        served, taken = found
        try:
            output = ask(served, json.loads(inputs), Context.parse(command, context, taken))
        except Misfit as fault:
            raise PluginError("invalid", f"the inputs do not fit: {fault}") from None
        return _text(output), None
    except PluginError as error:
        return "", error
    except Exception as error:
        # A mistake in the code is found by its place, which the task's log then has.
        log.error(f"raised: {type(error).__name__}: {error}", traceback="".join(traceback.format_tb(error.__traceback__)))
        return "", PluginError("failed", str(error) or f"{type(error).__name__} without a message")


def _text(output: Any) -> str:
    try:
        return json.dumps(output, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=written)
    except (TypeError, ValueError) as error:
        raise PluginError("failed", f"the result is not JSON: {error}") from None
