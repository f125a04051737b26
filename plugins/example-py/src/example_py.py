"""The commands of the first templates, and one that shows the running task."""

import math
from dataclasses import dataclass
from typing import Any

from claiflow import Context, PluginError, command, log, task


@command("helloworld", effect="read")
def helloworld(name: str) -> str:
    """Greets."""
    return f"hello {name}"


@command("math_pow", effect="read")
def math_pow(x: float, y: float) -> float:
    """x to the power y."""
    try:
        result = math.pow(x, y)
    except (OverflowError, ValueError):
        result = math.inf
    if not math.isfinite(result):
        raise PluginError("failed", f"{_number(x)} to the power {_number(y)} is not a finite number")
    return _number(result)


def _number(value: float) -> int | float:
    """Without a fraction where it has none, and in full digits below 1e21."""
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


@dataclass
class Swapped:
    value1: Any
    value2: Any


@command("swap_command", effect="read")
def swap(param1: Any, param2: Any) -> Swapped:
    """Gives its two values in the other order."""
    return Swapped(value1=param2, value2=param1)


@command(
    "count",
    effect="idempotent",
    inputs={
        "type": "object",
        "properties": {
            "to": {"type": "integer", "minimum": 1, "maximum": 100},
            "pause_ms": {"type": "integer", "minimum": 0, "maximum": 1000, "default": 1},
        },
        "required": ["to"],
    },
)
def count(inputs: dict[str, Any], context: Context) -> int:
    """Counts, and says so on the way."""
    to, pause_ms = inputs["to"], inputs.get("pause_ms", 1)
    for done in range(1, to + 1):
        task.sleep(pause_ms / 1000)
        task.progress(done, to, f"{done} of {to}")
    task.note({"counted": to})
    log.info("counted", to=to, attempt=context.attempt)
    return to
