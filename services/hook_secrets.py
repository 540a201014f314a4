"""What proves that a delivery is Procore's: the `Authorization` value we registered with the hook.

The value is derived from the Part3 project and the hook's generation, so the gateway needs no store
to know it: `Bearer base64url(HMAC-SHA256(key, "procore/" + project id + "/" + generation))`.
"""

import base64
import hmac
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from services.settings import KeyRing

SECRET_LENGTH = len("Bearer ") + 43  # base64 of 32 bytes without its padding
NO_SECRET = bytes(SECRET_LENGTH)
MAX_KNOWN = 8_192  # of about 200 bytes each


def hook_secret(key: bytes, project_id: str, generation: int) -> str:
    """Return the `Authorization` value of a project's hook.

    Args:
        key: decoded bytes of one key of `WEBHOOK_SECRET_KEYS`.
        project_id: Part3's, as it is, not percent-encoded.
        generation: 1 or more; one more at each rotation or re-creation of the hook.
    """
    return _secret(key, _message(project_id, generation)).decode()


def is_hook_secret(ring: KeyRing, sent: Sequence[bytes], project_id: str, generation: int) -> bool:
    """Tell whether the `Authorization` values of a request prove that the hook is ours.

    Takes the same time whatever was sent: texts of equal length are compared, with every key.

    Args:
        ring: all keys are accepted, so that one can be rotated.
        sent: every `Authorization` value of the request; exactly one is right.
        project_id: from the hook's URL.
        generation: from the hook's URL.
    """
    got = sent[0] if len(sent) == 1 and len(sent[0]) == SECRET_LENGTH else NO_SECRET
    message = _message(project_id, generation)
    proven = False
    for key in ring.keys:
        proven |= hmac.compare_digest(_secret(key.secret, message), got)
    return proven


def hook_url(gateway_public_url: str, project_id: str, generation: int) -> str:
    """Return where Procore sends a hook's deliveries; the project id is percent-encoded in it."""
    return f"{gateway_public_url.rstrip('/')}/procore/{quote(project_id, safe='')}/{generation}"


def _message(project_id: str, generation: int) -> bytes:
    return f"procore/{project_id}/{generation}".encode()


@lru_cache(maxsize=MAX_KNOWN)  # also of hooks that are none: asking again never tells which are
def _secret(key: bytes, message: bytes) -> bytes:
    digest = hmac.digest(key, message, "sha256")
    return b"Bearer " + base64.urlsafe_b64encode(digest)[:-1]
