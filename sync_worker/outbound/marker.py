"""The short visible reference that travels in a write, so that it can be found again.

Procore has neither an idempotency key nor an origin id for replies and responses. The marker is the
one thing of ours that comes back: unguessable without the installation's key, the same for
every attempt at one operation, and of use to people, who can quote it.
"""

import hashlib
import hmac
import re
import secrets

from services.postgres import Queries

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MARKER_CHARS = 10  # 50 bits
INSTALL_KEY_BYTES = 32
MARKER = re.compile(rf"\bP3-[{CROCKFORD}]{{{MARKER_CHARS}}}\b")
LINE = "Part3 ref. {marker}"

KEEP_INSTALL_KEY = """
INSERT INTO mirror.install (install_key) VALUES ($1) ON CONFLICT (one) DO NOTHING
"""
READ_INSTALL_KEY = "SELECT install_key FROM mirror.install"


async def install_key(queries: Queries) -> bytes:
    """Return this installation's key for markers; the first caller ever makes it.

    It must outlive every write that is under way, so it is in the database and not a setting.
    """
    await queries.execute(KEEP_INSTALL_KEY, secrets.token_bytes(INSTALL_KEY_BYTES))
    key: bytes = await queries.fetchval(READ_INSTALL_KEY)
    return key


def op_key(
    *, connection: str, kind: str, source_item: str, source_revision: str, operation: str
) -> str:
    """Name one operation: whoever tries it, and however often, gets the same key.

    Args:
        connection: the Part3 project and the Procore project it is tied to.
        kind: rfi or submittal.
        source_item: the return's id.
        source_revision: what of it is written; a return never changes, so when it was returned.
        operation: rfi_reply or submittal_response.
    """
    parts = (connection, "outbound", kind, source_item, source_revision, operation)
    # lengths in front, so that no two different lists of parts read the same
    joined = "".join(f"{len(part)}:{part}|" for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()


def marker_of(key: bytes, operation_key: str) -> str:
    """Return the marker of an operation, e.g. `P3-7KQ2M9XR4T`."""
    digest = hmac.digest(key, operation_key.encode(), "sha256")
    bits = int.from_bytes(digest, "big")
    return "P3-" + "".join(CROCKFORD[(bits >> (5 * place)) & 31] for place in range(MARKER_CHARS))


def carries(text: str | None, marker: str) -> bool:
    """Tell whether a text holds this marker."""
    return text is not None and marker in MARKER.findall(text)
