import secrets
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from services.settings import Key, KeyRing, Secret
from token_service.grants.seal import (
    FORM,
    FORM_OF_ALL,
    SealBroken,
    Sealed,
    Sealer,
    persons_key,
)

OLD, NEW = Key("old", secrets.token_bytes(32)), Key("new", secrets.token_bytes(32))
SEALER = Sealer(KeyRing((OLD,)))


@given(st.text(), st.text(min_size=1), st.text(min_size=1))
def test_what_is_sealed_opens_in_its_own_place(value: str, user_id: str, column: str) -> None:
    sealed = SEALER.seal(Secret(value), user_id, column)
    assert SEALER.open(sealed, user_id, column).reveal() == value


@pytest.mark.parametrize(
    ("user_id", "column"),
    [("u2", "grants.access"), ("u1", "grants.refresh"), ("u1g", "rants.access")],
)
def test_a_sealed_value_that_was_moved_does_not_open(user_id: str, column: str) -> None:
    sealed = SEALER.seal(Secret("token"), "u1", "grants.access")
    with pytest.raises(SealBroken):
        SEALER.open(sealed, user_id, column)


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_one_flipped_bit_is_enough(place: int, bit: int) -> None:
    sealed = SEALER.seal(Secret("a token of some length"), "u1", "c")
    changed = bytearray(sealed.blob)
    changed[place % len(changed)] ^= 1 << bit
    with pytest.raises(SealBroken):
        SEALER.open(replace(sealed, blob=bytes(changed)), "u1", "c")


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x01" + bytes(12), b"\x02" + bytes(60)])
def test_what_was_never_sealed_does_not_open(blob: bytes) -> None:
    with pytest.raises(SealBroken):
        SEALER.open(Sealed("old", blob), "u1", "c")


def test_every_key_of_the_ring_opens_and_the_first_one_seals() -> None:
    sealed = SEALER.seal(Secret("token"), "u1", "c")
    rotated = Sealer(KeyRing((NEW, OLD)))
    assert rotated.open(sealed, "u1", "c").reveal() == "token"
    assert rotated.seal(Secret("token"), "u1", "c").key_id == "new"


def as_ones_own_key(user_id: str, form: bytes) -> SealBroken | str:
    """Open ben's value by the key of one person, taken for a ring's."""
    sealed = SEALER.seal(Secret("token"), "ben", "c")
    stolen = Sealer(KeyRing((Key("old", persons_key(OLD.secret, user_id)),)))
    try:
        return stolen.open(replace(sealed, blob=form + sealed.blob[1:]), "ben", "c").reveal()
    except SealBroken as error:
        return error


def test_d11_one_persons_key_opens_nobody_elses_values() -> None:
    assert as_ones_own_key("ben", FORM_OF_ALL) == "token"  # so this is how it would be done
    for form in (FORM, FORM_OF_ALL):
        assert isinstance(as_ones_own_key("anna", form), SealBroken)
    assert isinstance(as_ones_own_key("ben", FORM), SealBroken)


def test_what_was_sealed_before_each_person_had_a_key_still_opens() -> None:
    bound = b"".join(len(part).to_bytes(4, "big") + part for part in (b"u1", b"c", b"old"))
    blob = b"\x01" + bytes(12) + AESGCM(OLD.secret).encrypt(bytes(12), b"token", bound)
    assert SEALER.open(Sealed("old", blob), "u1", "c").reveal() == "token"


def test_a_key_that_is_gone_opens_nothing() -> None:
    sealed = SEALER.seal(Secret("token"), "u1", "c")
    with pytest.raises(SealBroken, match="old"):
        Sealer(KeyRing((NEW,))).open(sealed, "u1", "c")


def test_a_sealed_value_cannot_be_passed_off_under_another_keys_name() -> None:
    twin = Sealer(KeyRing((Key("twin", OLD.secret), OLD)))
    sealed = SEALER.seal(Secret("token"), "u1", "c")
    with pytest.raises(SealBroken):
        twin.open(replace(sealed, key_id="twin"), "u1", "c")


def test_the_same_value_never_seals_to_the_same_bytes() -> None:
    assert len({SEALER.seal(Secret("token"), "u1", "c").blob for _ in range(200)}) == 200


def test_nothing_shows_in_a_traceback() -> None:
    sealed = SEALER.seal(Secret("token-canary"), "u1", "c")
    assert "canary" not in f"{sealed!r} {sealed} {SEALER.open(sealed, 'u1', 'c')!r}"
