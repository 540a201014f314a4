"""Covers secrets in what a program says when something breaks.

An exception's words come from anywhere: a library may quote what it was given. Known secrets are
covered wherever they stand, and what has the shape of one also where we never saw it.
"""

import base64
import re
import sys
import threading
import traceback
from typing import Protocol
from urllib.parse import quote
from weakref import WeakValueDictionary

COVER = "***"
LEAST_CHARACTERS = 8  # shorter ones are words of the language
SHAPES = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {COVER}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), COVER),  # a JWT
    (re.compile(r"\bwhsec_[\w+/=-]+"), COVER),
    (re.compile(r"(\b\w+://[^\s/:@]*):[^\s/@]+@"), rf"\1:{COVER}@"),
    (re.compile(r"([?&](?:code|state|token)=)[^\s&\"']+"), rf"\1{COVER}"),
    (
        re.compile(
            r"(?i)((?:access|refresh|id)_token|client_secret|code_verifier|password)"
            r"(\\?[\"']?\s*[=:]\s*\\?[\"']?)[^\s\"'&,}\\]{4,}"
        ),
        rf"\1\2{COVER}",
    ),
)


class Holder(Protocol):
    """Something that knows a secret, for as long as it lives."""

    def written(self) -> tuple[str, ...]:
        """Return the secret as it may stand in a text."""


_holders: WeakValueDictionary[int, Holder] = WeakValueDictionary()  # by identity: equals die alone


def know(holder: Holder) -> None:
    """Cover what `holder` knows for as long as it lives; it is not kept alive by this."""
    _holders[id(holder)] = holder


def forms(secret: str) -> tuple[str, ...]:
    """Return a secret as it is, and as it stands in an address."""
    return (secret, quote(secret, safe=""))


def forms_of_bytes(secret: bytes) -> tuple[str, ...]:
    """Return a key as people and programs write bytes."""
    encoded = base64.b64encode(secret).decode()
    return (encoded, encoded.rstrip("="), secret.hex(), repr(secret)[2:-1])


def cover(text: str) -> str:
    """Return a text without the secrets that are known, and without what looks like one."""
    known = {one for holder in list(_holders.values()) for one in holder.written()}
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= LEAST_CHARACTERS:
            text = text.replace(secret, COVER)
    for shape, covered in SHAPES:
        text = shape.sub(covered, text)
    return text


def cover_last_words() -> None:
    """Have the interpreter cover what nobody caught: of the program, a thread, a `__del__`."""

    def last_words(error: BaseException | None) -> None:
        if error is not None:
            sys.stderr.write(cover("".join(traceback.format_exception(error))))

    sys.excepthook = lambda _type, error, _trace: last_words(error)
    threading.excepthook = lambda told: last_words(told.exc_value)
    sys.unraisablehook = lambda told: last_words(told.exc_value)
