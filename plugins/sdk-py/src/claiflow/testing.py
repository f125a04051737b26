"""A host for tests: it remembers what a command says, and answers what the test wants.

    host = Host()
    assert run("greeter.greet", {"name": "world"}) == "hello world"
    assert host.lines[0].fields["name"] == "world"
"""

import enum
import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from . import commands, guest, outside
from .cluster import Cluster
from .context import Context
from .refusal import Refusal, refusal
from .web import Sent, Web

__all__ = ["Cluster", "Host", "Line", "Sent", "Web", "describe", "run", "verify"]

_NOTES_MAX = 16
_NOTE_MAX_BYTES = 4 << 10
_is_asked = False


@dataclass(frozen=True)
class Line:
    """A line that a command wrote."""

    level: str
    message: str
    fields: dict[str, str]


class _Level(enum.Enum):
    TRACE, DEBUG, INFO, WARN, ERROR = range(5)


class Host:
    """The host of all commands, until there is another one."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.progress: list[tuple[int, int, str]] = []
        self.notes: list[Any] = []
        """Give them to the next attempt in its context."""
        self.slept_s = 0.0
        """How long commands slept; a test does not wait for it."""
        self.remaining_ms = 60_000
        """What `task.remaining_ms()` answers."""
        self.stop: str | None = None
        """A reason asks commands to stop."""
        self.cluster = Cluster()
        """What `kubernetes` reaches."""
        self.web = Web()
        """What `http` reaches."""
        log = SimpleNamespace(Level=_Level, enabled=lambda level: True, write=self._write)
        task = SimpleNamespace(
            remaining_ms=lambda: self.remaining_ms,
            stop_requested=lambda: self.stop,
            progress=lambda *said: self.progress.append(said),
            note=self._note,
            sleep=self._sleep,
        )
        played = {"log": log, "task": task, "http": self.web}
        outside.attach({**played, **self.cluster.interfaces(lambda: _is_asked)}, Refusal)

    def _write(self, level: _Level, message: str, fields: list[tuple[str, str]]) -> None:
        self.lines.append(Line(level.name.lower(), message, dict(fields)))

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def _note(self, text: str) -> None:
        if _is_asked:
            raise refusal("denied", "only a running call leaves notes")
        if len(text.encode()) > _NOTE_MAX_BYTES:
            raise refusal("too-large", f"a note has at most {_NOTE_MAX_BYTES} bytes")
        if len(self.notes) >= _NOTES_MAX:
            raise refusal("budget", f"a call and its earlier attempts leave at most {_NOTES_MAX} notes")
        self.notes.append(json.loads(text))


def run(command: str, inputs: dict[str, Any] | None = None, context: Context | None = None) -> Any:
    """Runs a command as an agent does; answers its result, or raises a PluginError."""
    return _made(guest.run, command, inputs, context)


def verify(command: str, inputs: dict[str, Any] | None = None, context: Context | None = None) -> Any:
    """Asks whether an earlier attempt of a call took effect; answers the verdict. Notes and writes are `denied` meanwhile."""
    global _is_asked
    _is_asked = True
    try:
        return _made(guest.verify, command, inputs, context)
    finally:
        _is_asked = False


def describe(name: str = "plugin", version: str = "0.0.0") -> dict[str, Any]:
    """What the agent learns when it loads the plugin."""
    return commands.describe(guest.Plugin(name, version))


def _made(ask: Any, command: str, inputs: dict[str, Any] | None, context: Context | None) -> Any:
    said = {name.replace("_", "-"): value for name, value in vars(context or Context()).items()}
    answer, error = ask(command, json.dumps(inputs or {}), json.dumps(said))
    if error is not None:
        raise error
    return json.loads(answer)
