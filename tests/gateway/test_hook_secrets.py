import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hook_secrets import hook_secret, hook_url, is_hook_secret
from services.settings import Key, KeyRing
from tests.gateway.stage import KEYS, part3, procore, signed, stage
from webhook_gateway.requests import hook_of

NEW, OLD = Key("new", b"n" * 32), Key("old", b"o" * 32)
RING = KeyRing((NEW, OLD))
project_ids = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60).filter(
    lambda text: text not in (".", "..")
)
generations = st.integers(1, 999_999_999)


def test_a_secret_is_made_as_the_contract_says() -> None:
    digest = hmac.new(b"key", b"procore/project-1/7", hashlib.sha256).digest()
    encoded = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert hook_secret(b"key", "project-1", 7) == f"Bearer {encoded}"


@given(project_ids, generations)
def test_every_key_of_the_ring_is_good_and_no_other(project_id: str, generation: int) -> None:
    for key in (NEW, OLD):
        sent = hook_secret(key.secret, project_id, generation).encode()
        assert is_hook_secret(RING, [sent], project_id, generation)
        assert not is_hook_secret(RING, [sent], project_id, generation + 1)
        assert not is_hook_secret(RING, [sent], project_id + "x", generation)
        assert not is_hook_secret(RING, [sent, sent], project_id, generation)
    retired = hook_secret(b"r" * 32, project_id, generation).encode()
    assert not is_hook_secret(RING, [retired], project_id, generation)


@given(st.lists(st.binary(max_size=80), max_size=3))
def test_nothing_else_is_good(sent: list[bytes]) -> None:
    assert not is_hook_secret(RING, sent, "project-1", 1)


@given(project_ids, generations)
def test_the_url_leads_back_to_the_project_and_generation(project_id: str, generation: int) -> None:
    base = "https://hooks.example.test"
    url = hook_url(base + "/", project_id, generation)
    assert url.isascii()
    path = url.removeprefix(base)
    assert hook_of(path.encode()) == (project_id, generation)


def test_the_url_encodes_what_has_a_meaning_in_a_path() -> None:
    assert (
        hook_url("https://x.test", "a/b c%?#é", 2)
        == "https://x.test/procore/a%2Fb%20c%25%3F%23%C3%A9/2"
    )


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    really = hmac.compare_digest

    def compare_digest(ours: bytes, sent: bytes) -> bool:
        compared.append(ours)
        return really(ours, sent)

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    good = hook_secret(NEW.secret, "project-1", 1).encode()
    for sent in ([good], [b"Bearer wrong"], []):
        compared.clear()
        is_hook_secret(RING, sent, "project-1", 1)
        assert compared == [hook_secret(key.secret, "project-1", 1).encode() for key in (NEW, OLD)]


async def test_d18_a_dead_letter_holds_nothing_that_a_sender_proves_itself_with() -> None:
    secret = hook_secret(KEYS.first.secret, "project-1", 3).encode()
    claim = signed(b"no JSON")
    async with stage() as gateway:
        hooks = procore(b"no JSON", b"Cookie: canary=1", authorization=secret)
        assert (await gateway.send(hooks)).statuses == [204]
        parts = part3(b"no JSON", claim, b"Authorization: Bearer canary-2")
        assert (await gateway.send(parts)).statuses == [202]
    letters = gateway.kafka.written
    assert [letter.value for letter in letters] == [b"no JSON"] * 2
    kept = b" ".join(
        part
        for letter in letters
        for name, value in letter.headers.items()
        for part in (letter.key or b"", name.encode(), value)
    )
    for proof in (secret, claim["webhook-signature"].encode(), b"canary"):
        assert proof not in kept
