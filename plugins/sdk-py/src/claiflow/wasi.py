"""The host's `wasi:http/outgoing-handler`, which is there in a component only."""

from typing import Any
from urllib.parse import urlsplit

from . import outside
from .error import PluginError

# What is handed over at once; more than the host offers would trap.
_PIECE_MAX_BYTES = 4 << 10
_READ_MAX_BYTES = 64 << 10
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")

Answer = tuple[int, list[tuple[str, str]], bytes]


class Sender:
    """Sends one request at a time over the three interfaces that it needs."""

    def __init__(self, handler: Any, types: Any, streams: Any) -> None:
        self._handler, self._types, self._streams = handler, types, streams

    def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, timeout_s: float | None) -> Answer:
        """Status, headers and body of the answer."""
        request = self._prepared(method, url, headers, body)
        upload = request.body() if body else None
        try:
            future = self._handler.handle(request, self._options(timeout_s))
            # Who answers without reading to the end closes the stream: the answer says why.
            if upload is not None and self._written(upload, body):
                self._types.OutgoingBody.finish(upload, None)
        except outside.failures() as failed:
            raise self._error(failed.value) from None
        with future.subscribe() as ready:
            ready.block()
        answered = future.get()
        answered = answered.value if answered is not None else None
        if answered is None:
            raise PluginError("failed", "the host gave no answer")
        if isinstance(answered, outside.failures()):
            raise self._error(answered.value)
        with answered.value as response:
            return self._read(response)

    def _prepared(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Any:
        types = self._types
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if not parts.scheme or not parts.netloc:
            raise PluginError("invalid", f"`{url}` is no absolute URL, such as https://example.com/x")
        if body and not any(name == "content-length" for name, _ in headers):
            headers = [*headers, ("content-length", str(len(body)))]
        schemes = {"http": types.Scheme_Http, "https": types.Scheme_Https}
        scheme = schemes[parts.scheme]() if parts.scheme in schemes else types.Scheme_Other(parts.scheme)
        known = getattr(types, f"Method_{method.capitalize()}") if method in _METHODS else None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            request = types.OutgoingRequest(types.Fields.from_list([(name, value.encode()) for name, value in headers]))
            request.set_method(known() if known else types.Method_Other(method))
            request.set_scheme(scheme)
            request.set_authority(parts.netloc)
            request.set_path_with_query(path)
        except outside.failures() as failed:
            what = type(failed.value).__name__.removeprefix("HeaderError_") if failed.value else "its method, host or path"
            raise PluginError("invalid", f"a request to `{url}` cannot be sent: {what}") from None
        return request

    def _options(self, timeout_s: float | None) -> Any:
        if timeout_s is None:
            return None
        options, nanoseconds = self._types.RequestOptions(), int(timeout_s * 1e9)
        options.set_connect_timeout(nanoseconds)
        options.set_first_byte_timeout(nanoseconds)
        options.set_between_bytes_timeout(nanoseconds)
        return options

    def _written(self, upload: Any, body: bytes) -> bool:
        with upload.write() as stream:
            try:
                for at in range(0, len(body), _PIECE_MAX_BYTES):
                    stream.blocking_write_and_flush(body[at : at + _PIECE_MAX_BYTES])
            except outside.failures():
                return False
        return True

    def _read(self, response: Any) -> Answer:
        with response.headers() as fields:
            headers = [(name.lower(), value.decode(errors="replace")) for name, value in fields.entries()]
        body, pieces = response.consume(), []
        with body.stream() as stream:
            while True:
                try:
                    pieces.append(stream.blocking_read(_READ_MAX_BYTES))
                except outside.failures() as failed:
                    if isinstance(failed.value, self._streams.StreamError_Closed):
                        break
                    raise self._broken(failed.value.value) from None
        return response.status(), headers, b"".join(pieces)

    def _error(self, code: Any) -> PluginError:
        """The host says `CODE: MESSAGE`; what is left are the few things that are wrong before a request reaches it."""
        name = type(code).__name__.removeprefix("ErrorCode_")
        if name == "InternalError" and code.value:
            return _coded(code.value)
        if name in ("HttpRequestUriInvalid", "HttpRequestMethodInvalid"):
            return PluginError("invalid", f"the URL or the method is none that can be sent: {name}")
        return PluginError("unavailable", name)

    def _broken(self, failure: Any) -> PluginError:
        code = self._types.http_error_code(failure)
        if code is not None:
            return self._error(code)
        first = (failure.to_debug_string().splitlines() or [""])[0]
        said = first.removeprefix("internal error: ")
        return _coded(said) if said != first else PluginError("unavailable", first)


def _coded(text: str) -> PluginError:
    code, separator, message = text.partition(": ")
    if separator and code and all(letter == "-" or "a" <= letter <= "z" for letter in code):
        return PluginError(code, message)
    return PluginError("failed", text)
