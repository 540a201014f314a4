"""Procore's JSON into our types. Tolerant: an odd or missing field never stops a record.

Only an id and `updated_at` are demanded. Source: Procore's reference, rfis, submittals and
submittal-responses, and answers that others kept (docs/stand-ins.md, *Where it was read*).
"""

import html
from datetime import datetime
from typing import Any, Literal

from services.errors import TryLater
from services.procore.extras import latest_distribution_at, rfi_extras, submittal_extras
from services.procore.json_values import (
    Json,
    alone,
    bytes_of,
    day_of,
    first_of,
    id_of,
    label_of,
    name_of,
    object_of,
    read_many,
    text_of,
    time_of,
)
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
    question = first_of(value.get("questions"))
    status = text_of(value.get("status")) or "open"
    return Rfi(
        id=_demand_id(value, "RFI"),
        status=status,
        status_label=text_of(value.get("translated_status"))
        or STATUS_WORDS.get(status, status.replace("_", " ").capitalize()),
        subject=text_of(value.get("subject")) or text_of(value.get("title")) or "",
        number=text_of(value.get("number")),
        full_number=text_of(value.get("full_number")),
        private=value.get("private") is True,
        link=text_of(value.get("link")),
        question_html=_body(question),
        question_attachments=read_many(question.get("attachments"), _attachment),
        answers=read_many(question.get("answers"), read_answer) if full else None,
        assignees=read_many(value.get("assignees") or alone(value.get("assignee")), _assignee),
        ball_in_court=_balls(value),
        manager=_user(value.get("rfi_manager")),
        updated_at=_demand_time(value, "RFI"),
        created_at=time_of(value.get("created_at")),
        revision=text_of(value.get("revision")),
        source_rfi_header_id=id_of(value.get("source_rfi_header_id")),
        due_on=day_of(value.get("due_date")),
        initiated_on=day_of(value.get("initiated_at")),
        closed_at=time_of(value.get("time_resolved")),
        deleted=value.get("deleted") is True or value.get("deleted_at") is not None,
        distribution=read_many(value.get("distribution_list"), _user),
        connect_export_origin=dict(object_of(value.get("connect_export_origin"))) or None,
        spec_section=label_of(value.get("specification_section")),
        current_revision=value.get("current_revision") is not False,
        creator=_user(value.get("created_by")),
        received_from=_user(value.get("received_from")),
        extras=rfi_extras(value),
    )


def read_answer(value: Any) -> Answer | None:
    """Read a reply of an RFI; None when it has no id."""
    reply = object_of(value)
    if (answer_id := id_of(reply.get("id"))) is None:
        return None
    return Answer(
        id=answer_id,
        official=reply.get("official") is True,
        author_id=id_of(reply.get("created_by_id")),
        author_name=text_of(reply.get("created_by")) or "Unknown",
        html=_body(reply),
        answered_at=time_of(reply.get("answer_date")) or time_of(reply.get("created_at")),
        attachments=read_many(reply.get("attachments"), _attachment),
    )


def read_submittal(value: Json) -> Submittal:
    """Read a submittal from a list or a show.

    Raises:
        TryLater: it has no id or no `updated_at`, so it is no submittal.
    """
    status = object_of(value.get("status"))
    files = value.get("attachments") or value.get("associated_attachments")
    return Submittal(
        id=_demand_id(value, "submittal"),
        number=text_of(value.get("number")) or "",
        formatted_number=text_of(value.get("formatted_number")),
        title=text_of(value.get("title")) or "",
        status_name=text_of(status.get("name")) or text_of(value.get("status")) or "Unknown",
        status_class=text_of(status.get("status")) or "Open",
        private=value.get("private") is True,
        link=text_of(value.get("link")),
        description=text_of(value.get("description")),
        attachments=read_many(files, _attachment),
        approvers=read_many(value.get("approvers"), _approver),
        ball_in_court=read_many(value.get("ball_in_court"), _user),
        manager=_user(value.get("submittal_manager")),
        updated_at=_demand_time(value, "submittal"),
        created_at=time_of(value.get("created_at")),
        revision=text_of(value.get("revision")),
        current_revision=value.get("current_revision") is not False,
        source_submittal_id=id_of(value.get("source_submittal_log_id")),
        spec_section=label_of(value.get("specification_section")),
        type=name_of(value.get("type")),
        package=_title_of(value.get("submittal_package")),
        due_on=day_of(value.get("due_date")),
        issued_on=day_of(value.get("issue_date")),
        received_on=day_of(value.get("received_date")),
        closed_at=time_of(value.get("closed_at")),
        distributed_at=latest_distribution_at(value),
        deleted=value.get("deleted") is True or value.get("deleted_at") is not None,
        distribution=read_many(value.get("distribution_members"), _user),
        creator=_user(value.get("created_by")),
        received_from=_user(value.get("received_from")),
        extras=submittal_extras(value),
    )


def read_response_option(value: Any) -> ResponseOption | None:
    """Read one of a project's submittal responses; None when it has no id."""
    option = object_of(value)
    if (option_id := id_of(option.get("id"))) is None:
        return None
    return ResponseOption(
        id=option_id,
        name=text_of(option.get("name")) or "",
        considered=(text_of(option.get("considered")) or "").lower(),
    )


def _approver(value: Any) -> Approver | None:
    row = object_of(value)
    user = _user(row.get("user"))
    if (row_id := id_of(row.get("id"))) is None or user is None:
        return None
    kind: Literal["submitter", "approver"] = (
        "submitter"
        if (text_of(row.get("approver_type")) or "").lower() == "submitter"
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
        comment=text_of(row.get("comment")),
        sent_on=day_of(row.get("sent_date")),
        returned_at=time_of(row.get("returned_date")),
        due_on=day_of(row.get("due_date")),
        attachments=read_many(files, _attachment),
    )


def _assignee(value: Any) -> Assignee | None:
    user = _user(value)
    required = object_of(value).get("response_required") is not False
    return Assignee(user=user, required=required) if user else None


def _balls(value: Json) -> tuple[UserRef, ...]:
    several = read_many(value.get("ball_in_courts"), _user)
    one = _user(value.get("ball_in_court"))
    return several or ((one,) if one else ())


def _user(value: Any) -> UserRef | None:
    user = object_of(value)
    if (user_id := id_of(user.get("id"))) is None:
        return None
    login = text_of(user.get("login"))
    return UserRef(
        id=user_id,
        name=text_of(user.get("name")) or login or "Unknown",
        login=login,
        company=name_of(user.get("vendor")),
    )


def _attachment(value: Any) -> Attachment | None:
    file = object_of(value)
    # A submittal's `id` is the association's; `attachment_id`, where given, is the file's own.
    attachment_id = id_of(file.get("attachment_id")) or id_of(file.get("id"))
    if attachment_id is None:
        return None
    return Attachment(
        id=attachment_id,
        name=text_of(file.get("filename")) or text_of(file.get("name")) or "file",
        url=text_of(file.get("url")) or text_of(file.get("download_url")),
        content_type=text_of(file.get("content_type")),
        # neither is in every description of Procore's API: what is not told is not checked
        size=bytes_of(file["size"] if "size" in file else file.get("file_size")),
    )


def _title_of(value: Any) -> str | None:
    """A package is named by its title in some answers and by its name in others."""
    return text_of(object_of(value).get("title")) or name_of(value)


def _body(value: Json) -> str:
    """HTML, whichever there is: a show's two, of which the plain one is text, or a list's body."""
    plain = text_of(value.get("plain_text_body")) or ""
    rich = text_of(value.get("rich_text_body"))
    return rich or html.escape(plain, quote=False) or text_of(value.get("body")) or ""


def _demand_id(value: Json, what: str) -> str:
    if (found := id_of(value.get("id"))) is None:
        message = f"Procore answered a {what} without an id"
        raise TryLater(message, reason="procore_down")
    return found


def _demand_time(value: Json, what: str) -> datetime:
    if (at := time_of(value.get("updated_at"))) is None:
        message = f"Procore answered {what} {value.get('id')} without updated_at"
        raise TryLater(message, reason="procore_down")
    return at
