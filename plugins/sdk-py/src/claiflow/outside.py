"""What the sandbox offers, by the names of the contract's interfaces: imports in a component, a played host in a test."""

from typing import Any

_interfaces: dict[str, Any] = {}
_failure: type[BaseException] | None = None


def attach(interfaces: dict[str, Any], failure: type[BaseException]) -> None:
    """Everything from here on asks these; they fail with `failure`, whose `value` is the contract's record."""
    global _interfaces, _failure
    _interfaces, _failure = interfaces, failure


def interface(name: str) -> Any:
    """One interface of the host."""
    if not _interfaces:
        raise RuntimeError("there is no agent here: in a test, make a host with `claiflow.testing.Host()`")
    if name not in _interfaces:
        capability = name.replace("_", "-")
        raise RuntimeError(
            f'this plugin does not ask for "{capability}"; add it to `capabilities` of `[tool.claiflow]` in pyproject.toml'
        )
    return _interfaces[name]


def failures() -> tuple[type[BaseException], ...]:
    """What a host call raises."""
    return (_failure,) if _failure else ()
