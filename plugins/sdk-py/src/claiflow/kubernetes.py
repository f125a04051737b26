"""The cluster's API, as far as the operator granted it. Needs "kubernetes" among the capabilities, "kubernetes-write" and
"kubernetes-exec" for what changes something.

Options are those of the contract, with `_` for `-`: `fields`, `labels`, `field_selector`, `limit`, `dry_run`, ….
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Iterator, Sequence

from . import outside
from .error import PluginError, asked

# Bytes that are asked for at once.
_PIECE_BYTES = 64 << 10

Object = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """A kind, by its plural."""

    plural: str
    """`pods`."""
    group: str = ""
    """Empty for the core group."""
    version: str = ""
    """Empty: the version that the API server prefers."""
    subresource: str = ""
    """Empty, or `status`, `scale`, …."""


def granted() -> list[dict[str, Any]]:
    """What this plugin may touch here: what the grant names and the cluster has."""
    return json.loads(asked(outside.interface("kubernetes").resources))


class Api:
    """One resource in one place. Each call raises a PluginError: `denied`, `not-found`, `conflict`, `unavailable`, …."""

    def __init__(self, resource: Resource, namespace: str | None = None, *, everywhere: bool = False) -> None:
        self._resource, self._namespace, self._everywhere = resource, namespace, everywhere

    @classmethod
    def in_namespace(cls, resource: Resource, namespace: str) -> "Api":
        """Objects of a kind that lies in namespaces, in one of them."""
        return cls(resource, namespace)

    @classmethod
    def of_cluster(cls, resource: Resource) -> "Api":
        """Objects of a kind that lies in no namespace."""
        return cls(resource)

    @classmethod
    def granted(cls, resource: Resource) -> "Api":
        """Objects in every namespace that the grant names: to list and to watch."""
        return cls(resource, everywhere=True)

    def sub(self, subresource: str) -> "Api":
        """The same objects' subresource, such as `scale`."""
        return Api(replace(self._resource, subresource=subresource), self._namespace, everywhere=self._everywhere)

    def get(self, name: str, **options: Any) -> Object:
        """One object. Options: `fields`."""
        return self._read("kubernetes", "get", self._object(name), _text(options))

    def find(self, name: str, **options: Any) -> Object | None:
        """One object, or None where there is none of this name."""
        try:
            return self.get(name, **options)
        except PluginError as error:
            # A kind that is not known has no answer of the API server.
            if error.code == "not-found" and error.details.get("status") == 404:
                return None
            raise

    def list(self, **options: Any) -> Iterator[Object]:
        """All objects, page by page. Options: `labels`, `field_selector`, `fields`, `limit`, `metadata_only`."""
        left = options.get("limit")
        kubernetes = outside.interface("kubernetes")
        pages = asked(kubernetes.list_objects, self._kind(), self._scope(), _text(options))
        while left != 0 and (page := asked(pages.next)) is not None:
            for object in json.loads(page)[:left]:
                left = None if left is None else left - 1
                yield object

    def watch(self, **options: Any) -> "Watching":
        """What changes from now on. Options as of `list`, and `resource_version`."""
        return Watching(asked(outside.interface("kubernetes").watch, self._kind(), self._scope(), _text(options)))

    def log(self, pod: str, **options: Any) -> "Log":
        """A pod's log. Options: `container`, `previous`, `follow`, `tail_lines`, `since_seconds`, `timestamps`."""
        return Log(asked(outside.interface("kubernetes").read_log, self._object(pod), _text(options)))

    def create(self, body: Object, **options: Any) -> Object:
        """Makes an object; its name is in the body. Options: `dry_run`, `fields`."""
        name = body.get("metadata", {}).get("name", "")
        return self._read("kubernetes_write", "create", self._object(name), json.dumps(body), _text(options))

    def apply(self, name: str, body: Object, **options: Any) -> Object:
        """Server-side apply. Option `force` needs the verb `force-apply`."""
        return self._read("kubernetes_write", "apply", self._object(name), json.dumps(body), _text(options))

    def replace(self, name: str, body: Object, **options: Any) -> Object:
        """Puts the body in place of the object. It needs `metadata.resourceVersion`."""
        return self._read("kubernetes_write", "replace", self._object(name), json.dumps(body), _text(options))

    def patch(self, name: str, kind: str, body: Any, **options: Any) -> Object:
        """Changes the object; `kind` is `json`, `merge` or `strategic`."""
        return self._read("kubernetes_write", "patch", self._object(name), kind, json.dumps(body), _text(options))

    def remove(self, name: str, **options: Any) -> Object:
        """Removes one object. Options: `uid`, `resource_version`, `propagation`, `grace_seconds`, `dry_run`."""
        return self._read("kubernetes_write", "remove", self._object(name), _text(options))

    def exec(self, pod: str, command: Sequence[str], container: str = "", **options: Any) -> "Execution":
        """Runs a program in a container; an empty one is the annotated default, else the first. Options: `stdin`, `tty`."""
        start = outside.interface("kubernetes_exec").exec
        return Execution(asked(start, self._object(pod), container, [*command], _text(options)))

    def _read(self, interface: str, function: str, *arguments: Any) -> Any:
        return json.loads(asked(getattr(outside.interface(interface), function), *arguments))

    def _kind(self) -> Any:
        it = self._resource
        return outside.interface("kubernetes_types").ApiResource(it.group, it.version, it.plural, it.subresource)

    def _scope(self) -> Any:
        types = outside.interface("kubernetes_types")
        if self._everywhere:
            return types.Scope_Granted()
        return types.Scope_Cluster() if self._namespace is None else types.Scope_Namespace(self._namespace)

    def _object(self, name: str) -> Any:
        if self._everywhere:
            raise PluginError("invalid", f"say in which namespace `{name}` of {self._resource.plural} is")
        return outside.interface("kubernetes_types").Object(self._kind(), self._namespace, name)


class Watching:
    """Changes as they happen."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def next(self, timeout_ms: int) -> list[dict[str, Any]]:
        """A list of `{"type", "object"}`, empty when nothing came in time. `gone`: watch anew."""
        return json.loads(asked(self._events.next, timeout_ms))


class Log:
    """A container's log."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, timeout_ms: int) -> bytes | None:
        """The next piece: None at the end, empty when nothing came in time."""
        return asked(self._stream.read, _PIECE_BYTES, timeout_ms)


class Execution:
    """A program that runs in a container."""

    def __init__(self, running: Any) -> None:
        self._running = running

    def write(self, data: bytes) -> None:
        """Writes to the program's input."""
        asked(self._running.write, data)

    def close_input(self) -> None:
        """Ends the program's input."""
        self._running.close_stdin()

    def read(self, timeout_ms: int) -> tuple[str, bytes] | None:
        """`stdout` or `stderr` and what came there: None once it wrote all, no bytes when nothing came in time."""
        chunk = asked(self._running.read, _PIECE_BYTES, timeout_ms)
        return None if chunk is None else (chunk.stream, chunk.data)

    def status(self) -> dict[str, Any]:
        """`{"exit": 0}` or `{"error": "…"}`, once `read` gave None."""
        return json.loads(asked(self._running.status))


def _text(options: dict[str, Any]) -> str:
    return json.dumps({name.replace("_", "-"): value for name, value in options.items() if value is not None})
