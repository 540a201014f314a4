"""What a payload's fields may hold. Each function returns a value or raises NotReadable."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from webhook_gateway.strict_json import Fraction, NotReadable, Whole

PROCORE_ID = re.compile(r"[1-9][0-9]{0,39}")
EVENT_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:-]{0,127}")
NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,200}")
Fields = Mapping[str, Any]


def procore_id(fields: Fields, name: str) -> str:
    """Return an id of Procore's as text: payload v2.0 sends numbers, v4.0 strings."""
    value = fields.get(name)
    if type(value) is str and PROCORE_ID.fullmatch(value):
        return value
    found = optional_procore_id(fields, name)
    if found is None:
        raise NotReadable(f"no_{name}")
    return found


def optional_procore_id(fields: Fields, name: str) -> str | None:
    """Return an id of Procore's as text, or None where there is none."""
    value = fields.get(name)
    if value is None or (type(value) is str and PROCORE_ID.fullmatch(value)):
        return value
    if not isinstance(value, str) or isinstance(value, Fraction) or not PROCORE_ID.fullmatch(value):
        raise NotReadable(f"bad_{name}")
    return str(value)


def event_id(value: object) -> str | None:
    """Return an event's id as text, or None when it is missing or is none."""
    if type(value) is str:
        return value if EVENT_ID.fullmatch(value) else None
    if not isinstance(value, str) or isinstance(value, Fraction):
        return None
    return str(value) if EVENT_ID.fullmatch(value) else None


def name(fields: Fields, key: str) -> str:
    """Return a short text without control characters."""
    value = fields.get(key)
    if type(value) is str and NAME.fullmatch(value):
        return value
    if not is_name(value):
        raise NotReadable(f"bad_{key}" if key in fields else f"no_{key}")
    return str(value)


def optional_name(fields: Fields, key: str) -> str | None:
    """Return a short text without control characters, or None where there is none."""
    return None if fields.get(key) is None else name(fields, key)


def is_name(value: object) -> bool:
    """Tell whether a value is a short text without control characters or half characters."""
    is_text = isinstance(value, str) and not isinstance(value, Whole | Fraction)
    return is_text and NAME.fullmatch(str(value)) is not None


def moment(value: object) -> datetime | None:
    """Return a time in UTC, or None when it cannot be read or names no zone."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        return read.astimezone(UTC) if read.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
