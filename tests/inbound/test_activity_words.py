"""What the activity page says of a record that came over."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from schemas.records import Record
from services.postgres import Row
from sync_worker.activity import changed_fields, note, words_for
from tests.inbound.samples import rfi_record, submittal_record


def stored(record: Record) -> dict[str, Any]:
    """The record as the database gives it back."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return found


def test_a_record_that_is_new_came_over() -> None:
    assert words_for(None, rfi_record()) == "RFI A-014 came over from Procore."
    assert words_for(None, submittal_record()) == "Submittal 05 12 00-7 came over from Procore."


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"subject": "Other"}, "title"),
        ({"due_date": "2026-12-24"}, "due date"),
        ({"status": "closed", "translated_status": "Closed"}, "status"),
        ({"ball_in_courts": [], "ball_in_court": None}, "ball in court"),
        ({"questions": [], "subject": "Other"}, "title, question, replies, other fields"),
        ({"link": "https://us02.procore.com/elsewhere"}, "details"),
    ],
)
def test_what_changed_is_named_and_nothing_else(fields: dict[str, Any], words: str) -> None:
    before = stored(rfi_record())
    assert words_for(before, rfi_record(**fields)) == f"RFI A-014 changed in Procore: {words}."


@pytest.mark.parametrize(
    "record",
    [
        submittal_record(
            files=("601", "602"),
            distributed_at="2026-11-24T00:30:00.250Z",
            status={"id": 1, "name": "Closed", "status": "Closed"},
        ),
        rfi_record(files=("801", "802", "803"), return_ids={"9202": "ret_1"}),
    ],
    ids=["submittal", "rfi"],
)
def test_a_record_read_back_from_the_database_has_not_changed(record: Record) -> None:
    assert changed_fields(stored(record), record) == []


def test_a_removal_is_not_told_as_a_change_in_procore() -> None:
    before = stored(rfi_record())
    removed = replace(rfi_record(), status="removed", status_label="Unlinked", ball_in_court=())
    assert words_for(before, removed) == (
        "RFI A-014 is marked as removed, and its content is kept. Unlinked."
    )
    assert words_for(stored(removed), rfi_record()) == (
        "RFI A-014 is no longer marked as removed; it came over from Procore again."
    )


def test_the_thread_after_the_head_is_no_change_of_its_own() -> None:
    whole = rfi_record(specification_section="09 91 00")
    head = replace(whole, question="", replies=(), files=(), extras={"thread_pending": True})
    assert words_for(stored(replace(head, spec_section=None)), whole) is None
    assert words_for(stored(replace(head, title="Other")), whole) == (
        "RFI A-014 changed in Procore: title."
    )


def test_files_that_follow_their_record_are_no_news() -> None:
    whole = submittal_record(files=("601", "602"))
    before = stored(replace(whole, files=(), extras={**whole.extras, "files_pending": 2}))
    assert words_for(before, whole) is None


class Written:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    async def execute(self, sql: str, *args: Any) -> None:
        self.rows.append(args)

    async def executemany(self, sql: str, rows: Any) -> None:
        raise NotImplementedError

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        raise NotImplementedError

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        raise NotImplementedError

    async def fetchval(self, sql: str, *args: Any) -> Any:
        raise NotImplementedError


async def test_a_note_names_its_record() -> None:
    queries = Written()
    await note(queries, "prj_1", "record.mirrored", "It came.", record=rfi_record())
    (row,) = queries.rows
    assert row[:5] == ("prj_1", "record.mirrored", "It came.", "rfi", "2764310")
    assert "A-014" in row
