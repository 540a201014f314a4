"""What an RFI of Procore's becomes in Part3."""

import copy
from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.records import Person
from services.procore.reading import read_rfi
from sync_worker.inbound.translate import attachments_of
from tests.inbound.samples import RFI_SHOW, rfi_record


def with_question(**fields: Any) -> dict[str, Any]:
    question = copy.deepcopy(RFI_SHOW["questions"][0])
    return {"questions": [question | fields]}


def test_an_rfi_keeps_the_words_people_know_it_by() -> None:
    record = rfi_record()
    assert (record.kind, record.procore_id, record.number) == ("rfi", "2764310", "A-014")
    assert record.title == "Anchor bolt pattern at grid C-4"
    assert (record.status, record.status_label, record.private) == ("open", "Open", True)
    assert (record.due_on, record.opened_on) == (date(2026, 12, 1), date(2026, 11, 20))
    assert record.closed_on is None
    assert record.spec_section == "05 12 00 - Structural Steel"
    assert record.procore_url == RFI_SHOW["link"]


def test_an_rfi_names_the_revision_it_supersedes() -> None:
    record = rfi_record()
    assert (record.revision, record.previous_revision) == ("1", "2764001")


def test_an_rfi_that_is_its_own_source_supersedes_nothing() -> None:
    assert rfi_record(source_rfi_header_id=2764310).previous_revision is None


def test_a_plain_number_serves_where_there_is_no_full_one() -> None:
    assert rfi_record(full_number=None).number == "14"


def test_a_draft_without_a_number_has_an_empty_one() -> None:
    assert rfi_record(full_number=None, number=None, status="draft").number == ""


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("draft", "draft"),
        ("open", "open"),
        ("closed", "closed"),
        ("closed_with_revision", "closed"),
        ("closed_draft", "withdrawn"),
        ("recycled", "open"),
        ("closed_by_owner", "closed"),
    ],
)
def test_a_status_is_mapped_by_its_class(status: str, expected: str) -> None:
    record = rfi_record(status=status, translated_status="As the GC calls it")
    assert (record.status, record.status_label) == (expected, "As the GC calls it")


def test_a_status_without_a_translated_word_gets_the_fields_own() -> None:
    assert rfi_record(status="closed_draft", translated_status=None).status_label == "Closed-Draft"


@pytest.mark.parametrize("fields", [{"deleted": True}, {"deleted_at": "2026-11-24T00:00:00Z"}])
def test_an_rfi_in_the_recycle_bin_is_removed_and_keeps_its_content(fields: dict[str, Any]) -> None:
    record = rfi_record(**fields)
    assert record.status == "removed"
    assert record.title
    assert record.replies


def test_people_are_named_with_the_id_that_identifies_them() -> None:
    record = rfi_record()
    amy = Person(name="Amy Lind", procore_id="31", email="amy@arch.example")
    assert record.ball_in_court == (amy,)
    assert [one.procore_id for one in record.assignees] == ["31", "32"]
    assert record.manager == Person(name="Gus Ortega", procore_id="12", email="gus@gc.example")


def test_the_question_keeps_its_form_and_loses_what_could_run() -> None:
    question = rfi_record().question
    assert question is not None
    assert "<b>S-201</b>" in question
    assert "detail 7" in question
    assert "javascript" not in question
    assert "run()" not in question


def test_a_question_in_plain_text_keeps_its_signs() -> None:
    fields = with_question(rich_text_body=None, plain_text_body="span <12 m & load >3 kN")
    assert rfi_record(**fields).question == "span &lt;12 m &amp; load &gt;3 kN"


def test_replies_stand_in_the_order_they_were_given() -> None:
    replies = rfi_record().replies
    assert [one.procore_id for one in replies] == ["9201", "9202"]
    assert [one.official for one in replies] == [False, True]
    assert replies[0].text == "Load &lt; 3 kN &amp; fine."
    amy = Person(name="Amy Lind", procore_id="31", email="amy@arch.example")
    assert replies[1].author == amy
    assert replies[1].created_at == datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_a_reply_that_came_from_part3_names_its_return() -> None:
    replies = rfi_record(return_ids={"9202": "ret_7"}).replies
    assert [one.return_id for one in replies] == [None, "ret_7"]


def test_a_reply_without_a_date_stays_the_same_when_the_rfi_changes() -> None:
    answers = [{"id": 5, "plain_text_body": "x"}]
    one = rfi_record(**with_question(answers=answers))
    other = rfi_record(updated_at="2026-12-24T00:00:00Z", **with_question(answers=answers))
    assert one.replies == other.replies


def test_files_that_are_not_here_yet_are_counted() -> None:
    record = rfi_record(files=("801",))
    assert [file.procore_id for file in record.files] == ["801"]
    assert record.extras.get("files_pending") == 2


def test_nothing_is_pending_once_every_file_is_here() -> None:
    record = rfi_record(files=("801", "802", "803"))
    assert "files_pending" not in record.extras
    assert [file.procore_id for file in record.replies[1].files] == ["803"]


def test_what_has_no_place_of_its_own_is_a_labelled_extra() -> None:
    extras = rfi_record(files=("801", "802", "803")).extras
    assert extras == {
        "Location": "Level 2 > East",
        "Cost code": "Steel",
        "Drawing number": "S-201",
        "Reference": "Detail 7",
        "Received from": "Pat Holm",
        "Responsible contractor": "Holm Steel",
        "Cost impact": "yes known (1200)",
        "Schedule impact": "tbd",
        "Custom field 5512": "Zone North",
        "Custom field 5513": False,
        "Distribution": "Ada Finch, Gus Ortega",
        "Answer required from": "Amy Lind (Lind Architects)",
        "participants": [
            "amy@arch.example",
            "gus@gc.example",
            "pat@steel.example",
            "sam@struct.example",
        ],
    }


@pytest.mark.parametrize("value", ["1200.0", "1200.00", 1200, 1200.0])
def test_a_cost_reads_the_same_from_a_list_and_from_a_show(value: Any) -> None:
    impact = {"status": "yes_known", "value": value}
    assert rfi_record(cost_impact=impact).extras["Cost impact"] == "yes known (1200)"


def test_a_priority_that_has_a_name_is_shown() -> None:
    priority = {"name": "High", "value": 3}
    assert rfi_record(priority=priority).extras["Priority"] == "High"


def test_an_rfi_that_procores_own_connection_brought_says_so() -> None:
    origin = {"source_provider_name": "Ortega Build", "rfi_number": "3"}
    assert rfi_record(connect_export_origin=origin).extras["Connected from"] == (
        "Ortega Build, RFI 3 there"
    )


def test_a_closed_rfi_has_its_closing_day() -> None:
    record = rfi_record(status="closed", time_resolved="2026-11-23T18:00:00Z")
    assert record.closed_on == date(2026, 11, 23)


def test_every_file_on_an_rfi_is_found_once() -> None:
    answers = RFI_SHOW["questions"][0]["answers"]
    twice = with_question(answers=[*answers, {"id": 1, "attachments": [{"id": 801}]}])
    rfi = read_rfi(RFI_SHOW | twice, full=True)
    assert [one.id for one in attachments_of(rfi)] == ["801", "802", "803"]
