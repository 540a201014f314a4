"""What the activity page says of a record that came over."""

from typing import Any

import msgspec
import pytest

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


def test_a_submittal_read_back_from_the_database_has_not_changed() -> None:
    record = submittal_record(
        files=("601", "602"),
        distributed_at="2026-11-24T00:30:00.250Z",
        status={"id": 1, "name": "Closed", "status": "Closed"},
    )
    assert changed_fields(stored(record), record) == []


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
