"""Some of the calls that the probe in Rust makes, answered in the same words: for a test that whoever calls a command cannot tell its
language."""

from typing import Any

from claiflow import PluginError, command, http
from claiflow.kubernetes import Api, Resource

# How many names of a list are answered.
_NAMES_MAX = 20
# How much of a body is answered.
_BODY_MAX_CHARS = 2_000


def _api(at: dict[str, Any]) -> Api:
    kind, namespace = Resource(at["resource"], version=at.get("version", "")), at.get("namespace")
    if namespace is None:
        return Api.of_cluster(kind)
    return Api.granted(kind) if namespace == "*" else Api.in_namespace(kind, namespace)


def _list(at: dict[str, Any], query: dict[str, Any] = {}) -> dict[str, Any]:
    names = [it["metadata"]["name"] for it in _api(at).list(**query)]
    return {"count": len(names), "names": names[:_NAMES_MAX]}


def _http(
    url: str,
    method: str = "GET",
    headers: dict[str, str] = {},
    body: str = "",
    credential: str | None = None,
    timeout_ms: int | None = None,
    stay: bool = False,
) -> dict[str, Any]:
    timeout_s = timeout_ms / 1000 if timeout_ms is not None else None
    answer = http.request(
        method, url, headers=headers, body=body, credential=credential, timeout_s=timeout_s, follow=not stay
    )
    text = answer.body.decode(errors="replace")[:_BODY_MAX_CHARS]
    return {"status": answer.status, "headers": dict(answer.headers), "bytes": len(answer.body), "body": text}


_ACTS = {
    "get": lambda at, name, query={}: _api(at).get(name, **query),
    "list": _list,
    "create": lambda at, body: _api(at).create(body),
    "patch": lambda at, name, kind, body: _api(at).patch(name, kind, body),
    "remove": lambda at, name: _api(at).remove(name),
    "http": _http,
}


def _outcome(act: dict[str, Any]) -> dict[str, Any]:
    ((name, said),) = act.items()
    try:
        return {"ok": _ACTS[name](**said)}
    except PluginError as error:
        return {"error": {"code": error.code, "message": error.message, "details": error.details or None}}


@command("probe.run", effect="idempotent")
def run(calls: list[Any]) -> list[Any]:
    """Calls whatever is listed."""
    return [_outcome(act) for act in calls]
