"""Servers that answer what a test says."""

from dataclasses import dataclass, field

from .error import PluginError

Answer = tuple[int, list[tuple[str, str]], bytes]


@dataclass(frozen=True)
class Sent:
    """A request that a command sent."""

    method: str
    url: str
    headers: dict[str, str]
    """By lower-case names."""
    body: bytes
    timeout_s: float | None


@dataclass
class Web:
    """What commands reach over HTTP. What no answer was given for is `denied`, as without a grant."""

    sent: list[Sent] = field(default_factory=list)
    """The requests so far."""
    _answers: list[tuple[str, str, Answer | PluginError]] = field(default_factory=list)

    def answers(
        self, method: str, url: str, status: int, body: bytes | str = b"", headers: dict[str, str] | None = None
    ) -> None:
        """The next request of that method and URL gets this answer; the last one given is answered again and again."""
        said = [(name.lower(), value) for name, value in (headers or {}).items()]
        self._answers.append((method, url, (status, said, body.encode() if isinstance(body, str) else body)))

    def fails(self, method: str, url: str, error: PluginError) -> None:
        """The next request of that method and URL fails."""
        self._answers.append((method, url, error))

    def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, timeout_s: float | None) -> Answer:
        """What a component's request becomes here."""
        self.sent.append(Sent(method, url, dict(headers), body, timeout_s))
        fitting = [scripted for scripted in self._answers if scripted[:2] == (method, url)]
        if not fitting:
            raise PluginError("denied", f"the plugin may not send {method} to {url}")
        if len(fitting) > 1:
            self._answers.remove(fitting[0])
        answer = fitting[0][2]
        if isinstance(answer, PluginError):
            raise answer
        return answer
