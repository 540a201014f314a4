"""Passwords, kept as scrypt hashes."""

import asyncio
import hashlib
import hmac
import secrets

COST = {"n": 2**14, "r": 8, "p": 1}
MIN_LENGTH = 8


def hash_password(password: str) -> str:
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, **COST)
    return f"scrypt${salt.hex()}${digest.hex()}"


def is_password(password: str, kept: str) -> bool:
    _, salt, digest = kept.split("$")
    tried = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **COST)
    return hmac.compare_digest(tried, bytes.fromhex(digest))


NOBODYS = hash_password(secrets.token_hex(16))


async def check_password(password: str, kept: str | None) -> bool:
    """Take as long for an unknown person as for a known one, and off the event loop."""
    right = await asyncio.to_thread(is_password, password, kept or NOBODYS)
    return right and kept is not None
