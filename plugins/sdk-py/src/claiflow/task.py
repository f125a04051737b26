"""The running task."""

import json
import time
from typing import Any

from . import outside
from .error import PluginError, asked

# A sleep is as long as this before it asks again whether the command should end.
_PIECE_S = 0.1


def remaining_ms() -> int:
    """Wall-clock milliseconds that are left of the smallest limit of step, task and plugin."""
    return outside.interface("task").remaining_ms()


def stop_requested() -> str | None:
    """Why the call should end, or None."""
    return outside.interface("task").stop_requested()


def keep_going() -> None:
    """Goes on, or raises `stopped` once the command should end."""
    reason = stop_requested()
    if reason is not None:
        raise PluginError("stopped", f"asked to stop: {reason}")


def sleep(seconds: float) -> None:
    """Sleeps without using CPU time, or raises `stopped` once the command should end."""
    keep_going()
    left = seconds
    while left > 0:
        getattr(outside.interface("task"), "sleep", time.sleep)(min(left, _PIECE_S))
        left -= _PIECE_S
        keep_going()


def progress(done: int, total: int, message: str = "") -> None:
    """Shows how far the command is, at most once a second; a `total` of 0 means that nobody knows."""
    outside.interface("task").progress(done, total, str(message))


def note(value: Any) -> None:
    """Leaves a note for the next attempt and for `verify`. It is durable when this returns. 16 notes, 4 KiB each."""
    asked(outside.interface("task").note, json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
