"""Why a command failed."""

import json
from typing import Any, Callable, Literal, TypeVar

from . import outside

T = TypeVar("T")


class PluginError(Exception):
    """A failure: a code for programs, one sentence for a person, and details. Never put a secret into it.

    Codes of the contract: `invalid`, `not-found`, `exists`, `conflict`, `unavailable`, `timeout`, `stopped`, `failed`, ….
    """

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})

    def applied(self, effect: Literal["none", "done", "unknown"]) -> "PluginError":
        """Adds whether the call had its effect."""
        if effect not in ("none", "done", "unknown"):
            raise ValueError(f'an effect is "none", "done" or "unknown", not {effect!r}')
        self.details["effect"] = effect
        return self

    def retry_after_ms(self, milliseconds: int) -> "PluginError":
        """Adds when to try again, in milliseconds from now."""
        self.details["retry-after-ms"] = milliseconds
        return self

    @property
    def may_pass_later(self) -> bool:
        """Whether the same call may work later."""
        return self.code in ("unavailable", "timeout", "conflict", "gone")

    def details_json(self) -> str | None:
        """The details as the contract has them."""
        return json.dumps(self.details, ensure_ascii=False) if self.details else None


def asked(call: Callable[..., T], *arguments: Any) -> T:
    """Makes a host call; its failure becomes a PluginError."""
    try:
        return call(*arguments)
    except outside.failures() as failed:
        failure = failed.value
        raise PluginError(failure.code, failure.message, json.loads(failure.details or "{}")) from None
