"""Short-lived JWTs (HS256): between our services, and Part3's that bring a person to our pages.

Keys come as a ring: the first one signs, all verify, and the token's `kid` says which. A token is
believed only for its audience, from a known issuer, and for no longer than was agreed. A key whose
id begins with a service's name and a dot, `operator.2`, speaks for that service alone.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from services.settings import Key, KeyRing

ALGORITHM = "HS256"
SERVICE_AUDIENCE = "token-service"
SERVICE_ISSUERS = ("sync_worker", "operator")
SERVICE_LASTS_S = 300
LAUNCH_AUDIENCE = "connector"
LAUNCH_ISSUER = "part3"
LAUNCH_LASTS_S = 60
SKEW_S = 5.0  # how far the issuer's clock may run ahead of ours
MAX_TOKEN_CHARACTERS = 4_096
MAX_CLAIM_CHARACTERS = 512

Clock = Callable[[], float]


class BadToken(Exception):  # noqa: N818 - says what came
    """The token is not believed. The message is for our log, never for who sent it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A person whom Part3 sends to our pages.

    Attributes:
        token_id: `jti`, good once until `expires_at` (Unix seconds).
    """

    user_id: str
    name: str
    email: str
    token_id: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Launch(user_id={self.user_id!r}, ***)"


def issue_service_token(
    ring: KeyRing, issuer: str, *, lasts_s: int = SERVICE_LASTS_S, now: Clock = time.time
) -> str:
    """Return a token with which `issuer` calls the token service's internal port."""
    issued_at = int(now())
    claims = {
        "iss": issuer,
        "aud": SERVICE_AUDIENCE,
        "iat": issued_at,
        "exp": issued_at + lasts_s,
    }
    return _sign(_speaking_for(ring, issuer), claims)


def are_apart(ring: KeyRing) -> bool:
    """Tell whether operators have a key of their own, so that theirs is not the workers'."""
    return any(_speaker_of(key) == "operator" for key in ring.keys)


def verify_service_token(ring: KeyRing, token: str, *, now: Clock = time.time) -> str:
    """Return who calls the internal port: `sync_worker` or `operator`.

    Raises:
        BadToken: anything about it is not as agreed.
    """
    claims, key = _verified(ring, token)
    expires_at = _check_times(claims, now())
    if expires_at > _moment(claims, "iat") + SERVICE_LASTS_S:
        raise BadToken("it was made to last too long")
    _check_audience(claims, SERVICE_AUDIENCE)
    issuer = claims.get("iss")
    if issuer not in SERVICE_ISSUERS:
        raise BadToken("the issuer is none of our services")
    if _speaker_of(key) not in (None, issuer):
        raise BadToken("its key is that of another service")
    return str(issuer)


def issue_launch_token(
    ring: KeyRing,
    user_id: str,
    name: str,
    email: str,
    token_id: str,
    *,
    lasts_s: int = LAUNCH_LASTS_S,
    now: Clock = time.time,
) -> str:
    """Return a launch token as Part3 signs it: for its stand-in and for tests."""
    issued_at = int(now())
    claims = {
        "iss": LAUNCH_ISSUER,
        "aud": LAUNCH_AUDIENCE,
        "sub": user_id,
        "name": name,
        "email": email,
        "iat": issued_at,
        "exp": issued_at + lasts_s,
        "jti": token_id,
    }
    return _sign(ring.first, claims)


def verify_launch_token(ring: KeyRing, token: str, *, now: Clock = time.time) -> Launch:
    """Return whom Part3 sends. That `jti` is used once is the caller's to hold.

    Raises:
        BadToken: anything about it is not as agreed.
    """
    claims, _ = _verified(ring, token)
    present = now()
    expires_at = _check_times(claims, present)
    if expires_at > present + LAUNCH_LASTS_S + SKEW_S:
        raise BadToken("it ends too far ahead")
    _check_audience(claims, LAUNCH_AUDIENCE)
    if claims.get("iss") != LAUNCH_ISSUER:
        raise BadToken("the issuer is not Part3")
    return Launch(
        user_id=_text(claims, "sub"),
        name=_text(claims, "name"),
        email=_text(claims, "email"),
        token_id=_text(claims, "jti"),
        expires_at=expires_at,
    )


def _speaker_of(key: Key) -> str | None:
    """Return the one service that a key speaks for, or None where it speaks for all."""
    speaker, dot, _ = key.id.partition(".")
    return speaker if dot and speaker in SERVICE_ISSUERS else None


def _speaking_for(ring: KeyRing, issuer: str) -> Key:
    """Return the first key that may sign for a service; else the first, which is not believed."""
    return next((key for key in ring.keys if _speaker_of(key) in (None, issuer)), ring.first)


def _sign(key: Key, claims: Mapping[str, Any]) -> str:
    header = {"alg": ALGORITHM, "kid": key.id}
    return jwt.encode(header, dict(claims), OctKey.import_key(key.secret))


def _verified(ring: KeyRing, token: str) -> tuple[Mapping[str, Any], Key]:
    """Return a token's claims and the key that signed them; the algorithm is ours to name."""
    if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
        raise BadToken("it is no JWT of ours")

    used: list[Key] = []

    def key_of(sent: Any) -> OctKey:
        key_id = sent.headers().get("kid")
        key = ring.get(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise BadToken("its key is not known")
        used.append(key)
        return OctKey.import_key(key.secret)

    try:
        claims = jwt.decode(token, key_of, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError) as error:
        # the library's own words may quote the token
        raise BadToken(f"it cannot be verified ({type(error).__name__})") from None
    if not isinstance(claims, dict):
        raise BadToken("its claims are no object")
    return claims, used[0]


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """Return when it ends, Unix seconds."""
    issued_at, expires_at = _moment(claims, "iat"), _moment(claims, "exp")
    if expires_at <= now:
        raise BadToken("it is too old")
    if issued_at > now + SKEW_S:
        raise BadToken("it is from the future")
    if expires_at <= issued_at:
        raise BadToken("it ends before it begins")
    if "nbf" in claims and _moment(claims, "nbf") > now + SKEW_S:
        raise BadToken("it is not valid yet")
    return expires_at


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadToken(f"{name} is no time")
    return float(value)


def _check_audience(claims: Mapping[str, Any], wanted: str) -> None:
    audience = claims.get("aud")
    sent: Sequence[Any] = audience if isinstance(audience, list) else [audience]
    if wanted not in sent:
        raise BadToken("it is meant for somebody else")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_CLAIM_CHARACTERS:
        raise BadToken(f"{name} is missing or no text")
    if "\x00" in value:
        raise BadToken(f"{name} holds a zero byte")
    return value
