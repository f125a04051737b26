"""An API server that is played: objects with versions and uids, conflicts, and what was asked."""

import copy
import json
from types import SimpleNamespace
from typing import Any, Callable

from .error import PluginError
from .patches import merged, operated, picked
from .refusal import refusal

_At = tuple[str, str | None, str]


class Cluster:
    """A cluster that `kubernetes.Api` reaches in a test."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        """Each call, such as `delete pods shop/web-2`."""
        self._objects: dict[_At, dict[str, Any]] = {}
        self._versions = 0
        self._refused: dict[str, PluginError] = {}
        self._logs: dict[tuple[str, str], str] = {}
        self._programs: dict[tuple[str, str, str], tuple[str, str, int]] = {}
        self._events: list[tuple[str, dict[str, Any]]] = []

    def put(self, object: dict[str, Any], plural: str | None = None) -> dict[str, Any]:
        """Puts an object there; its plural is its kind in small letters with `s`, or `plural`."""
        return copy.deepcopy(self._keep(plural or object["kind"].lower() + "s", copy.deepcopy(object), "ADDED"))

    def object(self, plural: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """An object as it is now."""
        return copy.deepcopy(self._objects.get((plural, namespace, name)))

    def writes(self, namespace: str, pod: str, text: str) -> None:
        """What a pod's log says."""
        self._logs[namespace, pod] = text

    def runs(
        self, namespace: str, pod: str, command: list[str], *, stdout: str = "", stderr: str = "", exit: int = 0
    ) -> None:
        """What a program in a pod does."""
        self._programs[namespace, pod, " ".join(command)] = (stdout, stderr, exit)

    def refuse(self, call: str, error: PluginError) -> None:
        """Calls that read like this fail from here on."""
        self._refused[call] = error

    def interfaces(self, is_asked: Callable[[], bool]) -> dict[str, Any]:
        """The contract's interfaces over it; `is_asked` says whether a `verify` runs."""

        def change(call: Callable[..., Any]) -> Callable[..., Any]:
            def checked(*arguments: Any) -> Any:
                if is_asked():
                    raise refusal("denied", "`verify` changes nothing")
                return call(*arguments)

            return checked

        def fields(*names: str) -> Callable[..., SimpleNamespace]:
            return lambda *values: SimpleNamespace(**dict(zip(names, values, strict=True)))

        types = SimpleNamespace(
            ApiResource=fields("group", "version", "plural", "subresource"),
            Object=fields("resource", "namespace", "name"),
            Scope_Cluster=lambda: SimpleNamespace(tag="cluster", namespace=None),
            Scope_Namespace=lambda namespace: SimpleNamespace(tag="namespace", namespace=namespace),
            Scope_Granted=lambda: SimpleNamespace(tag="granted", namespace=None),
        )
        reads = SimpleNamespace(
            resources=lambda: "[]", get=self._get, list_objects=self._list, watch=self._watch, read_log=self._log
        )
        writes = {"create": self._create, "apply": self._apply, "replace": self._replace}
        writes |= {"patch": self._patch, "remove": self._remove}
        write = SimpleNamespace(**{name: change(call) for name, call in writes.items()})
        execute = SimpleNamespace(exec=change(self._exec))
        return {
            "kubernetes": reads,
            "kubernetes_write": write,
            "kubernetes_exec": execute,
            "kubernetes_types": types,
        }

    def _asked(self, call: str) -> None:
        self.calls.append(call)
        if error := self._refused.get(call):
            raise refusal(error.code, error.message, error.details)

    def _there(self, verb: str, target: Any) -> dict[str, Any]:
        self._asked(f"{verb} {_plural(target.resource)} {_place(target)}")
        if found := self._objects.get(_at(target)):
            return found
        message = f'{target.resource.plural} "{target.name}" not found'
        raise refusal("not-found", message, {"status": 404, "reason": "NotFound"})

    def _keep(self, plural: str, object: dict[str, Any], kind: str) -> dict[str, Any]:
        self._versions += 1
        metadata = object["metadata"]
        metadata.setdefault("uid", f"uid-{self._versions}")
        metadata["resourceVersion"] = str(self._versions)
        self._objects[plural, metadata.get("namespace"), metadata["name"]] = object
        self._events.append((plural, {"type": kind, "object": copy.deepcopy(object)}))
        return object

    def _get(self, target: Any, options: str) -> str:
        return json.dumps(picked(self._there("get", target), json.loads(options).get("fields")))

    def _list(self, resource: Any, scope: Any, options: str) -> Any:
        self._asked(f"list {_plural(resource)}" + (f" in {scope.namespace}" if scope.namespace else ""))
        said = json.loads(options)

        def fits(metadata: dict[str, Any]) -> bool:
            labels = metadata.get("labels", {}).items()
            in_place = scope.namespace is None or metadata.get("namespace") == scope.namespace
            return in_place and all(it in labels for it in said.get("labels", {}).items())

        found = [it for at, it in self._objects.items() if at[0] == resource.plural and fits(it["metadata"])]
        pages = [json.dumps([picked(it, said.get("fields")) for it in found[: said.get("limit")]])]
        return SimpleNamespace(next=lambda: pages.pop(0) if pages else None)

    def _watch(self, resource: Any, scope: Any, options: str) -> Any:
        self._asked(f"watch {_plural(resource)}" + (f" in {scope.namespace}" if scope.namespace else ""))
        seen = 0

        def next(timeout_ms: int) -> str:
            nonlocal seen
            new, seen = self._events[seen:], len(self._events)
            in_place = lambda it: scope.namespace in (None, it["object"]["metadata"].get("namespace"))  # noqa: E731
            return json.dumps([it for plural, it in new if plural == resource.plural and in_place(it)])

        return SimpleNamespace(next=next)

    def _log(self, pod: Any, options: str) -> Any:
        self._asked(f"get pods/log {_place(pod)}")
        pieces = [self._logs.get((pod.namespace, pod.name), "").encode()]
        return SimpleNamespace(read=lambda most, timeout_ms: pieces.pop(0) if pieces else None)

    def _create(self, target: Any, text: str, options: str) -> str:
        self._asked(f"create {_plural(target.resource)} {_place(target)}")
        body = json.loads(text)
        metadata = body.setdefault("metadata", {})
        if target.namespace is not None:
            metadata["namespace"] = target.namespace
        name = metadata.setdefault("name", f"{metadata.get('generateName', '')}{self._versions + 1}")
        if (target.resource.plural, target.namespace, name) in self._objects:
            message = f'{target.resource.plural} "{name}" already exists'
            raise refusal("exists", message, {"status": 409, "reason": "AlreadyExists"})
        return json.dumps(self._keep(target.resource.plural, body, "ADDED"))

    def _apply(self, target: Any, text: str, options: str) -> str:
        self._asked(f"apply {_plural(target.resource)} {_place(target)}")
        place = {} if target.namespace is None else {"namespace": target.namespace}
        before = self._objects.get(_at(target), {"metadata": {"name": target.name, **place}})
        return json.dumps(self._keep(target.resource.plural, merged(before, json.loads(text)), "MODIFIED"))

    def _replace(self, target: Any, text: str, options: str) -> str:
        before, body = self._there("replace", target), json.loads(text)
        if body.get("metadata", {}).get("resourceVersion") != before["metadata"]["resourceVersion"]:
            raise _conflict(target)
        return json.dumps(self._keep(target.resource.plural, body, "MODIFIED"))

    def _patch(self, target: Any, kind: str, text: str, options: str) -> str:
        before, change = copy.deepcopy(self._there("patch", target)), json.loads(text)
        after = operated(before, change) if kind == "json" else merged(before, change)
        return json.dumps(self._keep(target.resource.plural, after, "MODIFIED"))

    def _remove(self, target: Any, text: str) -> str:
        metadata, options = self._there("delete", target)["metadata"], json.loads(text)
        uid, version = options.get("uid"), options.get("resource-version")
        if uid not in (None, metadata["uid"]) or version not in (None, metadata["resourceVersion"]):
            raise _conflict(target)
        if not options.get("dry-run"):
            self._events.append((target.resource.plural, {"type": "DELETED", "object": self._objects.pop(_at(target))}))
        return json.dumps({"kind": "Status", "status": "Success"})

    def _exec(self, pod: Any, container: str, command: list[str], options: str) -> Any:
        words = " ".join(command)
        self._asked(f"exec {_place(pod)} {words}")
        stdout, stderr, exit = self._programs.get((pod.namespace, pod.name, words), ("", "", 0))
        pieces = [
            SimpleNamespace(stream=stream, data=text.encode())
            for stream, text in (("stdout", stdout), ("stderr", stderr))
            if text
        ]
        return SimpleNamespace(
            write=lambda data: None,
            close_stdin=lambda: None,
            read=lambda most, timeout_ms: pieces.pop(0) if pieces else None,
            status=lambda: json.dumps({"exit": exit}),
        )


def _at(target: Any) -> _At:
    return target.resource.plural, target.namespace, target.name


def _place(target: Any) -> str:
    return target.name if target.namespace is None else f"{target.namespace}/{target.name}"


def _plural(resource: Any) -> str:
    return f"{resource.plural}/{resource.subresource}" if resource.subresource else resource.plural


def _conflict(target: Any) -> Exception:
    message = f'{target.resource.plural} "{target.name}" is another one by now'
    return refusal("conflict", message, {"status": 409, "reason": "Conflict"})
