"""Field notes 4.4: how each disposition reads in a project, one row of the table a line."""

from typing import get_args

import pytest
from msgspec.structs import replace

from schemas.dispositions import Confirmation, Proposal, SeenResponse
from schemas.records import Disposition
from services.dispositions import Kind, is_answer, loosens, standing_of
from services.procore.models import ResponseOption
from tests.outbound.samples import APPROVED, AS_NOTED, NOON, OPTIONS, REVISE

NOT_REVIEWED = ResponseOption(id="9", name="Not Reviewed", considered="for record only")

# on first connect, with Procore's own default responses: what maps by itself, and to what
TABLE: dict[Disposition, str | None] = {
    "proceed": "Approved",
    "proceed_as_noted": "Approved as Noted",
    "proceed_as_noted_record_copy": None,  # ask
    "revise_resubmit": "Revise and Resubmit",
    "rejected": "Rejected",
    "record_only": "For Record Only",
    "not_reviewed": None,  # never by itself
    "pending": None,  # internal only
    "forwarded": None,  # inbound only
    "void": None,  # inbound only
}


def test_the_table_has_all_ten() -> None:
    assert set(TABLE) == set(get_args(Disposition))


@pytest.mark.parametrize(("disposition", "word"), TABLE.items(), ids=TABLE)
def test_what_maps_by_itself_on_first_connect(disposition: Disposition, word: str | None) -> None:
    response = standing_of(disposition, OPTIONS).response
    assert (response.name if response else None) == word


def option(name: str, considered: str) -> ResponseOption:
    return ResponseOption(id="20", name=name, considered=considered)


NAMES = {
    "a stamp of the field, in the same class": ("proceed", "No Exceptions Taken", "approved", True),
    "both words at once": ("proceed", "Approved / No Exceptions Taken", "approved", True),
    "the name fits, the class does not": ("proceed", "Approved", "approved as noted", False),
    "the class fits, the name does not": ("proceed", "Design Intent Met", "approved", False),
    "make corrections noted": (
        "proceed_as_noted",
        "Make Corrections Noted",
        "approved as noted",
        True,
    ),
    "make corrections noted is never approved": (
        "proceed_as_noted",
        "Make Corrections Noted",
        "approved",
        False,
    ),
    "amend and resubmit": ("revise_resubmit", "Amend & Resubmit", "revise and resubmit", True),
    "R&R": ("revise_resubmit", "R&R", "revise and resubmit", True),
    "not approved": ("rejected", "Not Approved", "rejected", True),
    "for information": ("record_only", "For Information", "for record only", True),
    "not reviewed asks, whatever is there": (
        "not_reviewed",
        "Not Reviewed",
        "for record only",
        False,
    ),
    "a record copy asks": (
        "proceed_as_noted_record_copy",
        "Approved as Noted, Submit for Record",
        "approved as noted",
        False,
    ),
}


@pytest.mark.parametrize(("of", "name", "considered", "maps"), NAMES.values(), ids=NAMES)
def test_name_and_class_must_both_agree(
    of: Disposition, name: str, considered: str, maps: bool
) -> None:
    assert (standing_of(of, [option(name, considered)]).response is not None) is maps


def agreed(disposition: Disposition, response: ResponseOption, *, warned: bool = True) -> Proposal:
    def said(who: str) -> Confirmation:
        return Confirmation(user_id=who, name=who, at=NOON, despite_looser=warned)

    seen = SeenResponse(id=response.id, name=response.name, considered=response.considered)
    return Proposal(
        id="1",
        disposition=disposition,
        response=seen,
        proposed_by="Gale",
        proposed_at=NOON,
        general_contractor=said("Gale"),
        prime_consultant=said("Amy"),
    )


def renamed(response: ResponseOption, name: str) -> tuple[ResponseOption, ...]:
    return tuple(replace(one, name=name) if one == response else one for one in OPTIONS)


BY_AGREEMENT = (agreed("not_reviewed", NOT_REVIEWED),)
# what the contractor did in Procore, the row looked at, and how that row stands then
CHANGES: dict[str, tuple[tuple[ResponseOption, ...], Disposition, Kind]] = {
    "agreed and left alone": ((*OPTIONS, NOT_REVIEWED), "not_reviewed", "agreed"),
    "agreed, then renamed": (
        (*OPTIONS, replace(NOT_REVIEWED, name="No Review Required")),
        "not_reviewed",
        "suspended",
    ),
    "agreed, then moved to another class": (
        (*OPTIONS, replace(NOT_REVIEWED, considered="approved")),
        "not_reviewed",
        "suspended",
    ),
    "agreed, then deleted": (OPTIONS, "not_reviewed", "suspended"),
    "deleted, and every other row stands": (OPTIONS, "proceed", "automatic"),
    "one of its own renamed to something of the firm's": (
        renamed(APPROVED, "OK Harbour"),
        "proceed",
        "none",
    ),
    "renamed, and every other row stands": (
        renamed(APPROVED, "OK Harbour"),
        "proceed_as_noted",
        "automatic",
    ),
    "a second one that fits was added": (
        (*OPTIONS, option("Reviewed", "approved")),
        "proceed",
        "several",
    ),
    "added, and an agreed row does not care": (
        (*OPTIONS, NOT_REVIEWED, option("Returned Without Action", "for record only")),
        "not_reviewed",
        "agreed",
    ),
}


@pytest.mark.parametrize(("options", "row", "kind"), CHANGES.values(), ids=CHANGES)
def test_a_changed_response_suspends_only_its_row(
    options: tuple[ResponseOption, ...], row: Disposition, kind: Kind
) -> None:
    assert standing_of(row, options, BY_AGREEMENT).kind == kind


LOOSER = {
    "rejected as approved as noted, unwarned": ("rejected", AS_NOTED, False, False),
    "rejected as approved as noted, both warned": ("rejected", AS_NOTED, True, True),
    "revise and resubmit as approved, unwarned": ("revise_resubmit", APPROVED, False, False),
    "approved as revise and resubmit, which is stricter": ("proceed", REVISE, False, True),
}


@pytest.mark.parametrize(("of", "response", "warned", "stands"), LOOSER.values(), ids=LOOSER)
def test_a_stricter_code_becomes_a_looser_one_only_where_both_confirm_it_warned(
    of: Disposition, response: ResponseOption, warned: bool, stands: bool
) -> None:
    standing = standing_of(of, [response], [agreed(of, response, warned=warned)])
    assert (standing.kind == "agreed") is stands
    assert not stands or loosens(of, response.considered) is warned


@pytest.mark.parametrize("considered", ["pending", "submitted", "forwarded for review", "void"])
def test_nothing_that_leaves_the_question_open_stands_for_an_answer(considered: str) -> None:
    assert not is_answer(considered)
    mapped = agreed("not_reviewed", option("Whatever", considered))
    assert standing_of("not_reviewed", [option("Whatever", considered)], [mapped]).response is None
