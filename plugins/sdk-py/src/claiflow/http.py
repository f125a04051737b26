"""Requests over HTTP, as far as the operator granted them. Needs "http" among the capabilities.

    answer = http.get("https://shop.example.com/version", headers={"accept": "application/json"}).checked()
    version = answer.json()["version"]

A request that is not granted fails with the code `denied` and says what would allow it.
"""

import json
from dataclasses import dataclass
from typing import Any, Mapping
from urllib.parse import urljoin, urlsplit

from . import outside
from .error import PluginError

# More hops are a circle.
_HOPS_MAX = 5
# Whose value is for one host only.
_FOR_ONE_HOST = ("authorization", "claiflow-credential", "cookie", "proxy-authorization")
# What describes a body that is not sent any more.
_OF_THE_BODY = ("content-encoding", "content-length", "content-type")
_CODES = {400: "invalid", 422: "invalid", 401: "denied", 403: "denied", 404: "not-found", 409: "conflict", 412: "conflict"}
_CODES |= {410: "gone", 408: "timeout", 504: "timeout", 429: "unavailable", 502: "unavailable", 503: "unavailable"}

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Response:
    """An answer that was read to its end."""

    url: str
    """Who answered in the end, after redirections."""
    status: int
    headers: Headers
    """Lower-case name and value, in their order."""
    body: bytes
    """At most 16 MiB."""

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for header, value in self.headers if header == name.lower()), None)

    def checked(self) -> "Response":
        """The same where the status is one of 200 to 299; otherwise a PluginError with the status as a detail."""
        if 200 <= self.status <= 299:
            return self
        code = _CODES.get(self.status, "failed")
        error = PluginError(code, f"{self.url} answered with {self.status}", {"status": self.status})
        seconds = (self.header("retry-after") or "").strip()
        raise error.retry_after_ms(int(seconds) * 1000) if seconds.isdecimal() else error

    def text(self) -> str:
        """The body, where it is UTF-8."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise PluginError("failed", f"the answer of {self.url} is no text: {error}") from None

    def json(self) -> Any:
        """The body, where it is JSON."""
        try:
            return json.loads(self.text())
        except json.JSONDecodeError as error:
            raise PluginError("failed", f"the answer of {self.url} is no JSON: {error}") from None


def get(url: str, **options: Any) -> Response:
    """`GET`; options as of `request`."""
    return request("GET", url, **options)


def post(url: str, **options: Any) -> Response:
    """`POST`; options as of `request`."""
    return request("POST", url, **options)


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | str = b"",
    json_body: Any = None,
    credential: str | None = None,
    timeout_s: float | None = None,
    follow: bool = True,
) -> Response:
    """Sends a request and reads the answer, whatever its status.

    `json_body` is sent as JSON text. `credential` is the name of one that the operator granted for the URL's host and the method: the
    host puts it in and cuts it out of the answer. `timeout_s` counts for each step: to connect, to answer, between pieces.
    Up to five redirections are followed, each a new request that has to be granted; what was for the first host alone is not sent to
    another.

    Raises a PluginError: `denied`, `invalid`, `unavailable`, `timeout`, `too-large` over 16 MiB, or `stopped`.
    """
    sent = [(name.lower(), value) for name, value in (headers or {}).items()]
    if json_body is not None:
        body = json.dumps(json_body)
        sent.append(("content-type", "application/json"))
    if credential is not None:
        sent = [(name, value) for name, value in sent if name != "claiflow-credential"]
        sent.append(("claiflow-credential", credential))
    bytes_ = body.encode() if isinstance(body, str) else body
    for _ in range(_HOPS_MAX + 1):
        status, answered, content = outside.interface("http").send(method, url, sent, bytes_, timeout_s)
        answer = Response(url, status, answered, content)
        location = answer.header("location")
        if not follow or location is None or status not in (301, 302, 303, 307, 308):
            return answer
        target = urljoin(url, location.strip()).split("#")[0]
        if _origin(target) != _origin(url):
            sent = [header for header in sent if header[0] not in _FOR_ONE_HOST]
        if (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST"):
            method, bytes_ = "GET", b""
            sent = [header for header in sent if header[0] not in _OF_THE_BODY]
        url = target
    raise PluginError("failed", f"{url} was redirected more than {_HOPS_MAX} times")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        # It is none: the host refuses it, and nothing goes with it before.
        return url, None, None
