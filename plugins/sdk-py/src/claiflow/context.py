"""What a call knows of its task."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Context:
    """Of which task, step and attempt a call is, and what the operator and earlier attempts left for it."""

    command: str = ""
    """The name that the template used."""
    task: str = ""
    """The task's UUID, 32 hexadecimal digits."""
    step: str = ""
    """The step's path in the flow, such as `2/r[17]/p`."""
    attempt: int = 0
    """1 for the first."""
    effect_key: str = ""
    """The same for all attempts of one call, and for no other call."""
    deadline: str = ""
    """When the call ends at the latest: RFC 3339, UTC."""
    captures: dict[str, str] = field(default_factory=dict)
    """What the places of a pattern took, by name."""
    traceparent: str = ""
    """W3C trace context, to be sent on; empty without one."""
    notes: list[Any] = field(default_factory=list)
    """What earlier attempts left with `task.note`, in their order."""
    config: dict[str, Any] = field(default_factory=dict)
    """What the operator set for this plugin in the grants file."""

    @classmethod
    def parse(cls, command: str, text: str, taken: dict[str, str]) -> "Context":
        """Keys that nobody knows here are left alone: the contract lets this object grow."""
        said = {name.replace("-", "_"): value for name, value in json.loads(text).items() if value is not None}
        context = cls(**{name: value for name, value in said.items() if name in cls.__dataclass_fields__})
        context.command = command
        context.captures = {**context.captures, **taken}
        return context
