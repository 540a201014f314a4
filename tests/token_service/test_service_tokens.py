import base64
import json
import secrets
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from services.service_tokens import (
    BadToken,
    issue_launch_token,
    issue_service_token,
    verify_launch_token,
    verify_service_token,
)
from services.settings import Key, KeyRing

NOW = 1_800_000_000.0
FIRST, SECOND, FOREIGN = (Key(name, secrets.token_bytes(32)) for name in ("k1", "k2", "k9"))
RING = KeyRing((FIRST, SECOND))
SERVICE = {"iss": "sync_worker", "aud": "token-service", "iat": int(NOW), "exp": int(NOW) + 300}
LAUNCH = {
    "iss": "part3",
    "aud": "connector",
    "sub": "u-7",
    "name": "Ada Ito",
    "email": "ada@studio.example",
    "iat": int(NOW),
    "exp": int(NOW) + 60,
    "jti": "one-time",
}


def signed(claims: dict[str, Any], key: Key = FIRST, **header: Any) -> str:
    head = {"alg": "HS256", "kid": key.id} | header
    head = {name: value for name, value in head.items() if value is not None}
    return jwt.encode(head, claims, OctKey.import_key(key.secret), algorithms=["HS256", "HS512"])


def unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none", "kid": "k1"}, claims)
    encoded = [
        base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts
    ]
    return ".".join([*encoded, ""])


def now() -> float:
    return NOW


@pytest.mark.parametrize("issuer", ["sync_worker", "operator"])
def test_a_service_token_names_its_caller(issuer: str) -> None:
    assert verify_service_token(RING, issue_service_token(RING, issuer, now=now), now=now) == issuer


def test_every_key_of_the_ring_verifies() -> None:
    assert verify_service_token(RING, signed(SERVICE, SECOND), now=now) == "sync_worker"


WORKERS, OPERATORS = (
    Key(name, secrets.token_bytes(32)) for name in ("sync_worker.1", "operator.1")
)
APART = KeyRing((WORKERS, OPERATORS))


@pytest.mark.parametrize("issuer", ["sync_worker", "operator"])
def test_d15_a_service_signs_with_the_key_that_is_its_own(issuer: str) -> None:
    token = issue_service_token(APART, issuer, now=now)
    assert verify_service_token(APART, token, now=now) == issuer


@pytest.mark.parametrize(
    ("key", "issuer"),
    [(WORKERS, "operator"), (OPERATORS, "sync_worker")],
    ids=str,
)
def test_d15_a_key_that_is_one_services_own_speaks_for_no_other(key: Key, issuer: str) -> None:
    with pytest.raises(BadToken, match="another service"):
        verify_service_token(APART, signed(SERVICE | {"iss": issuer}, key), now=now)


def test_a_launch_token_brings_a_person() -> None:
    token = issue_launch_token(RING, "u-7", "Ada Ito", "ada@studio.example", "j-1", now=now)
    launch = verify_launch_token(RING, token, now=now)
    assert (launch.user_id, launch.name, launch.email) == ("u-7", "Ada Ito", "ada@studio.example")
    assert (launch.token_id, launch.expires_at) == ("j-1", NOW + 60)
    assert "ada@studio" not in repr(launch)


BAD_SERVICE: dict[str, str] = {
    "nothing": "",
    "no JWT": "a.b",
    "alg none": unsigned(SERVICE),
    "another algorithm": signed(SERVICE, alg="HS512"),
    "a foreign key": signed(SERVICE, FOREIGN),
    "a foreign key under our name": signed(SERVICE, FOREIGN, kid="k1"),
    "no kid": signed(SERVICE, kid=None),
    "a kid that is no text": signed(SERVICE, kid=None) and signed(SERVICE) + "x",
    "for another audience": signed(SERVICE | {"aud": "connector"}),
    "from an unknown caller": signed(SERVICE | {"iss": "gateway"}),
    "too old": signed(SERVICE | {"iat": NOW - 400, "exp": NOW - 100}),
    "ending this very second": signed(SERVICE | {"exp": int(NOW), "iat": int(NOW) - 10}),
    "lasting 301 s": signed(SERVICE | {"exp": int(NOW) + 301}),
    "from the future": signed(SERVICE | {"iat": NOW + 60, "exp": NOW + 120}),
    "without iat": signed({k: v for k, v in SERVICE.items() if k != "iat"}),
    "without exp": signed({k: v for k, v in SERVICE.items() if k != "exp"}),
    "with a text as exp": signed(SERVICE | {"exp": str(int(NOW) + 60)}),
    "with true as iat": signed(SERVICE | {"iat": True}),
    "a launch token": signed(LAUNCH),
    "far too long": signed(SERVICE | {"more": "x" * 5_000}),
    "not ASCII": signed(SERVICE) + "é",
}


@pytest.mark.parametrize("what", BAD_SERVICE)
def test_a_service_token_is_not_believed_when_it_is(what: str) -> None:
    with pytest.raises(BadToken):
        verify_service_token(RING, BAD_SERVICE[what], now=now)


BAD_LAUNCH: dict[str, str] = {
    "alg none": unsigned(LAUNCH),
    "a foreign key": signed(LAUNCH, FOREIGN, kid="k1"),
    "too old": signed(LAUNCH | {"iat": NOW - 61, "exp": NOW - 1}),
    "from the future": signed(LAUNCH | {"iat": NOW + 30, "exp": NOW + 60}),
    "ending too far ahead": signed(LAUNCH | {"exp": NOW + 90}),
    "of another issuer": signed(LAUNCH | {"iss": "part4"}),
    "for the internal port": signed(LAUNCH | {"aud": "token-service"}),
    "a service token": signed(SERVICE),
    "without a person": signed({k: v for k, v in LAUNCH.items() if k != "sub"}),
    "without jti": signed({k: v for k, v in LAUNCH.items() if k != "jti"}),
    "with a blank person": signed(LAUNCH | {"sub": " "}),
    "with a number as person": signed(LAUNCH | {"sub": 7}),
    "with a zero byte": signed(LAUNCH | {"name": "a\x00b"}),
    "with a name without end": signed(LAUNCH | {"name": "n" * 600}),
}


@pytest.mark.parametrize("what", BAD_LAUNCH)
def test_a_launch_token_is_not_believed_when_it_is(what: str) -> None:
    with pytest.raises(BadToken):
        verify_launch_token(RING, BAD_LAUNCH[what], now=now)


def test_a_refusal_quotes_nothing_of_the_token() -> None:
    token = signed(SERVICE | {"aud": "canary-aud"}, FOREIGN)
    with pytest.raises(BadToken) as caught:
        verify_service_token(RING, token, now=now)
    assert token not in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
