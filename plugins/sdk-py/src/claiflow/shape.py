"""Types of Python as JSON Schemas, and JSON values as those types."""

import dataclasses
import enum
import types
import typing
from typing import Any, Callable

_PLAIN: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Misfit(ValueError):
    """A value that is not of its type, with its place."""


def schema(kind: Any) -> dict[str, Any]:
    """The schema of a type; anything may stand where the type says nothing."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in (Any, object):
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema(argument) for argument in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is typing.Annotated:
        return schema(arguments[0])
    if kind is list or origin is list:
        return {"type": "array", **({"items": schema(arguments[0])} if arguments else {})}
    if kind is dict or origin is dict:
        return {"type": "object", **({"additionalProperties": schema(arguments[1])} if arguments else {})}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return record([(field.name, hints[field.name], _is_required(field)) for field in dataclasses.fields(kind)])
    raise TypeError(f"{kind!r} has no JSON Schema; give the command `inputs=` or `outputs=`")


def record(fields: list[tuple[str, Any, bool]]) -> dict[str, Any]:
    """The schema of an object: of each field name, type, and whether it must be there."""
    required = [name for name, _, must in fields if must]
    properties = {name: schema(kind) for name, kind, _ in fields}
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def read(kind: Any, value: Any, place: str = "") -> Any:
    """A JSON value as the type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    wrong = lambda what: Misfit(f"{place or 'the inputs'}: {what}")  # noqa: E731
    if kind in (Any, object):
        return value
    if kind in _PLAIN:
        if not _is_plain(kind, value):
            raise wrong(f"is not of type {_PLAIN[kind]}")
        return float(value) if kind is float else int(value) if kind is int else value
    if origin in (typing.Union, types.UnionType):
        return _first(arguments, value, place, wrong)
    if origin is typing.Literal:
        if value not in arguments:
            raise wrong(f"is none of {list(arguments)}")
        return value
    if origin is typing.Annotated:
        return read(arguments[0], value, place)
    if kind is list or origin is list:
        if not isinstance(value, list):
            raise wrong("is not of type array")
        return [read(arguments[0], item, f"{place}/{index}") for index, item in enumerate(value)] if arguments else value
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        if value not in [member.value for member in kind]:
            raise wrong(f"is none of {[member.value for member in kind]}")
        return kind(value)
    if not isinstance(value, dict):
        raise wrong("is not of type object")
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = [(field.name, hints[field.name], _is_required(field)) for field in dataclasses.fields(kind)]
        return kind(**read_record(fields, value, place))
    return {name: read(arguments[1], item, f"{place}/{name}") for name, item in value.items()} if arguments else value


def read_record(fields: list[tuple[str, Any, bool]], value: dict[str, Any], place: str = "") -> dict[str, Any]:
    """The fields of an object that are there; others are left alone."""
    for name, _, must in fields:
        if must and name not in value:
            raise Misfit(f'{place or "the inputs"}: "{name}" is a required property')
    return {name: read(kind, value[name], f"{place}/{name}") for name, kind, _ in fields if name in value}


def written(value: Any) -> Any:
    """What `json` cannot write by itself."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


def _first(kinds: tuple[Any, ...], value: Any, place: str, wrong: Callable[[str], Misfit]) -> Any:
    faults = []
    for kind in kinds:
        try:
            return read(kind, value, place)
        except Misfit as fault:
            faults.append(str(fault))
    raise wrong("; or ".join(faults))


def _is_plain(kind: Any, value: Any) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, (int, float)) if kind is float else isinstance(value, kind)


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
