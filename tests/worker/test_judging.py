"""What counts as a difference between what was put and what Part3 holds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.records import File, Person, Record, Reply, StoredRecord, WorkflowStep
from sync_worker.activity import as_json
from sync_worker.completeness.judging import Remembered, judged

AT = datetime(2026, 11, 28, 9, tzinfo=UTC)
TOM = Person(name="Tom Reyes", procore_id="9002")
FILE = File(sha256="a" * 64, name="beam.pdf", content_type="application/pdf", size=9)
PUT = Record(
    kind="rfi",
    procore_id="1",
    number="A-014",
    title="Pocket depth",
    status="open",
    status_label="Open",
    private=False,
    content_version="v1",
)
OTHERWISE: dict[str, Any] = {
    "assignees": (TOM,),
    "ball_in_court": (TOM,),
    "closed_on": AT.date(),
    "content_version": "v0",
    "description": "Mix and test",
    "distributed_at": AT,
    "due_on": AT.date(),
    "extras": {"Drawing": "S-201"},
    "files": (FILE,),
    "kind": "submittal",
    "manager": TOM,
    "number": "A-015",
    "opened_on": AT.date(),
    "package": "Concrete",
    "previous_revision": "7",
    "private": True,
    "procore_id": "2",
    "procore_url": "https://app.procore.test/1",
    "question": "<p>Which depth?</p>",
    "replies": (
        Reply(procore_id="5", author=TOM, text="<p>150 mm.</p>", official=True, created_at=AT),
    ),
    "revision": "1",
    "spec_section": "03 30 00",
    "status": "closed",
    "status_label": "Closed",
    "title": "Overwritten",
    "type": "Shop drawing",
    "workflow": (WorkflowStep(procore_id="6", step=1, person=TOM, role="approver", required=True),),
}


def difference(**held: Any) -> str | None:
    """Return why a record of which Part3 holds `held` is not what was put."""
    fields = {name: getattr(PUT, name) for name in Record.__struct_fields__} | held
    found = judged(
        "1",
        listed=None,
        listed_at=AT,
        remembered=Remembered(procore_id="1", record=as_json(PUT), looked_at=AT, removed_at=None),
        there=StoredRecord(**fields, id="r-1", version="1", updated_at=AT),
    )
    return found.reason if found else None


@pytest.mark.parametrize("field", Record.__struct_fields__)
def test_a_record_that_part3_holds_otherwise_in_any_field_differs(field: str) -> None:
    assert difference(**{field: OTHERWISE[field]}) == "differs_in_part3"


def test_what_part3_adds_of_its_own_is_no_difference() -> None:
    assert difference() != "differs_in_part3"
