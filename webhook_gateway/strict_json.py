"""JSON as a stranger may send it, read so that no two readers can understand it differently.

Refused: anything but one UTF-8 object, a key that comes twice, `NaN` and `Infinity`, nesting and
sizes no event has. Numbers stay text, exactly as written: an id may exceed 2**53, and converting
ten thousand digits would take a while.
"""

import json
import re
from typing import Any, NoReturn

import msgspec

MAX_DEPTH = 32
PLAIN_BYTES = 4_096
Plain1 = str | bool | None
Plain2 = Plain1 | dict[str, Plain1] | list[Plain1]
Plain3 = Plain1 | dict[str, Plain2] | list[Plain2]
Plain4 = Plain1 | dict[str, Plain3] | list[Plain3]
MAX_BRACKETS = 4_096
MAX_COMMAS = 20_000
STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


class NotReadable(Exception):  # noqa: N818 - reads as what is said of the body
    """A body cannot be read; `cause` is one fixed word."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


class Whole(str):
    """A JSON number without fraction and exponent, as it was written."""

    __slots__ = ()


class Fraction(str):
    """A JSON number with a fraction or an exponent, as it was written."""

    __slots__ = ()


def read_object(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds, or raise NotReadable."""
    if (plain := _read_plain(body)) is not None:
        return plain
    _guard_size(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotReadable("not_utf8") from error
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _guard_depth(text)
    try:
        value = _DECODER.decode(text)
    except ValueError as error:
        raise NotReadable("not_json") from error
    if not isinstance(value, dict):
        raise NotReadable("not_an_object")
    return value


def _read_plain(body: bytes) -> dict[str, Any] | None:
    """Return what a short body without numbers and escapes holds; None for all others.

    Nearly every delivery is one, and msgspec takes a tenth of the time, but it keeps the last of
    two equal keys without a word. As no quote is escaped, that shows: what was read, written again,
    has fewer quotes.
    """
    if len(body) > PLAIN_BYTES or b"\\" in body:
        return None
    try:
        value = _DECODE_PLAIN(body)
    except ValueError:  # the strict reader says what is wrong, if anything is
        return None
    return value if _ENCODE(value).count(b'"') == body.count(b'"') else None


def _guard_size(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") > MAX_BRACKETS or body.count(b",") > MAX_COMMAS:
        raise NotReadable("too_many_parts")


def _guard_depth(text: str) -> None:
    depth = 0
    for found in STRING_OR_BRACKET.finditer(text):
        mark = found[0]
        depth += (mark in "[{") - (mark in "]}")
        if depth > MAX_DEPTH:
            raise NotReadable("too_deep")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise NotReadable("duplicate_key")
    return read


def _refuse_constant(_name: str) -> NoReturn:
    raise NotReadable("not_json")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_once_each,
    parse_int=Whole,
    parse_float=Fraction,
    parse_constant=_refuse_constant,
)
_DECODE_PLAIN = msgspec.json.Decoder(dict[str, Plain4]).decode
_ENCODE = msgspec.json.Encoder().encode
