"""Log lines: stored with the task, and sent to the agent's log. What a plugin prints arrives there too."""

from typing import Any

from . import outside

_LEVELS = ("trace", "debug", "info", "warn", "error")


def _write(level: str, message: object, fields: dict[str, Any]) -> None:
    log = outside.interface("log")
    at = log.Level(_LEVELS.index(level))
    if log.enabled(at):
        log.write(at, str(message), [(name, str(value)) for name, value in fields.items()])


def enabled(level: str) -> bool:
    """Whether anybody would see a line of this level: ask before making an expensive one."""
    log = outside.interface("log")
    return log.enabled(log.Level(_LEVELS.index(level)))


def trace(message: object, **fields: Any) -> None:
    """Every step of the way."""
    _write("trace", message, fields)


def debug(message: object, **fields: Any) -> None:
    """For who looks for a fault."""
    _write("debug", message, fields)


def info(message: object, **fields: Any) -> None:
    """What happens."""
    _write("info", message, fields)


def warn(message: object, **fields: Any) -> None:
    """What somebody should look at."""
    _write("warn", message, fields)


def error(message: object, **fields: Any) -> None:
    """What went wrong."""
    _write("error", message, fields)
