"""Seals over the audit: made by the token service, checked by the operators' command.

A seal covers the lines behind the one before it. Its chain is a SHA-256 over the chain before it
and its lines; its code an HMAC-SHA256 with a key that is derived from the ring's by HKDF (RFC 5869)
and stands in no database. So a line that was changed, taken out or put in afterwards shows, and so
does a chain that was computed anew.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.settings import KeyRing

BEGINNING = bytes(32)  # the chain before the first seal
KEY_BYTES = 32
MOST_LINES = 5_000  # in one seal
LAST_SEAL = """
SELECT number, up_to, lines, chain, key_id, code FROM authority.audit_seals
ORDER BY number DESC LIMIT 1
"""
LINE_COLUMNS = """
id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS at, event, actor, user_id,
project_id, detail::text AS detail
"""
"""What of a line is sealed: all of it, in words that PostgreSQL always gives alike."""


@dataclass(frozen=True, slots=True)
class AuditSeal:
    """A row of `authority.audit_seals`: what it covers, and what proves it."""

    number: int
    up_to: int
    lines: int
    chain: bytes
    key_id: str
    code: bytes


def chained(before: bytes, lines: Iterable[Sequence[Any]]) -> bytes:
    """Return the chain behind some lines, each with the columns of `LINE_COLUMNS`, in order."""
    found = hashlib.sha256(before)
    for line in lines:
        written = msgspec.json.encode(list(line))
        found.update(len(written).to_bytes(8, "big") + written)
    return found.digest()


def seal_behind(last: AuditSeal | None, lines: Sequence[Sequence[Any]], ring: KeyRing) -> AuditSeal:
    """Return the seal over the lines that follow the last one's; each begins with its id."""
    number = last.number + 1 if last else 1
    up_to = lines[-1][0] if lines else (last.up_to if last else 0)
    chain = chained(last.chain if last else BEGINNING, lines)
    key = ring.first
    code = _code(key.secret, number, up_to, len(lines), chain)
    return AuditSeal(number, up_to, len(lines), chain, key.id, code)


def was_made_by(ring: KeyRing, seal: AuditSeal) -> bool | None:
    """Tell whether a key of the ring made a seal's code; None when its key is not in the ring."""
    key = ring.get(seal.key_id)
    if key is None:
        return None
    code = _code(key.secret, seal.number, seal.up_to, seal.lines, seal.chain)
    return hmac.compare_digest(code, seal.code)


def _code(secret: bytes, number: int, up_to: int, lines: int, chain: bytes) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"audit")
    said = (
        b"".join(value.to_bytes(8, "big", signed=True) for value in (number, up_to, lines)) + chain
    )
    return hmac.digest(hkdf.derive(secret), said, "sha256")
