"""Reading parameters as Rails does: `a[b][]=1` becomes {"a": {"b": ["1"]}}."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from sandbox.procore.errors import BadRequest

TRUE, FALSE = ("true", "1", True), ("false", "0", False)


def nested(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Bracket names to dicts and lists; dicts whose keys are all numbers become lists."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        head, *rest = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name) or [name]
        _put(root, head, rest, value)
    return {key: _lists(value) for key, value in root.items()}


def _put(place: dict[str, Any], key: str, rest: list[str], value: Any) -> None:
    if not rest:
        place[key] = value
    elif rest[0] == "":
        items = place.setdefault(key, [])
        if not isinstance(items, list):
            raise BadRequest(f"expected Array for param `{key}'")
        _append(items, rest[1:], value)
    else:
        inner = place.setdefault(key, {})
        if not isinstance(inner, dict):
            raise BadRequest(f"expected Hash for param `{key}'")
        _put(inner, rest[0], rest[1:], value)


def _append(items: list[Any], rest: list[str], value: Any) -> None:
    if not rest:
        items.append(value)
        return
    last = items[-1] if items and isinstance(items[-1], dict) else None
    if last is None or (len(rest) == 1 and rest[0] in last):
        last = {}
        items.append(last)
    _put(last, rest[0], rest[1:], value)


def _lists(value: Any) -> Any:
    if isinstance(value, list):
        return [_lists(v) for v in value]
    if not isinstance(value, dict):
        return value
    inner = {k: _lists(v) for k, v in value.items()}
    if inner and all(k.isdigit() for k in inner):
        return [inner[k] for k in sorted(inner, key=int)]
    return inner


def digits(text: str) -> str:
    """The text, if it is nothing but 0 to 9. Raises ValueError; so does `int` for too many."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return text


def whole(value: Any, name: str) -> int:
    """An integer, also as text. Raises BadRequest."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadRequest(fields={name: ["is not a number"]})
    try:
        return int(value)
    except ValueError:
        raise BadRequest(fields={name: ["is not a number"]}) from None


def optional_whole(value: Any, name: str) -> int | None:
    return None if value in (None, "") else whole(value, name)


def wholes(value: Any, name: str) -> tuple[int, ...]:
    """A list of integers; one alone, or a comma-separated text, also does."""
    if value in (None, ""):
        return ()
    if isinstance(value, str):
        value = value.strip("[]").split(",")
    items = value if isinstance(value, list) else [value]
    return tuple(whole(item, name) for item in items if item != "")


def texts(value: Any) -> tuple[str, ...]:
    if value in (None, ""):
        return ()
    return tuple(str(v) for v in (value if isinstance(value, list) else [value]))


def text(value: Any, _name: str) -> str | None:
    """A text as it is given; None for null."""
    return None if value is None else str(value)


def truth(value: Any, name: str) -> bool:
    """A boolean, also as text. Raises BadRequest."""
    if value in TRUE:
        return True
    if value in FALSE or value in (None, ""):
        return False
    raise BadRequest(fields={name: ["is not a boolean"]})


def day(value: Any, _name: str = "") -> date | None:
    """A date; what cannot be read is stored as null with a 2xx, as Procore does."""
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def moment(value: Any) -> datetime | None:
    """A time, UTC where no offset is given; unreadable: None."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.strip().replace(" ", "+"))
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def between(value: Any, name: str) -> tuple[datetime | None, datetime | None]:
    """A range `A...B`, ends included, an open end empty. Raises BadRequest."""
    text = str(value).strip('"')
    start, dots, end = text.partition("...")
    bounds = (moment(start), moment(end))
    unread = (start and bounds[0] is None) or (end and bounds[1] is None)
    if not dots or unread:
        raise BadRequest(fields={name: ["is not a valid date range"]})
    return bounds


def inside(at: datetime | None, bounds: tuple[datetime | None, datetime | None]) -> bool:
    """Whether a time lies in the range."""
    start, end = bounds
    return at is not None and (start is None or at >= start) and (end is None or at <= end)


def wrapped(given: dict[str, Any], name: str) -> dict[str, Any]:
    """The object under a wrapper's name. Raises BadRequest when it is missing."""
    inner = given.get(name)
    if not isinstance(inner, dict):
        raise BadRequest(f"param is missing or the value is empty: {name}")
    return inner
