"""The values in Procore's JSON, one by one: what is odd or missing is None, never an error.

Texts lose the control characters that no database takes, and halves of surrogate pairs.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar

T = TypeVar("T")
Json = Mapping[str, Any]

UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
LARGEST_EXACT = 2**53
MOST_DIGITS = 19
LARGEST_NUMBER = 10**60
"""Beyond this a number is not one that people wrote."""


def text_of(value: Any) -> str | None:
    """Return a text, or a number as text; None for anything else."""
    if isinstance(value, str):
        return clean(value) or None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER:
        return str(value)
    return None


def clean(text: str) -> str:
    """Return the text without what cannot be stored."""
    return UNSTORABLE.sub("", text)


def id_of(value: Any) -> str | None:
    """Return an id as text, from JSON's numbers or strings; None for anything else."""
    return text_of(value)


def bytes_of(value: Any) -> int | None:
    """Return a number of bytes; None for what is none, as `1.2 MB` or -1 ("not known")."""
    text = text_of(value) or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < MOST_DIGITS else None


def time_of(value: Any) -> datetime | None:
    """Return a moment in UTC; one without a zone is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def day_of(value: Any) -> date | None:
    """The day as written: a due date is a day on the site, not a moment in UTC."""
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def amount_of(value: Any) -> str | None:
    """Procore gives a cost as a string in a show and as a number in a list."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return str(int(number)) if number.is_integer() else f"{number:.2f}"


def plain_of(value: Any) -> Any:
    """A value as people read it: names instead of objects, no floats that differ by view."""
    match value:
        case dict():
            return label_of(value) or name_of(value) or text_of(value.get("value"))
        case list():
            # one level: lists in lists are nothing that people wrote
            parts = (plain_of(one) for one in value if not isinstance(one, list))
            return ", ".join(str(one) for one in parts if one not in (None, ""))
        case bool():
            return value
        case float():
            return amount_of(value)
        case int():
            return value if abs(value) <= LARGEST_EXACT else text_of(value)
        case _:
            return text_of(value)


def label_of(value: Any) -> str | None:
    """Return what a spec section, a location or the like is called."""
    section = object_of(value)
    if label := text_of(section.get("label")):
        return label
    parts = (text_of(section.get("number")), text_of(section.get("description")))
    return " ".join(filter(None, parts)) or name_of(value)


def name_of(value: Any) -> str | None:
    """Return a name, given as text or as an object that has one."""
    return text_of(value) if isinstance(value, str) else text_of(object_of(value).get("name"))


def object_of(value: Any) -> Json:
    """Return the object, or an empty one."""
    return value if isinstance(value, dict) else {}


def first_of(value: Any) -> Json:
    """Return the first of a list of objects, or an empty one."""
    return object_of(value[0]) if isinstance(value, list) and value else {}


def alone(value: Any) -> list[Any]:
    """Return a list of the one value, if there is one."""
    return [value] if value else []


def read_many(value: Any, read: Callable[[Any], T | None]) -> tuple[T, ...]:
    """Read a list, leaving out what is not readable."""
    items: Iterable[Any] = value if isinstance(value, list) else ()
    return tuple(one for item in items if (one := read(item)) is not None)


def told(found: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing."""
    return {label: held for label, held in found.items() if held not in (None, "", [], {})}
