"""Procore's JSON into our types. Tolerant: an odd or missing field never stops a record.

Source: Procore API contract, sections 3.3, 4.3, 4.6. Only an id and `updated_at` are demanded.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal, TypeVar

from services.errors import TryLater
from services.procore.models import (
    Answer,
    Approver,
    Assignee,
    Attachment,
    ResponseOption,
    Rfi,
    Submittal,
    UserRef,
)

T = TypeVar("T")
Json = Mapping[str, Any]

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
    "custom_textfield_1": "Custom text 1",
    "custom_textfield_2": "Custom text 2",
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
STATUS_WORDS = {
    "draft": "Draft",
    "open": "Open",
    "closed": "Closed",
    "closed_with_revision": "Closed (revised)",
    "closed_draft": "Closed-Draft",
}


def read_rfi(value: Json, *, full: bool) -> Rfi:
    """Read an RFI; `full` for a show, whose replies are complete.

    Raises:
        TryLater: it has no id or no `updated_at`, so it is no RFI.
    """
    question = _first(value.get("questions"))
    status = _text(value.get("status")) or "open"
    return Rfi(
        id=_demand_id(value, "RFI"),
        status=status,
        status_label=_text(value.get("translated_status"))
        or STATUS_WORDS.get(status, status.replace("_", " ").capitalize()),
        subject=_text(value.get("subject")) or _text(value.get("title")) or "",
        number=_text(value.get("number")),
        full_number=_text(value.get("full_number")),
        private=value.get("private") is True,
        link=_text(value.get("link")),
        question_html=_body(question),
        question_attachments=_many(question.get("attachments"), _attachment),
        answers=_many(question.get("answers"), read_answer) if full else None,
        assignees=_many(value.get("assignees") or _alone(value.get("assignee")), _assignee),
        ball_in_court=_balls(value),
        manager=_user(value.get("rfi_manager")),
        updated_at=_demand_time(value, "RFI"),
        created_at=_time(value.get("created_at")),
        revision=_text(value.get("revision")),
        source_rfi_header_id=_id(value.get("source_rfi_header_id")),
        due_on=_date(value.get("due_date")),
        initiated_on=_date(value.get("initiated_at")),
        closed_at=_time(value.get("time_resolved")),
        deleted=value.get("deleted") is True or value.get("deleted_at") is not None,
        distribution=_many(value.get("distribution_list"), _user),
        connect_export_origin=dict(_dict(value.get("connect_export_origin"))) or None,
        spec_section=_label(value.get("specification_section")),
        extras=_extras(value, RFI_EXTRAS) | _rfi_extras(value),
    )


def read_answer(value: Any) -> Answer | None:
    """Read a reply of an RFI; None when it has no id."""
    reply = _dict(value)
    if (answer_id := _id(reply.get("id"))) is None:
        return None
    return Answer(
        id=answer_id,
        official=reply.get("official") is True,
        author_id=_id(reply.get("created_by_id")),
        author_name=_text(reply.get("created_by")) or "Unknown",
        html=_body(reply),
        answered_at=_time(reply.get("answer_date")) or _time(reply.get("created_at")),
        attachments=_many(reply.get("attachments"), _attachment),
    )


def read_submittal(value: Json) -> Submittal:
    """Read a submittal from a list or a show.

    Raises:
        TryLater: it has no id or no `updated_at`, so it is no submittal.
    """
    status = _dict(value.get("status"))
    files = value.get("attachments") or value.get("associated_attachments")
    return Submittal(
        id=_demand_id(value, "submittal"),
        number=_text(value.get("number")) or "",
        formatted_number=_text(value.get("formatted_number")),
        title=_text(value.get("title")) or "",
        status_name=_text(status.get("name")) or _text(value.get("status")) or "Unknown",
        status_class=_text(status.get("status")) or "Open",
        private=value.get("private") is True,
        link=_text(value.get("link")),
        description=_text(value.get("description")),
        attachments=_many(files, _attachment),
        approvers=_many(value.get("approvers"), _approver),
        ball_in_court=_many(value.get("ball_in_court"), _user),
        manager=_user(value.get("submittal_manager")),
        updated_at=_demand_time(value, "submittal"),
        created_at=_time(value.get("created_at")),
        revision=_text(value.get("revision")),
        current_revision=value.get("current_revision") is not False,
        source_submittal_id=_id(value.get("source_submittal_log_id")),
        spec_section=_label(value.get("specification_section")),
        type=_name(value.get("type")),
        package=_name(value.get("submittal_package")),
        due_on=_date(value.get("due_date")),
        issued_on=_date(value.get("issue_date")),
        received_on=_date(value.get("received_date")),
        closed_at=_time(value.get("closed_at")),
        distributed_at=_time(value.get("distributed_at")),
        deleted=value.get("deleted") is True or value.get("deleted_at") is not None,
        distribution=_many(value.get("distribution_members"), _user),
        extras=_extras(value, SUBMITTAL_EXTRAS) | _custom_fields(value),
    )


def read_response_option(value: Any) -> ResponseOption | None:
    """Read one of a project's submittal responses; None when it has no id."""
    option = _dict(value)
    if (option_id := _id(option.get("id"))) is None:
        return None
    return ResponseOption(
        id=option_id,
        name=_text(option.get("name")) or "",
        considered=(_text(option.get("considered")) or "").lower(),
    )


def read_many(value: Any, read: Callable[[Any], T | None]) -> tuple[T, ...]:
    """Read a list, leaving out what is not readable."""
    return _many(value, read)


def id_of(value: Any) -> str | None:
    """Return an id as text, from JSON's numbers or strings; None for anything else."""
    return _id(value)


def _approver(value: Any) -> Approver | None:
    row = _dict(value)
    user = _user(row.get("user"))
    if (row_id := _id(row.get("id"))) is None or user is None:
        return None
    kind: Literal["submitter", "approver"] = (
        "submitter"
        if (_text(row.get("approver_type")) or "").lower() == "submitter"
        else "approver"
    )
    files = row.get("attachments") or row.get("associated_attachments")
    group = row.get("workflow_group_number")
    return Approver(
        id=row_id,
        type=kind,
        user=user,
        group_number=group if isinstance(group, int) else 0,
        required=row.get("response_required") is not False,
        response=read_response_option(row.get("response")),
        comment=_text(row.get("comment")),
        sent_on=_date(row.get("sent_date")),
        returned_at=_time(row.get("returned_date")),
        due_on=_date(row.get("due_date")),
        attachments=_many(files, _attachment),
    )


def _assignee(value: Any) -> Assignee | None:
    user = _user(value)
    required = _dict(value).get("response_required") is not False
    return Assignee(user=user, required=required) if user else None


def _balls(value: Json) -> tuple[UserRef, ...]:
    several = _many(value.get("ball_in_courts"), _user)
    one = _user(value.get("ball_in_court"))
    return several or ((one,) if one else ())


def _user(value: Any) -> UserRef | None:
    user = _dict(value)
    if (user_id := _id(user.get("id"))) is None:
        return None
    login = _text(user.get("login"))
    return UserRef(
        id=user_id,
        name=_text(user.get("name")) or login or "Unknown",
        login=login,
        company=_name(user.get("vendor")),
    )


def _attachment(value: Any) -> Attachment | None:
    file = _dict(value)
    # A submittal's `id` is the association's; `attachment_id`, where given, is the file's own.
    attachment_id = _id(file.get("attachment_id")) or _id(file.get("id"))
    if attachment_id is None:
        return None
    return Attachment(
        id=attachment_id,
        name=_text(file.get("filename")) or _text(file.get("name")) or "file",
        url=_text(file.get("url")) or _text(file.get("download_url")),
        content_type=_text(file.get("content_type")),
    )


def _rfi_extras(value: Json) -> dict[str, Any]:
    found = _custom_fields(value)
    for name, label in (("cost_impact", "Cost impact"), ("schedule_impact", "Schedule impact")):
        impact = _dict(value.get(name))
        status = _text(impact.get("status"))
        amount = _amount(impact.get("value"))
        if status:
            words = status.replace("_", " ")
            found[label] = f"{words} ({amount})" if amount is not None else words
    priority = _dict(value.get("priority"))
    if isinstance(priority.get("name"), str) and priority["name"]:  # may be the boolean false
        found["Priority"] = priority["name"]
    return found


def _custom_fields(value: Json) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, field in _dict(value.get("custom_fields")).items():
        held = _dict(field).get("value", field if not isinstance(field, dict) else None)
        if held not in (None, "", [], {}):
            found[f"Custom field {str(key).removeprefix('custom_field_')}"] = _plain(held)
    return found


def _extras(value: Json, labels: Mapping[str, str]) -> dict[str, Any]:
    found = {label: _plain(value.get(name)) for name, label in labels.items()}
    return {label: held for label, held in found.items() if held not in (None, "", [], {})}


def _plain(value: Any) -> Any:
    """A value as people read it: names instead of objects, no floats that differ by view."""
    match value:
        case dict():
            return _label(value) or _name(value) or _text(value.get("value"))
        case list():
            return ", ".join(str(_plain(one)) for one in value)
        case float():
            return _amount(value)
        case _:
            return value


def _amount(value: Any) -> str | None:
    """Procore gives a cost as a string in a show and as a number in a list."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return str(int(number)) if number.is_integer() else f"{number:.2f}"


def _label(value: Any) -> str | None:
    section = _dict(value)
    if label := _text(section.get("label")):
        return label
    parts = (_text(section.get("number")), _text(section.get("description")))
    return " ".join(filter(None, parts)) or _name(value)


def _name(value: Any) -> str | None:
    return _text(value) if isinstance(value, str) else _text(_dict(value).get("name"))


def _body(value: Json) -> str:
    return _text(value.get("rich_text_body")) or _text(value.get("plain_text_body")) or ""


def _first(value: Any) -> Json:
    return _dict(value[0]) if isinstance(value, list) and value else {}


def _alone(value: Any) -> list[Any]:
    return [value] if value else []


def _many(value: Any, read: Callable[[Any], T | None]) -> tuple[T, ...]:
    items: Iterable[Any] = value if isinstance(value, list) else ()
    return tuple(one for item in items if (one := read(item)) is not None)


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _id(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) and value else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _date(value: Any) -> date | None:
    at = _time(value)
    if at is not None:
        return at.date()
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _demand_id(value: Json, what: str) -> str:
    if (found := _id(value.get("id"))) is None:
        message = f"Procore answered a {what} without an id"
        raise TryLater(message, reason="procore_down")
    return found


def _demand_time(value: Json, what: str) -> datetime:
    if (at := _time(value.get("updated_at"))) is None:
        message = f"Procore answered {what} {value.get('id')} without updated_at"
        raise TryLater(message, reason="procore_down")
    return at
