"""What a submittal of Procore's becomes in Part3."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.records import Person
from services.procore.reading import read_submittal
from sync_worker.inbound.translate import attachments_of
from tests.inbound.samples import SUBMITTAL_ITEM, submittal_record

DISTRIBUTED: dict[str, Any] = {
    "distributed_at": "2026-11-24T00:30:00Z",
    "closed_at": "2026-11-23T22:00:00Z",
}


def classed(status_class: Any, name: str = "Out to the design team") -> dict[str, Any]:
    return {"status": {"id": 1, "name": name, "status": status_class}}


def test_a_submittal_keeps_the_words_people_know_it_by() -> None:
    record = submittal_record()
    assert (record.kind, record.procore_id) == ("submittal", "9007199254740995")
    assert (record.number, record.revision) == ("05 12 00-7", "2")
    assert record.previous_revision == "9007199254740001"
    assert (record.status, record.status_label) == ("open", "Out to the design team")
    assert (record.type, record.package) == ("Shop Drawing", "Steel, phase 1")
    assert (record.due_on, record.opened_on) == (date(2026, 12, 4), date(2026, 11, 18))


def test_a_description_is_unescaped_once() -> None:
    assert submittal_record().description == "Bolts & plates, t < 20 mm; the maker writes &amp;"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (classed("Draft"), "draft"),
        (classed("Open", name="Closed for review"), "open"),
        (classed("Closed", name="Open items"), "closed"),
        (classed("Closed") | DISTRIBUTED, "distributed"),
        (classed("Open") | DISTRIBUTED, "open"),
        (classed("On hold"), "open"),
        (classed(None), "open"),
        ({"status": "Weird"}, "open"),
        (classed("Closed") | {"deleted": True}, "removed"),
    ],
)
def test_a_status_hangs_off_its_class_and_never_off_its_name(
    fields: dict[str, Any], expected: str
) -> None:
    assert submittal_record(**fields).status == expected


def test_distribution_and_closing_keep_their_dates() -> None:
    record = submittal_record(**classed("Closed"), **DISTRIBUTED)
    assert record.distributed_at == datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    assert record.closed_on == date(2026, 11, 23)


def test_the_workflow_stands_in_the_order_of_its_steps() -> None:
    first, second = submittal_record(files=("601", "602")).workflow
    assert (first.procore_id, first.step, first.role) == ("5001", 1, "submitter")
    assert (second.procore_id, second.step, second.role) == ("5002", 2, "approver")
    assert second.person == Person(name="Amy Lind", procore_id="31", email="amy@arch.example")
    assert second.comment == "Torque & washers as noted"
    assert second.responded_at == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert second.due_on == date(2026, 12, 4)
    assert [file.procore_id for file in second.files] == ["602"]


@pytest.mark.parametrize(
    ("considered", "disposition"),
    [
        ("approved", "proceed"),
        ("Approved As Noted", "proceed_as_noted"),
        ("for record only", "record_only"),
        ("forwarded for review", "forwarded"),
        ("pending", "pending"),
        ("rejected", "rejected"),
        ("revise and resubmit", "revise_resubmit"),
        ("void", "void"),
        ("submitted", None),
        ("a class of next year", None),
    ],
)
def test_a_response_keeps_its_name_and_gets_the_disposition_of_its_class(
    considered: str, disposition: str | None
) -> None:
    row = SUBMITTAL_ITEM["approvers"][0]
    response = {"id": 9, "name": "Our word for it", "considered": considered}
    (step,) = submittal_record(approvers=[row | {"response": response}]).workflow
    assert (step.response, step.disposition) == ("Our word for it", disposition)


def test_a_row_without_a_response_has_none() -> None:
    row = SUBMITTAL_ITEM["approvers"][0] | {"response": None, "returned_date": None}
    (step,) = submittal_record(approvers=[row]).workflow
    assert (step.response, step.disposition, step.responded_at) == (None, None, None)


def test_an_older_revision_says_that_it_is_superseded() -> None:
    assert submittal_record(current_revision=False).extras["superseded"] is True
    assert "superseded" not in submittal_record().extras


def test_what_has_no_place_of_its_own_is_a_labelled_extra() -> None:
    assert submittal_record(files=("601", "602")).extras == {
        "Received from": "Pat Holm",
        "Responsible contractor": "Holm Steel",
        "Issued on": "2026-11-18",
        "Received on": "2026-11-17",
        "Required on site": "2027-02-01",
        "Lead time (days)": 30,
        "Distribution": "Ada Finch",
        "Sent for review": "Pat Holm 2026-11-16; Amy Lind 2026-11-19",
    }


def test_files_count_by_the_files_own_id() -> None:
    assert [one.id for one in attachments_of(read_submittal(SUBMITTAL_ITEM))] == ["601", "602"]
    assert submittal_record(files=("601",)).extras["files_pending"] == 1


def test_a_show_reads_as_its_list_item() -> None:
    show = {
        "attachments": SUBMITTAL_ITEM["associated_attachments"],
        "associated_attachments": None,
        "distributed_submittals": [],
        "is_rejected": False,
    }
    listed, shown = submittal_record(), submittal_record(**show)
    assert listed.content_version == shown.content_version
