"""What `verify` answers: whether an earlier attempt of a call took effect."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Done:
    """It did, and this is what the call would have answered."""

    output: Any


@dataclass(frozen=True)
class NotDone:
    """It did not: the call may be made again."""


@dataclass(frozen=True)
class Unknown:
    """Nobody can tell, and why. A person settles the task."""

    why: str


Verdict = Done | NotDone | Unknown


def contract(verdict: Verdict) -> dict[str, Any]:
    """The verdict as the contract has it."""
    match verdict:
        case Done(output):
            return {"verdict": "done", "output": output}
        case NotDone():
            return {"verdict": "not-done"}
        case Unknown(why):
            return {"verdict": "unknown", "why": why}
    raise TypeError(f"`verify` answers Done, NotDone or Unknown, not {type(verdict).__name__}")
