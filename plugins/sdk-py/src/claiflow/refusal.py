"""How a played host fails: with the contract's record, as a component gets it."""

import json
from types import SimpleNamespace
from typing import Any


class Refusal(Exception):
    """Its `value` is the record."""

    def __init__(self, value: Any) -> None:
        super().__init__(value.message)
        self.value = value


def refusal(code: str, message: str, details: dict[str, Any] | None = None) -> Refusal:
    """A failure of the host."""
    return Refusal(SimpleNamespace(code=code, message=message, details=json.dumps(details) if details else None))
