"""The field map: what crosses to Part3, and where it is; what goes back; what never does.

One row a line. `→` rows hold what Procore says and where Part3 has it; `←` and `—` rows are held by
what the connector can write at all.
"""

import inspect
import re
from datetime import date
from typing import Any

import msgspec
import pytest

from schemas.records import Record
from schemas.returns import Return
from services.procore import client
from tests.field.sides import AMY, GUS, PAT, SAM, held, reply, rfi, step, submittal

QUESTION = {"rich_text_body": "<p>Four <b>bolts</b>?</p>", "answers": []}

RFI_TO_PART3: list[tuple[str, dict[str, Any], str, Any]] = [
    # the field, what Procore says, where Part3 has it, as what
    ("number", {"full_number": "A-014"}, "number", "A-014"),
    ("subject", {"subject": "Anchor bolts"}, "title", "Anchor bolts"),
    ("question", {"questions": [QUESTION]}, "question", "<p>Four <b>bolts</b>?</p>"),
    ("status", {"translated_status": "Ouvert"}, "status_label", "Ouvert"),
    ("date initiated", {"initiated_at": "2026-11-20T16:00:00Z"}, "opened_on", date(2026, 11, 20)),
    ("closed date", {"time_resolved": "2026-11-23T18:00:00Z"}, "closed_on", date(2026, 11, 23)),
    ("due date", {"due_date": "2026-12-01"}, "due_on", date(2026, 12, 1)),
    ("assignees", {"assignees": [AMY, SAM]}, "assignees", ["Amy Lind", "Sam Oduya"]),
    ("required flag", {"assignees": [AMY, SAM | {"response_required": False}]},
     "Answer required from", "Amy Lind"),
    ("ball in court", {"ball_in_courts": [SAM]}, "ball_in_court", ["Sam Oduya"]),
    ("RFI Manager", {"rfi_manager": GUS}, "manager", "Gus Ortega"),
    ("received from", {"received_from": PAT}, "Received from", "Pat Holm"),
    ("responsible contractor", {"responsible_contractor": {"id": 9, "name": "Holm Steel"}},
     "Responsible contractor", "Holm Steel"),
    ("distribution", {"distribution_list": [PAT, GUS]}, "Distribution", "Gus Ortega, Pat Holm"),
    ("private", {"private": True}, "private", True),
    ("location", {"location": {"id": 1, "name": "Level 2"}}, "Location", "Level 2"),
    ("spec section", {"specification_section": {"label": "05 12 00 - Steel"}}, "spec_section",
     "05 12 00 - Steel"),
    ("drawing", {"drawing_number": "S-201"}, "Drawing number", "S-201"),
    ("cost code", {"cost_code": {"id": 1, "name": "Steel"}}, "Cost code", "Steel"),
    ("cost impact", {"cost_impact": {"status": "yes_known", "value": "1200.0"}}, "Cost impact",
     "yes known (1200)"),
    ("schedule impact", {"schedule_impact": {"status": "tbd"}}, "Schedule impact", "tbd"),
    ("custom field", {"custom_fields": {"custom_field_5": {"value": "North"}}}, "Custom field 5",
     "North"),
    ("old custom field with a label", {"custom_textfield_1": {"label": "Zone", "value": "North"}},
     "Zone", "North"),
    ("a field of next year", {"weather_delay": "two days"}, "Weather delay", "two days"),
    ("closed with revision", {"status": "closed_with_revision"}, "superseded", True),
    ("copied here by Procore's own connection",
     {"connect_export_origin": {"source_provider_name": "Holm Steel", "rfi_number": "3"}},
     "Connected from", "Holm Steel, RFI 3 there"),
]  # fmt: skip
SUBMITTAL_TO_PART3: list[tuple[str, dict[str, Any], str, Any]] = [
    ("spec section", {"specification_section": {"label": "05 12 00 - Steel"}}, "spec_section",
     "05 12 00 - Steel"),
    ("number", {"formatted_number": "05 12 00-7"}, "number", "05 12 00-7"),
    ("revision", {"revision": "2"}, "revision", "2"),
    ("title", {"title": "Bolts"}, "title", "Bolts"),
    ("description", {"description": "t &lt; 20 mm"}, "description", "t < 20 mm"),
    ("type", {"type": {"name": "Shop Drawing"}}, "type", "Shop Drawing"),
    ("package, by its title", {"submittal_package": {"id": 1, "title": "Steel 1"}}, "package",
     "Steel 1"),
    ("package, by its name", {"submittal_package": {"name": "Steel 1"}}, "package", "Steel 1"),
    ("submittal manager", {"submittal_manager": GUS}, "manager", "Gus Ortega"),
    ("custom status", {"status": {"name": "At the architect", "status": "Open"}}, "status_label",
     "At the architect"),
    ("required on site", {"required_on_site_date": "2027-02-01"}, "Required on site", "2027-02-01"),
    ("lead time", {"lead_time": 30}, "Lead time (days)", 30),
    ("received", {"received_date": "2026-11-17"}, "Received on", "2026-11-17"),
    ("sent dates", {"approvers": [step(3, AMY, sent_date="2026-11-19")]}, "Sent for review",
     "Amy Lind 2026-11-19"),
    ("superseded", {"current_revision": False}, "superseded", True),
    ("distribution date", {"last_distributed_submittal": {"sent_at": "2026-11-24T09:30:00Z"}},
     "distributed_at", "2026-11-24T09:30:00+00:00"),
    ("distribution message", {"last_distributed_submittal": {"message": "Released."}},
     "Distribution message", "Released."),
    ("distributed to", {"last_distributed_submittal": {"distributed_to": [PAT]}}, "Distributed to",
     "Pat Holm"),
    ("a field of next year", {"carbon_kg": 12}, "Carbon kg", 12),
]  # fmt: skip


def where(value: dict[str, Any], place: str) -> Any:
    """A record's field, people by their names, or an extra by its label."""
    record = held(value)
    if place not in Record.__struct_fields__:
        return record.extras[place]
    found = getattr(record, place)
    if isinstance(found, tuple):
        return [one.name for one in found]
    if place == "distributed_at":
        return found.isoformat()
    return getattr(found, "name", found)


@pytest.mark.parametrize(("field", "says", "place", "value"), RFI_TO_PART3)
def test_an_rfis_field_crosses(field: str, says: dict[str, Any], place: str, value: Any) -> None:
    assert where(rfi(**says), place) == value, field


@pytest.mark.parametrize(("field", "says", "place", "value"), SUBMITTAL_TO_PART3)
def test_a_submittals_field_crosses(
    field: str, says: dict[str, Any], place: str, value: Any
) -> None:
    assert where(submittal(**says), place) == value, field


def test_a_reply_crosses_with_its_author_time_and_official_flag() -> None:
    (shown,) = held(rfi(reply(AMY, 1, official=True))).replies
    assert (shown.text, shown.official) == ("Six bolts.", True)
    assert shown.author == msgspec.convert(
        {"name": "Amy Lind", "procore_id": "31", "email": "amy@arch.example"}, type(shown.author)
    )
    assert shown.created_at == "2026-11-20T10:00:00Z"


WORKFLOWS: list[tuple[str, list[Any], list[tuple[int, str, bool, str | None]]]] = [
    # what it is, Procore's rows, Part3's: step, who, required, disposition
    ("sequential: architect, then engineer", [step(1, AMY, "approved"), step(2, SAM)],
     [(1, "Amy Lind", True, "proceed"), (2, "Sam Oduya", True, "pending")]),
    ("parallel, one of them optional", [step(1, AMY), step(1, SAM, response_required=False)],
     [(1, "Amy Lind", True, "pending"), (1, "Sam Oduya", False, "pending")]),
    ("forwarded for review", [step(1, AMY, "forwarded for review"), step(1, SAM)],
     [(1, "Amy Lind", True, "forwarded"), (1, "Sam Oduya", True, "pending")]),
    ("rows come in any order", [step(2, SAM), step(1, AMY, "rejected")],
     [(1, "Amy Lind", True, "rejected"), (2, "Sam Oduya", True, "pending")]),
    ("a class of next year", [step(1, AMY, "approved in part")], [(1, "Amy Lind", True, None)]),
]  # fmt: skip


@pytest.mark.parametrize(("case", "rows", "steps"), WORKFLOWS)
def test_a_workflow_crosses_step_by_step(case: str, rows: list[Any], steps: list[Any]) -> None:
    shown = [
        (row.step, row.person.name, row.required, row.disposition)
        for row in held(submittal(*rows)).workflow
    ]
    assert shown == steps, case


STAYS_INSIDE = ["internal_remarks", "permissions", "change_events", "guid", "cost_owner_ids"]


@pytest.mark.parametrize("name", STAYS_INSIDE)
def test_what_is_for_programs_or_internal_does_not_cross(name: str) -> None:
    for value in (rfi(), submittal()):
        assert held(value | {name: "inside"}).extras == held(value).extras


WRITES = {
    # all that the connector can write to Procore: reply text and files, an approver's answer
    "post_reply": {"body", "upload_ids"},
    "respond": {"submittal_response_id", "comment", "upload_ids"},
}


def test_nothing_else_is_ever_written_to_procore() -> None:
    source = inspect.getsource(client)
    assert len(re.findall(r"_caller\.write\(", source)) == len(WRITES)
    for name, fields in WRITES.items():
        body = inspect.getsource(getattr(client.Procore, name))
        assert fields <= set(re.findall(r'"(\w+)"', body)), name
    # official flag, closing, distribution, numbers, the ball, workflow users, due dates
    for word in ("official", "accepted", "close_and", "advance", "due_date", "forward", "recycle"):
        assert f'"{word}' not in source, word
        assert f"/{word}" not in source.replace("recycle_bin", ""), word


def test_a_return_has_no_field_for_what_stays_with_the_design_team() -> None:
    assert not {
        name
        for name in Return.__struct_fields__
        if re.search("internal|note|draft|step|reviewer|template", name)
    }
