"""Which response stands for a disposition: by example, and for all values."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.dispositions import PARTIES, Confirmation, Proposal, SeenResponse
from schemas.records import Disposition
from services.dispositions import (
    MEANINGS,
    NO_ANSWER,
    STRICTNESS_OF_CLASS,
    is_answer,
    loosens,
    plain,
    standing_of,
    unconfirmed,
)
from services.procore.models import ResponseOption

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def option(option_id: str, name: str, considered: str) -> ResponseOption:
    return ResponseOption(id=option_id, name=name, considered=considered)


APPROVED = option("2", "Approved", "approved")
DEFAULTS = (
    option("1", "Pending", "pending"),
    APPROVED,
    option("3", "Approved as Noted", "approved as noted"),
    option("4", "Revise and Resubmit", "revise and resubmit"),
    option("5", "Rejected", "rejected"),
    option("6", "For Record Only", "for record only"),
    option("7", "Forwarded for Review", "forwarded for review"),
    option("8", "Void", "void"),
)


def proposal(disposition: Disposition, about: ResponseOption, **changes: Any) -> Proposal:
    """Something both parties confirmed, unwarned."""
    seen = SeenResponse(id=about.id, name=about.name, considered=about.considered)
    plain_one = Proposal(
        id="1",
        disposition=disposition,
        response=seen,
        proposed_by="Gina Castellano",
        proposed_at=NOON,
        general_contractor=Confirmation(user_id="u-gina", name="Gina Castellano", at=NOON),
        prime_consultant=Confirmation(user_id="u-ada", name="Ada Lindqvist", at=NOON),
    )
    return replace(plain_one, **changes)


def response_for(
    disposition: Disposition, options: Sequence[ResponseOption], **given: Any
) -> ResponseOption | None:
    return standing_of(disposition, options, **given).response


ON_FIRST_CONNECT = {
    "proceed": "2",
    "proceed_as_noted": "3",
    "proceed_as_noted_record_copy": None,
    "revise_resubmit": "4",
    "rejected": "5",
    "record_only": "6",
    "not_reviewed": None,
}


@pytest.mark.parametrize(("disposition", "expected"), ON_FIRST_CONNECT.items())
def test_default_responses_map_by_themselves(disposition: Any, expected: str | None) -> None:
    found = response_for(disposition, DEFAULTS)
    assert (found.id if found else None) == expected


MADE_UP = {
    "class alone": option("9", "Looks fine to us", "approved"),
    "name alone": option("9", "Approved", "approved as noted"),
    "another's class": option("9", "No Exceptions Taken", "rejected"),
    "corrections noted, approved": option("9", "Make Corrections Noted", "approved"),
    "what has no class of its own": option("9", "Not Reviewed", "for record only"),
}


@pytest.mark.parametrize("made_up", MADE_UP.values(), ids=MADE_UP)
def test_a_response_maps_by_itself_only_when_name_and_class_agree(made_up: ResponseOption) -> None:
    assert all(response_for(disposition, [made_up]) is None for disposition in MEANINGS)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [(code, stamp) for code, meaning in MEANINGS.items() for stamp in meaning.stamps]
    + [
        ("proceed", "Approved / No Exceptions Taken"),
        ("proceed", "NO EXCEPTIONS  TAKEN"),
        ("proceed", "No Exception Taken"),
        ("proceed", "\uff21pproved"),
        ("revise_resubmit", "Revise & Resubmit"),
    ],
)
def test_the_stamps_of_the_field_are_known(disposition: Any, name: str) -> None:
    considered = MEANINGS[disposition].considered
    named = option("9", name, considered.replace(" ", "_"))
    assert response_for(disposition, [named]) == (named if considered else None)


def test_several_that_fit_are_told_apart_by_the_stamp_or_not_at_all() -> None:
    other = option("9", "No Exceptions Taken", "approved")
    options = (APPROVED, other)
    assert standing_of("proceed", options).kind == "several"
    assert response_for("proceed", options, stamp="No exceptions taken") == other
    assert response_for("proceed", options, stamp="Fine") is None


def test_what_both_confirmed_comes_before_what_agrees() -> None:
    other = option("9", "Released for Construction", "approved")
    agreed = proposal("proceed", other)
    assert response_for("proceed", (*DEFAULTS, other), proposals=[agreed]) == other


@pytest.mark.parametrize("missing", PARTIES)
def test_one_party_alone_maps_nothing(missing: str) -> None:
    custom = option("9", "Returned Without Action", "for record only")
    half = proposal("not_reviewed", custom, **{missing: None})
    standing = standing_of("not_reviewed", (*DEFAULTS, custom), [half])
    assert (standing.kind, standing.response, standing.proposed) == ("none", None, half)
    assert unconfirmed(half) == (missing,)


def test_a_half_confirmed_change_leaves_what_was_there() -> None:
    half = proposal("proceed", DEFAULTS[2], prime_consultant=None)
    assert standing_of("proceed", DEFAULTS, [half]).kind == "automatic"
    custom = option("9", "Released", "approved")
    standing = standing_of("proceed", (*DEFAULTS, custom), [proposal("proceed", custom), half])
    assert (standing.kind, standing.response, standing.proposed) == ("agreed", custom, half)


LOOSER = [
    ("rejected", "approved", True),
    ("rejected", "revise and resubmit", True),
    ("revise_resubmit", "approved as noted", True),
    ("revise_resubmit", "for record only", True),
    ("proceed_as_noted", "approved", True),
    ("proceed_as_noted_record_copy", "approved", True),
    ("proceed_as_noted_record_copy", "approved as noted", False),
    ("not_reviewed", "approved", True),
    ("not_reviewed", "for record only", False),
    ("not_reviewed", "rejected", False),
    ("record_only", "approved", True),
    ("proceed", "approved as noted", False),
    ("proceed", "rejected", False),
    ("rejected", "a class of tomorrow", True),
]


@pytest.mark.parametrize(("disposition", "considered", "looser"), LOOSER)
def test_a_looser_class_is_known(disposition: Any, considered: str, *, looser: bool) -> None:
    assert loosens(disposition, considered) is looser


@pytest.mark.parametrize("considered", ["Pending", "submitted", "forwarded_for_review", "Void"])
def test_what_is_no_answer_never_stands_for_one(considered: str) -> None:
    custom = option("9", "Odd", considered)
    assert not is_answer(considered)
    for disposition in MEANINGS:
        agreed = replace(proposal(disposition, custom), **both(despite_looser=True))
        assert response_for(disposition, [custom], proposals=[agreed]) is None


def both(*, despite_looser: bool) -> dict[str, Confirmation]:
    return {
        party: Confirmation(user_id=party, name=party, at=NOON, despite_looser=despite_looser)
        for party in PARTIES
    }


DISPOSITIONS = st.sampled_from(sorted(MEANINGS))
CLASSES = st.sampled_from([*STRICTNESS_OF_CLASS, *NO_ANSWER, "", "a class of tomorrow"])
NAMES = st.one_of(
    st.sampled_from([stamp for meaning in MEANINGS.values() for stamp in meaning.stamps]),
    st.sampled_from(["Note B", "", "Approved / R&R", "APPROVED!", "Confirm"]),
)
OPTIONS = st.lists(
    st.builds(option, st.sampled_from("abcdef"), NAMES, CLASSES),
    max_size=6,
    unique_by=lambda one: one.id,
)
SAID = st.none() | st.builds(
    Confirmation,
    user_id=st.just("u"),
    name=st.just("N"),
    at=st.just(NOON),
    despite_looser=st.booleans(),
)


@st.composite
def proposals_about(draw: st.DrawFn, options: Sequence[ResponseOption]) -> list[Proposal]:
    """Proposals about responses as they are, or as they were."""
    about = st.builds(option, st.sampled_from("abcdef"), NAMES, CLASSES)
    if options:
        about = st.sampled_from(options) | about
    return [
        replace(
            proposal(draw(DISPOSITIONS), draw(about)),
            general_contractor=draw(SAID),
            prime_consultant=draw(SAID),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]


@given(st.data(), OPTIONS)
def test_a_stricter_code_never_becomes_a_looser_one_unless_both_said_so(
    data: st.DataObject, options: list[ResponseOption]
) -> None:
    proposals = data.draw(proposals_about(options))
    for disposition in MEANINGS:
        sent = response_for(disposition, options, proposals=proposals)
        if sent is None or not loosens(disposition, sent.considered):
            continue
        assert any(
            one.disposition == disposition
            and one.response.id == sent.id
            and one.general_contractor is not None
            and one.general_contractor.despite_looser
            and one.prime_consultant is not None
            and one.prime_consultant.despite_looser
            for one in proposals
        )


@given(st.data(), OPTIONS)
def test_nothing_is_sent_that_neither_agrees_nor_was_agreed_on(
    data: st.DataObject, options: list[ResponseOption]
) -> None:
    proposals = data.draw(proposals_about(options))
    for disposition, meaning in MEANINGS.items():
        standing = standing_of(disposition, options, proposals)
        sent = standing.response
        if sent is None:
            assert standing.kind in ("suspended", "several", "none")
        elif standing.kind == "automatic":
            assert plain(sent.considered) == meaning.considered != ""
        else:
            assert standing.kind == "agreed"
            assert standing.agreed is not None
            assert not unconfirmed(standing.agreed)
            seen = standing.agreed.response
            assert (sent.id, sent.name.split()) == (seen.id, seen.name.split())
            assert plain(sent.considered) == plain(seen.considered)


ANSWERING = OPTIONS.filter(lambda options: any(is_answer(one.considered) for one in options))


@given(st.data(), ANSWERING, NAMES, CLASSES, st.booleans())
def test_a_changed_response_suspends_only_the_rows_that_are_about_it(
    data: st.DataObject,
    options: list[ResponseOption],
    name: str,
    considered: str,
    gone: bool,
) -> None:
    answers = st.sampled_from([one for one in options if is_answer(one.considered)])
    agreed = [
        replace(proposal(code, data.draw(answers)), **both(despite_looser=True))
        for code in MEANINGS
    ]
    before = {code: standing_of(code, options, agreed) for code in MEANINGS}
    changed = data.draw(st.sampled_from(options))
    left = [one for one in options if one.id != changed.id]
    after = left if gone else [*left, option(changed.id, name, considered)]
    for code, was in before.items():
        now = standing_of(code, after, agreed)
        assert was.response is not None
        if was.response.id != changed.id:
            assert (now.kind, now.response) == (was.kind, was.response)
        elif (
            gone
            or name.split() != changed.name.split()
            or plain(considered) != plain(changed.considered)
        ):
            assert (now.kind, now.response) == ("suspended", None)
            assert now.became


@given(OPTIONS, st.builds(option, st.just("new"), NAMES, CLASSES), st.data())
def test_an_added_response_changes_nothing_that_was_agreed_on(
    options: list[ResponseOption], added: ResponseOption, data: st.DataObject
) -> None:
    proposals = data.draw(proposals_about(options))
    for disposition in MEANINGS:
        was = standing_of(disposition, options, proposals)
        if was.agreed is not None:
            now = standing_of(disposition, [*options, added], proposals)
            assert (now.kind, now.response) == (was.kind, was.response)
