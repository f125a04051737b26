"""How a played API server changes and cuts objects."""

from typing import Any

from .refusal import refusal


def merged(before: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, dict):
        return change
    after = dict(before) if isinstance(before, dict) else {}
    for key, value in change.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = merged(after.get(key), value)
    return after


def operated(object: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902, without `move` and `copy`."""
    for it in operations:
        *keys, last = [key.replace("~1", "/").replace("~0", "~") for key in it["path"].split("/")[1:]]
        parent = object
        for key in keys:
            parent = parent[int(key)] if isinstance(parent, list) else parent.get(key)
            if parent is None:
                raise _invalid(f"the path {it['path']} is not there")
        at: Any = last
        if isinstance(parent, list):
            at = len(parent) if last == "-" else int(last)
        match it["op"]:
            case "test" if (parent[at] if isinstance(parent, list) else parent.get(at)) != it.get("value"):
                raise _invalid(f"the test of {it['path']} does not hold")
            case "remove":
                del parent[at]
            case "add" if isinstance(parent, list):
                parent.insert(at, it["value"])
            case "add" | "replace":
                parent[at] = it["value"]
    return object


def picked(object: dict[str, Any], fields: list[str] | None) -> dict[str, Any]:
    """Of an object only these paths, and what names it."""
    if not fields:
        return object
    cut: dict[str, Any] = {key: object[key] for key in ("apiVersion", "kind") if key in object}
    for field in fields:
        *path, last = field.split(".")
        there: Any = object
        for key in (*path, last):
            there = there.get(key) if isinstance(there, dict) else None
        if there is not None:
            parent = cut
            for key in path:
                parent = parent.setdefault(key, {})
            parent[last] = there
    return cut


def _invalid(message: str) -> Exception:
    return refusal("invalid", message, {"status": 422, "reason": "Invalid"})
