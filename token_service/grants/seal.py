"""Seals tokens with AES-256-GCM, bound to the row and column they stand in.

A sealed value that is moved to another row, column or key name does not open; nothing is ever
returned from one that was changed. Each person's values are sealed by a key of their own, derived
from the ring's by HKDF (RFC 5869): that one opens nobody else's.
"""

import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.settings import KeyRing, Secret

FORM = b"\x02"  # the layout below; another one gets another first byte
FORM_OF_ALL = b"\x01"  # the same under the ring's key itself: opened still, sealed no more
NONCE_BYTES = 12  # 96 random bits a value: far below 2**32 values a key
KEY_BYTES = 32


class SealBroken(Exception):  # noqa: N818 - says what was found
    """A sealed value does not open: moved, changed, or its key is not in the ring."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed value and the name of its key; safe to store, and to show in a traceback."""

    key_id: str
    blob: bytes

    def __repr__(self) -> str:
        return f"Sealed(key_id={self.key_id!r}, {len(self.blob)} bytes)"


class Sealer:
    """Seals with the ring's first key, opens with all."""

    def __init__(self, ring: KeyRing) -> None:
        self._first = ring.first.id
        self._secrets = {key.id: key.secret for key in ring.keys}

    @property
    def key_id(self) -> str:
        """The key that seals now; whatever another one sealed is due to be sealed again."""
        return self._first

    def seal(self, value: Secret, user_id: str, column: str) -> Sealed:
        """Seal a value for one column of one person's row."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        bound = _bound_to(user_id, column, self._first)
        cipher = AESGCM(persons_key(self._secrets[self._first], user_id))
        blob = cipher.encrypt(nonce, value.reveal().encode(), bound)
        return Sealed(self._first, FORM + nonce + blob)

    def open(self, sealed: Sealed, user_id: str, column: str) -> Secret:
        """Return what was sealed for this very place.

        Raises:
            SealBroken: it was not, or not by a key of the ring.
        """
        secret = self._secrets.get(sealed.key_id)
        if secret is None:
            raise SealBroken(f"the key {sealed.key_id!r} is not in TOKEN_ENCRYPTION_KEYS")
        form, rest = sealed.blob[:1], sealed.blob[1:]
        nonce, blob = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
        if form not in (FORM, FORM_OF_ALL):
            raise SealBroken("the sealed value has an unknown form")
        key = persons_key(secret, user_id) if form == FORM else secret
        try:
            value = AESGCM(key).decrypt(nonce, blob, _bound_to(user_id, column, sealed.key_id))
        except (InvalidTag, ValueError) as error:
            raise SealBroken("the sealed value was changed or moved") from error
        return Secret(value.decode())


def persons_key(secret: bytes, user_id: str) -> bytes:
    """Return the 32 bytes that seal one person's values; nothing leads back to `secret`."""
    about = b"grants/" + user_id.encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=about).derive(secret)


def _bound_to(user_id: str, column: str, key_id: str) -> bytes:
    """Return the associated data; with lengths, so that no two places read the same."""
    parts = [part.encode() for part in (user_id, column, key_id)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
