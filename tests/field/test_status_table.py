"""The field's status table: what Procore says, and what the design team reads in Part3.

One case a line: what it is, Procore's side, Part3's words, and its state on the wire.
"""

from typing import Any

import pytest

from sandbox.part3.pages.stages import ending_of, stage_of
from services.procore.reading import read_rfi, read_submittal
from sync_worker.inbound.mirror import is_draft
from sync_worker.inbound.rounds import Round
from tests.field.sides import (
    AMY,
    GUS,
    PAT,
    SAM,
    TEAM,
    held,
    is_submittal,
    reply,
    rfi,
    step,
    submittal,
)

ASKED_AGAIN = (Round(because="opened"), Round(because="clarification", before=("901",)))
REOPENED = (Round(because="opened"), Round(because="reopened", before=("901",)))
WITH_GUS: dict[str, Any] = {"ball_in_courts": [GUS]}
NOWHERE: dict[str, Any] = {"ball_in_courts": [], "ball_in_court": None}
CLOSED: dict[str, Any] = {"status": "closed"} | NOWHERE


def status(name: str, of_class: str) -> dict[str, Any]:
    return {"status": {"name": name, "status": of_class}}


RFIS: list[tuple[str, dict[str, Any], Any, str, str]] = [
    # what it is, in Procore, rounds, Part3 reads, on the wire
    ("Draft, where drafts are shown", rfi(status="draft"), (), "Upcoming", "draft"),
    ("Open, ball at design team", rfi(), (), "In review", "open"),
    ("Open, ball at another", rfi(**WITH_GUS), (), "Open, not with the design team", "open"),
    ("Open, our reply posted, ball at RFI Manager", rfi(reply(AMY, 1), **WITH_GUS), (),
     "Returned, awaiting the contractor", "open"),
    ("Open again at us after a reply", rfi(reply(AMY, 1), reply(GUS, 2)), ASKED_AGAIN,
     "Clarification requested, round 2", "open"),
    ("Open again, answered again", rfi(reply(AMY, 1), reply(AMY, 2), **WITH_GUS), ASKED_AGAIN,
     "Returned, awaiting the contractor", "open"),
    ("Reopened", rfi(reply(AMY, 1)), REOPENED, "Reopened, round 2", "open"),
    ("Closed", rfi(reply(AMY, 1, official=True), **CLOSED), (), "Closed", "closed"),
    ("Closed with revision", rfi(status="closed_with_revision", **NOWHERE), (), "Closed", "closed"),
    ("Closed-Draft", rfi(status="closed_draft", **NOWHERE), (), "Withdrawn", "withdrawn"),
    ("Recycle bin", rfi(deleted=True), (), "Removed in Procore", "removed"),
    ("A status of next year", rfi(status="parked"), (), "In review", "open"),
]  # fmt: skip
SUBMITTALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("Draft", submittal(**status("Draft", "Draft"), ball_in_court=[]), "Upcoming", "draft"),
    ("Open, ball elsewhere", submittal(ball_in_court=[GUS]), "In workflow, read-only", "open"),
    ("Open, ball at our approver", submittal(), "In review", "open"),
    ("our approver responded", submittal(step(3, AMY, "approved"), ball_in_court=[GUS]),
     "Returned", "open"),
    ("one of two parallel approvers responded",
     submittal(step(3, AMY, "approved"), step(3, SAM), ball_in_court=[SAM]), "In review", "open"),
    ("forwarded for review to somebody outside",
     submittal(step(3, AMY, "forwarded for review", returned_date=None), step(3, PAT),
               ball_in_court=[PAT]), "In workflow, read-only", "open"),
    ("rejected with reject workflow on: the manager decides",
     submittal(step(3, AMY, "rejected"), step(4, SAM), ball_in_court=[GUS]), "Returned", "open"),
    ("rejected with reject workflow off: it goes on",
     submittal(step(3, AMY, "rejected"), step(4, SAM), ball_in_court=[SAM]), "In review", "open"),
    ("Closed, not distributed", submittal(**status("Closed", "Closed"), ball_in_court=[]),
     "Closed, not distributed", "closed"),
    ("Closed, distributed", submittal(**status("Closed", "Closed"), ball_in_court=[],
     distributed_at="2026-11-24T09:30:00Z"), "Distributed", "distributed"),
    ("custom status of class Closed", submittal(**status("Open items settled", "Closed"),
     ball_in_court=[]), "Closed, not distributed", "closed"),
    ("custom status of class Open", submittal(**status("Closed for review", "Open")),
     "In review", "open"),
    ("custom status of class Draft", submittal(**status("Open soon", "Draft"), ball_in_court=[]),
     "Upcoming", "draft"),
    ("a status class of next year", submittal(**status("Parked", "Parked")), "In review", "open"),
    ("Recycle bin", submittal(deleted_at="2026-11-24T00:00:00Z"), "Removed in Procore", "removed"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "procore", "rounds", "reads", "wire"), RFIS)
def test_an_rfi_reads_as_the_status_table_says(
    case: str, procore: dict[str, Any], rounds: Any, reads: str, wire: str
) -> None:
    record = held(procore, rounds=rounds)
    assert (stage_of(record, TEAM).word, record.status) == (reads, wire), case


@pytest.mark.parametrize(("case", "procore", "reads", "wire"), SUBMITTALS)
def test_a_submittal_reads_as_the_status_table_says(
    case: str, procore: dict[str, Any], reads: str, wire: str
) -> None:
    record = held(procore)
    assert (stage_of(record, TEAM).word, record.status) == (reads, wire), case


DRAFTS = [
    # what it is, in Procore, kept back where drafts are not shown
    ("RFI Draft", rfi(status="draft"), True),
    ("RFI Closed-Draft that was never opened", rfi(status="closed_draft"), True),
    ("RFI Open", rfi(), False),
    ("Submittal Draft", submittal(**status("Draft", "Draft")), True),
    ("Submittal with a custom status of class Draft", submittal(**status("X", "draft")), True),
    ("Submittal Open", submittal(), False),
]


@pytest.mark.parametrize(("case", "procore", "kept_back"), DRAFTS)
def test_drafts_are_told_by_their_class(
    case: str, procore: dict[str, Any], *, kept_back: bool
) -> None:
    source = read_submittal(procore) if is_submittal(procore) else read_rfi(procore, full=True)
    assert is_draft(source) is kept_back, case


ENDINGS: list[tuple[str, dict[str, Any], str | None]] = [
    ("closed with the architect's official reply",
     rfi(reply(AMY, 1, official=True), **CLOSED), None),
    ("closed with the contractor's own official reply",
     rfi(reply(AMY, 1), reply(GUS, 2, official=True), **CLOSED),
     "Closed with an official reply that is not the design team's, by Gus Ortega."),
    ("closed with two official replies, one of them ours",
     rfi(reply(AMY, 1, official=True), reply(GUS, 2, official=True), **CLOSED), None),
    ("closed with no reply marked official",
     rfi(reply(AMY, 1), **CLOSED), "Closed without an official reply."),
    ("withdrawn", rfi(status="closed_draft", **NOWHERE),
     "The contractor closed this draft without opening it. Nothing is asked."),
    ("still open", rfi(reply(AMY, 1, official=True)), None),
    ("distributed with a result",
     submittal(step(3, AMY, "approved as noted"), **status("Closed", "Closed"), ball_in_court=[],
               distributed_at="2026-11-24T09:30:00Z",
               last_distributed_submittal={"distributed_by": GUS, "distributed_to": [PAT]}),
     "Distributed by Gus Ortega to Pat Holm. Result: Approved As Noted by Amy Lind."),
]  # fmt: skip


@pytest.mark.parametrize(("case", "procore", "words"), ENDINGS)
def test_how_a_record_ended_is_said(case: str, procore: dict[str, Any], words: str | None) -> None:
    told = ending_of(held(procore), TEAM)
    assert (told[1] if told else None) == words, case


def test_a_reply_returned_from_part3_is_ours_whoever_is_named() -> None:
    other = {"id": 77, "name": "Ada Finch"}
    value = rfi(reply(other, 1, official=True), **CLOSED)
    assert ending_of(held(value), TEAM) is not None
    assert ending_of(held(value, ours={"901": "ret_1"}), TEAM) is None


def test_a_status_that_nobody_knows_is_shown_with_a_line_that_says_so() -> None:
    told = held(rfi(status="parked")).extras["Status not known"]
    assert told == "“parked” in Procore, shown as open until that is settled"
    assert "Status not known" in held(submittal(**status("Parked", "Parked"))).extras
    assert "Status not known" not in held(rfi()).extras
    assert "Status not known" not in held(submittal()).extras
