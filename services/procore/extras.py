"""What Procore says of a record beyond the fields that have a place of their own, by label.

Rule of the field map: custom fields, and fields that are newer than this program, are shown as
read-only extras. What only programs read (ids, links, counts, flags) is left out, and so is what
its name calls internal: it is read with an Admin's grant, and not meant for the design team.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from services.procore.json_values import (
    Json,
    amount_of,
    clean,
    name_of,
    object_of,
    plain_of,
    read_many,
    text_of,
    time_of,
    told,
)

RFI_EXTRAS = {
    "location": "Location",
    "cost_code": "Cost code",
    "sub_job": "Sub job",
    "project_stage": "Project stage",
    "reference": "Reference",
    "drawing_number": "Drawing number",
    "proposed_solution": "Proposed solution",
    "responsible_contractor": "Responsible contractor",
    "received_from": "Received from",
}
SUBMITTAL_EXTRAS = {
    "received_from": "Received from",
    "responsible_contractor": "Responsible contractor",
    "issue_date": "Issued on",
    "received_date": "Received on",
    "submit_by": "Submit by",
    "required_on_site_date": "Required on site",
    "actual_delivery_date": "Actual delivery",
    "lead_time": "Lead time (days)",
    "location": "Location",
    "cost_code": "Cost code",
    "sub_job": "Sub job",
}
RFI_KNOWN = {
    *RFI_EXTRAS,
    "id", "link", "subject", "title", "status", "translated_status", "draft", "accepted",
    "number", "full_number", "prefix", "revision", "current_revision", "has_revisions",
    "source_rfi_header_id", "due_date", "initiated_at", "created_at", "updated_at",
    "time_resolved", "deleted", "deleted_at", "created_by", "assignee", "assignees",
    "ball_in_court", "ball_in_courts", "ball_in_court_role", "rfi_manager", "distribution_list",
    "questions", "cost_impact", "schedule_impact", "specification_section", "private",
    "priority", "custom_fields", "connect_export_origin", "drawing_ids", "custom_textfield_1",
    "custom_textfield_2",
}  # fmt: skip
SUBMITTAL_KNOWN = {
    *SUBMITTAL_EXTRAS,
    "id", "link", "number", "formatted_number", "title", "description", "rich_text_description",
    "revision", "current_revision", "source_submittal_log_id", "private", "status", "type",
    "specification_section", "submittal_manager", "submittal_package", "ball_in_court",
    "distribution_members", "due_date", "distributed_at", "closed_at", "created_at",
    "updated_at", "created_by", "associated_attachments", "attachments", "approvers",
    "custom_fields", "scheduled_task", "submittal_workflow_template",
    "last_distributed_submittal", "distributed_submittals", "is_rejected", "for_record_only",
    "buffer_time", "open_date", "operation_item_errors",
}  # fmt: skip
"""Keys that are shown elsewhere, or that say nothing to people."""

UNDOCUMENTED = {
    "change_events", "coordination_issues", "correspondences", "instructions", "linked_drawings",
}  # fmt: skip
"""Seen in answers though undocumented: the contractor's own business, no part of the record."""

FOR_PROGRAMS = re.compile(
    r"(^|_)(id|ids|guid|uuid|url|link|count|token|hash|permissions?|internal|secret)(_|$)"
)


def rfi_extras(value: Json) -> dict[str, Any]:
    """Return an RFI's other fields by label."""
    found = _labelled(value, RFI_EXTRAS) | _text_fields(value) | _custom_fields(value)
    for name, label in (("cost_impact", "Cost impact"), ("schedule_impact", "Schedule impact")):
        impact = object_of(value.get(name))
        status = text_of(impact.get("status"))
        amount = amount_of(impact.get("value"))
        if status:
            words = status.replace("_", " ")
            found[label] = f"{words} ({amount})" if amount is not None else words
    priority = object_of(value.get("priority"))
    if isinstance(priority.get("name"), str) and priority["name"]:  # may be the boolean false
        found["Priority"] = priority["name"]
    return unknown_fields(value, RFI_KNOWN) | found


def submittal_extras(value: Json) -> dict[str, Any]:
    """Return a submittal's other fields by label, the result of its distribution among them."""
    found = _labelled(value, SUBMITTAL_EXTRAS) | _custom_fields(value) | _distribution(value)
    return unknown_fields(value, SUBMITTAL_KNOWN) | found


def unknown_fields(value: Json, known: Collection[str]) -> dict[str, Any]:
    """Return what this program has never heard of and people can read."""
    found: dict[str, Any] = {}
    for key, held in value.items():
        name = clean(str(key))
        if key in known or key in UNDOCUMENTED or FOR_PROGRAMS.search(name.lower()):
            continue
        if not isinstance(held, bool) and (words := plain_of(held)) not in (None, "", True, False):
            found[name.replace("_", " ").strip().capitalize()] = words
    found.pop("", None)
    return found


def _labelled(value: Json, labels: Mapping[str, str]) -> dict[str, Any]:
    return told({label: plain_of(value.get(name)) for name, label in labels.items()})


def _text_fields(value: Json) -> dict[str, Any]:
    """The two old custom fields: an object with the company's label, or a plain text."""
    found: dict[str, Any] = {}
    for number in ("1", "2"):
        held = value.get(f"custom_textfield_{number}")
        label = text_of(object_of(held).get("label")) or f"Custom text {number}"
        found[label] = plain_of(object_of(held).get("value") if isinstance(held, dict) else held)
    return told(found)


def _custom_fields(value: Json) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, field in object_of(value.get("custom_fields")).items():
        held = object_of(field).get("value", field if not isinstance(field, dict) else None)
        if held is not None:
            name = clean(str(key)).removeprefix("custom_field_")
            found[f"Custom field {name}"] = plain_of(held)
    return told(found)


def _distribution(value: Json) -> dict[str, Any]:
    """Who sent the last distribution to whom, with which answers."""
    sent = object_of(value.get("last_distributed_submittal"))
    return told(
        {
            "Distributed by": name_of(sent.get("distributed_by")),
            "Distributed to": ", ".join(read_many(sent.get("distributed_to"), name_of)),
            "Distributed with": "; ".join(read_many(sent.get("distributed_responses"), _answered)),
            "Distribution message": text_of(sent.get("message")),
        }
    )


def _answered(value: Any) -> str | None:
    """Whose answer was sent out; which one it is stands in the workflow."""
    answer = object_of(value)
    who = name_of(answer.get("user"))
    comment = text_of(answer.get("comment"))
    return f"{who}: {comment}" if who and comment else who


def latest_distribution_at(value: Json) -> datetime | None:
    """Return when it was last distributed: `distributed_at` where given, else of that sending."""
    sent = object_of(value.get("last_distributed_submittal"))
    return time_of(value.get("distributed_at")) or time_of(sent.get("sent_at"))
