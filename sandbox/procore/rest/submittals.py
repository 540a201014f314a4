"""Submittals and their workflow: behaviours 36 to 47 of docs/stand-ins.md."""

import json
from collections.abc import Callable
from typing import Any, cast

import msgspec
from starlette.responses import Response

from sandbox.procore.domain import directory, distributing, responses, submittals
from sandbox.procore.domain.distributing import DistributionFields, Selected
from sandbox.procore.domain.submittal_fields import RowFields, SubmittalFields
from sandbox.procore.domain.submittal_model import ApproverType, Submittal
from sandbox.procore.errors import BadRequest, NotFound
from sandbox.procore.rest import params, present_submittal
from sandbox.procore.rest.answers import json_response, page
from sandbox.procore.rest.call import Call, incoming

Keeps = Callable[[Submittal], bool]


def listing(call: Call) -> Response:
    return _listed(call, deleted=False)


def recycle_bin(call: Call) -> Response:
    """Not in every description of the API: where it is absent, the path reads as an id."""
    _bin_is_served(call)
    return _listed(call, deleted=True)


def _bin_is_served(call: Call) -> None:
    if call.world.switches.submittal_recycle_bin == "absent":
        raise NotFound


def _listed(call: Call, *, deleted: bool) -> Response:
    """An unknown filter (there is none on a status name) is ignored in silence."""
    project_id = call.project_id()
    filters = call.query.get("filters", {})
    unknown = [name for name in filters if name not in FILTERS]
    if unknown and call.world.switches.unknown_submittal_filter == "400":
        raise BadRequest(fields={name: ["is not a filter"] for name in unknown})
    keeps = [FILTERS[name](value, name) for name, value in filters.items() if name in FILTERS]
    since = None
    if "updated_at" in filters:
        since, _ = params.between(filters["updated_at"], "updated_at")
    found = submittals.listed(call.world, call.actor, project_id, deleted=deleted, since=since)
    found = _sorted(call, [s for s in found if all(keep(s) for keep in keeps)])
    project = call.project(project_id)
    return page(call, found, lambda s: present_submittal.listed(call.world, project, s))


def _sorted(call: Call, found: list[Submittal]) -> list[Submittal]:
    sort = call.query.get("sort")
    if not isinstance(sort, str):
        return found
    key = SORTS.get(sort.removeprefix("-"))
    if key is None:
        raise BadRequest(fields={"sort": ["is not included in the list"]})
    return sorted(found, key=key, reverse=sort.startswith("-"))


SORTS: dict[str, Callable[[Submittal], Any]] = {
    "specification_section": lambda s: s.spec_section_id or 0,
    "number": submittals.by_number,
    "title": lambda s: s.title,
    "type": lambda s: s.type_name or "",
    "status": lambda s: s.status_id,
    "responsible_contractor": lambda s: s.responsible_contractor_id or 0,
    "submit_by": lambda s: str(s.submit_by_on or ""),
    "received_from": lambda s: s.received_from_id or 0,
    "received_date": lambda s: str(s.received_on or ""),
    "due_date": lambda s: str(s.due_on or ""),
    "distributed_at": lambda s: str(s.distributed_at or ""),
    "submittal_package": lambda s: s.package_id or 0,
    "anticipated_delivery_date": lambda s: str(s.actual_delivery_on or ""),
}


def _by_ids(
    read: Callable[[Submittal], tuple[int | None, ...]],
) -> Callable[[Any, str], Keeps]:
    def build(value: Any, name: str) -> Keeps:
        wanted = set(params.wholes(value, name))
        return lambda s: bool(wanted & set(read(s)))

    return build


def _by_time(attribute: str) -> Callable[[Any, str], Keeps]:
    def build(value: Any, name: str) -> Keeps:
        bounds = params.between(value, name)
        return lambda s: params.inside(getattr(s, attribute), bounds)

    return build


def _by_revision(value: Any, name: str) -> Keeps:
    current_only = params.truth(value, name)
    return lambda s: s.current_revision or not current_only


def _by_text(value: Any, _name: str) -> Keeps:
    wanted = str(value).lower()
    return lambda s: wanted in f"{s.number} {s.title} {s.description}".lower()


def _by_number(value: Any, _name: str) -> Keeps:
    wanted = params.texts(value)
    return lambda s: s.number in wanted


FILTERS: dict[str, Callable[[Any, str], Keeps]] = {
    "id": _by_ids(lambda s: (s.id,)),
    "updated_at": _by_time("updated_at"),
    "created_at": _by_time("created_at"),
    "status_id": _by_ids(lambda s: (s.status_id,)),
    "ball_in_court_id": _by_ids(lambda s: s.ball_ids),
    "approver_id": _by_ids(lambda s: tuple(r.user_id for r in s.rows)),
    "response_id": _by_ids(lambda s: tuple(r.response_id for r in s.rows)),
    "submittal_manager_id": _by_ids(lambda s: (s.manager_id,)),
    "received_from_id": _by_ids(lambda s: (s.received_from_id,)),
    "responsible_contractor_id": _by_ids(lambda s: (s.responsible_contractor_id,)),
    "specification_section_id": _by_ids(lambda s: (s.spec_section_id,)),
    "submittal_package_id": _by_ids(lambda s: (s.package_id,)),
    "location_id": _by_ids(lambda s: (s.location_id,)),
    "current_revision": _by_revision,
    "number": _by_number,
    "query": _by_text,
}


def show(call: Call) -> Response:
    return _whole(call, submittals.show(call.world, call.actor, call.project_id(), call.id("id")))


def _whole(call: Call, submittal: Submittal, status: int = 200) -> Response:
    project = call.project(submittal.project_id)
    return json_response(present_submittal.whole(call.world, project, submittal), status)


def create(call: Call) -> Response:
    fields = read_fields(call, params.wrapped(call.body, "submittal"))
    return _whole(call, submittals.create(call.world, call.actor, call.project_id(), fields), 201)


def update(call: Call) -> Response:
    """A production client sends `status_id` without the wrapper, and it works."""
    given = call.body.get("submittal")
    if not isinstance(given, dict):
        if "status_id" not in call.body:
            raise BadRequest("param is missing or the value is empty: submittal")
        given = {"status_id": call.body["status_id"]}
    fields = read_fields(call, given)
    changed = submittals.edit(call.world, call.actor, call.project_id(), call.id("id"), fields)
    return _whole(call, changed)


def delete(call: Call) -> Response:
    gone = submittals.delete(call.world, call.actor, call.project_id(), call.id("id"))
    return _whole(call, gone)


def restore(call: Call) -> Response:
    _bin_is_served(call)
    back = submittals.restore(call.world, call.actor, call.project_id(), call.id("id"))
    return _whole(call, back)


def revisions(call: Call) -> Response:
    found = submittals.revisions(call.world, call.actor, call.project_id(), call.id("id"))
    project = call.project(call.project_id())
    return json_response([present_submittal.listed(call.world, project, s) for s in found])


def workflow_data(call: Call) -> Response:
    found = submittals.show(call.world, call.actor, call.project_id(), call.id("id"))
    return json_response(present_submittal.workflow_data(call.world, found))


def next_number(call: Call) -> Response:
    section = None
    if "spec_section_id" in call.request.path_params:
        section = call.id("spec_section_id")
    number = submittals.next_number(call.world, call.project(call.project_id()), section)
    return json_response({"next_available_number": number})


def read_fields(call: Call, given: dict[str, Any]) -> SubmittalFields:
    """Procore's words to ours. Raises BadRequest for a workflow in JSON (behaviour 41)."""
    read: dict[str, Any] = {}
    for name, value in given.items():
        if name in READERS:
            ours, reader = READERS[name]
            read[ours] = reader(value, name)
    custom = {k: {"data_type": "string", "value": v} for k, v in given.items() if _is_custom(k)}
    if custom:
        read["custom_fields"] = custom
    if "workflow_data" in given:
        if not call.is_form:
            raise BadRequest("Error Updating Approvers")
        read["steps"] = _steps(given["workflow_data"])
    read["upload_ids"] = params.texts(given.get("upload_ids"))
    read["file_ids"] = params.wholes(given.get("prostore_file_ids"), "prostore_file_ids")
    read["incoming"] = incoming(given.get("attachments"))
    fields: SubmittalFields = msgspec.structs.replace(SubmittalFields(), **read)
    return fields


def _is_custom(name: str) -> bool:
    return name.startswith("custom_field_")


def _steps(value: Any) -> tuple[tuple[RowFields, ...], ...]:
    """Steps of members: as JSON in one field, or as `[workflow_data][0][0][...]`."""
    try:
        steps = json.loads(value) if isinstance(value, str) else value
        return tuple(tuple(_member(member) for member in step) for step in steps)
    except (ValueError, TypeError, AttributeError):
        raise BadRequest("Error Updating Approvers") from None


def _member(given: dict[str, Any]) -> RowFields:
    kind = given.get("approver_type") or "Approver"
    if kind not in ("Submitter", "Approver"):
        raise BadRequest("Error Updating Approvers")
    days = params.optional_whole(given.get("days_to_respond"), "days_to_respond")
    required = given.get("response_required")
    return RowFields(
        user_id=params.whole(given.get("login_information_id"), "login_information_id"),
        type=cast("ApproverType", kind),
        required=True if required is None else params.truth(required, "response_required"),
        days_to_respond=14 if days is None else days,
        due_on=params.day(given.get("due_date")),
        row_id=params.optional_whole(
            given.get("submittal_log_approver_id"), "submittal_log_approver_id"
        ),
    )


def _text_or_nothing(value: Any, name: str) -> str | None:
    return params.text(value, name) or None


READERS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "number": ("number", params.text),
    "title": ("title", params.text),
    "revision": ("revision", params.text),
    "description": ("description", params.text),
    "type": ("type_name", _text_or_nothing),
    "status_id": ("status_id", params.whole),
    "private": ("private", params.truth),
    "submittal_manager_id": ("manager_id", params.optional_whole),
    "specification_section_id": ("spec_section_id", params.optional_whole),
    "submittal_package_id": ("package_id", params.optional_whole),
    "received_from_id": ("received_from_id", params.optional_whole),
    "responsible_contractor_id": ("responsible_contractor_id", params.optional_whole),
    "distribution_member_ids": ("distribution_ids", params.wholes),
    "due_date": ("due_on", params.day),
    "issue_date": ("issue_on", params.day),
    "received_date": ("received_on", params.day),
    "submit_by": ("submit_by_on", params.day),
    "required_on_site_date": ("required_on_site_on", params.day),
    "lead_time": ("lead_time", params.optional_whole),
    "location_id": ("location_id", params.optional_whole),
    "cost_code_id": ("cost_code_id", params.optional_whole),
    "source_submittal_log_id": ("source_id", params.optional_whole),
}


def respond(call: Call) -> Response:
    """Answer or forward as an approver. The answer's shape conflicts in the sources."""
    given = params.wrapped(call.body, "submittal_approver")
    if "submittal_id" not in call.query:
        raise BadRequest(fields={"submittal_id": ["is required"]})
    submittal_id = params.whole(call.query["submittal_id"], "submittal_id")
    submittal, row = responses.respond(
        call.world, call.actor, call.project_id(), submittal_id, call.id("id"), _answer(given)
    )
    body = present_submittal.answer(call.world, submittal, row)
    as_array = call.world.switches.approver_patch_answer == "array"
    return json_response([body] if as_array else body)


def _answer(given: dict[str, Any]) -> responses.Answer:
    forward = given.get("forward_to")
    forward = forward if isinstance(forward, dict) else {}
    carried = params.wholes(given.get("attachment_ids"), "attachment_ids")
    for one in given.get("associated_attachments") or []:
        carried += (params.whole(one.get("attachment_id"), "attachment_id"),)
    comment = given.get("comment")
    return responses.Answer(
        response_id=params.optional_whole(
            given.get("submittal_response_id"), "submittal_response_id"
        ),
        comment=None if comment is None else str(comment),
        upload_ids=params.texts(given.get("upload_ids")),
        attachment_ids=carried,
        incoming=incoming(given.get("attachments_to_upload")),
        sent_on=params.day(given.get("sent_date")),
        returned_at=params.moment(given.get("returned_date")),
        forward_to_id=params.optional_whole(forward.get("user_id"), "user_id"),
        forward_due_on=params.day(forward.get("due_date")),
    )


def close_and_distribute(call: Call) -> Response:
    given = call.body
    selected = tuple(
        Selected(
            row_id=params.whole(one.get("id"), "selected_approvers"),
            include_comment=params.truth(one.get("include_comment", True), "include_comment"),
            attachment_ids=params.wholes(one.get("attachment_ids"), "attachment_ids"),
        )
        for one in given.get("selected_approvers") or []
        if isinstance(one, dict)
    )
    description = given.get("submittal_description")
    fields = DistributionFields(
        status_id=params.optional_whole(
            given.get("submittal_log_status_id"), "submittal_log_status_id"
        ),
        description=None if description is None else str(description),
        message=str(given.get("message") or ""),
        file_ids=params.wholes(given.get("prostore_file_ids"), "prostore_file_ids"),
        attachment_ids=params.wholes(
            given.get("submittal_attachment_ids"), "submittal_attachment_ids"
        ),
        recipient_ids=params.wholes(given.get("recipient_ids"), "recipient_ids"),
        selected=selected,
    )
    submittal, record = distributing.close_and_distribute(
        call.world, call.actor, call.project_id(), call.id("id"), fields
    )
    return json_response(present_submittal.distribution(call.world, submittal, record))


def response_options(call: Call) -> Response:
    found = call.project(call.project_id()).responses
    return page(call, found, lambda r: {"id": r.id, "name": r.name, "considered": r.considered})


def statuses(call: Call) -> Response:
    company = directory.company(call.world, call.id("company_id"))
    return page(call, company.statuses, lambda s: {"id": s.id, "name": s.name, "status": s.status})


def types(call: Call) -> Response:
    company = directory.company(call.world, call.id("company_id"))
    return page(
        call,
        company.types,
        lambda t: {"id": t.id, "name": t.name, "translated_name": t.name},
    )
