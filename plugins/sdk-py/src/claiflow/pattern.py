"""Commands with places in their names, read as the agent reads them: cut at the dots, `{x}` takes one segment, `{x+}` at the
end takes one or more."""

import re

_PLACE = re.compile(r"\{([A-Za-z0-9_]+)(\+?)\}")
_WORD = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


def fault(name: str) -> str | None:
    """Why `name` is no name of a command and no pattern, or None."""
    if not name:
        return "a command has a name"
    if len(name.encode()) > 128:
        return "a command's name has at most 128 bytes"
    segments = name.split(".")
    for index, segment in enumerate(segments):
        place = _PLACE.fullmatch(segment)
        if not place and not _WORD.fullmatch(segment):
            return (
                "between the dots of a command's name stand ASCII letters, digits, `_`, `-` and `/` between words, or one place such as `{name}`"
            )
        if place and place[2] and index < len(segments) - 1:
            return "a place with `+` takes all that is left, so nothing may follow it"
    return None


def is_pattern(name: str) -> bool:
    """Whether it has places."""
    return "{" in name


def words(pattern: str) -> int:
    """Of several patterns that match, the one with the most words in place of places serves."""
    return sum(not part.startswith("{") for part in pattern.split("."))


def captures(pattern: str, command: str) -> dict[str, str] | None:
    """What the places of `pattern` took from `command`, or None where it does not match."""
    segments = command.split(".")
    taken: dict[str, str] = {}
    for part in pattern.split("."):
        if not segments or not segments[0]:
            return None
        segment = segments.pop(0)
        place = _PLACE.fullmatch(part)
        if not place:
            if part != segment:
                return None
        elif place[2]:
            taken[place[1]] = ".".join([segment, *segments])
            segments = []
        else:
            taken[place[1]] = segment
    return None if segments else taken
