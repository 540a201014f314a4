"""The sentence of an activity row names what changed, and nothing that did not."""

from datetime import UTC, date, datetime

from msgspec.structs import replace

from schemas.records import File, Person, Record, Reply
from sync_worker.activity import as_json, changed_fields, words_for

MAYA = Person(procore_id="7", name="Maya Lindqvist", email="maya@example.test")
RFI = Record(
    kind="rfi",
    procore_id="1",
    number="A-014",
    title="Dowel size",
    status="open",
    status_label="Open",
    private=False,
    due_on=date(2026, 12, 1),
    ball_in_court=(MAYA,),
    assignees=(MAYA,),
    files=(File(sha256="a" * 64, name="a.pdf", content_type="application/pdf", size=3),),
    replies=(
        Reply(
            procore_id="9",
            author=MAYA,
            text="<p>Yes.</p>",
            official=False,
            created_at=datetime(2026, 11, 1, tzinfo=UTC),
        ),
    ),
    extras={"Location": "Roof"},
)


def test_a_record_read_back_from_the_database_has_not_changed() -> None:
    assert changed_fields(as_json(RFI), RFI) == []


def test_only_what_changed_is_named() -> None:
    changed = replace(RFI, title="Dowel size at landing", ball_in_court=())
    assert changed_fields(as_json(RFI), changed) == ["title", "ball in court"]
    assert words_for(as_json(RFI), changed) == (
        "RFI A-014 changed in Procore: title, ball in court."
    )


def test_a_record_that_is_new_came_over() -> None:
    assert words_for(None, RFI) == "RFI A-014 came over from Procore."
