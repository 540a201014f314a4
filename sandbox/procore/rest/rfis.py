"""RFIs and their replies: behaviours 28 to 35 of docs/stand-ins.md."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET
from starlette.responses import Response

from sandbox.procore.domain import directory, rfi_replies, rfis
from sandbox.procore.domain.people import Person
from sandbox.procore.domain.rfi_fields import RfiFields
from sandbox.procore.domain.rfi_model import RFI_STATUSES, Impact, Rfi
from sandbox.procore.errors import BadRequest, NotFound
from sandbox.procore.rest import params, present_rfi
from sandbox.procore.rest.answers import json_response, page
from sandbox.procore.rest.call import Call, incoming
from sandbox.procore.rest.present_people import user_ref

Keeps = Callable[[Rfi], bool]
IMPACTS = ("yes_known", "yes_unknown", "no_impact", "tbd", "n_a")


def listing(call: Call) -> Response:
    """Shallow items by number; see `FILTERS`."""
    return _listed(call, deleted=False)


def recycle_bin(call: Call) -> Response:
    return _listed(call, deleted=True)


def _listed(call: Call, *, deleted: bool) -> Response:
    project_id = call.project_id()
    filters = call.query.get("filters", {})
    keeps = [read(call, filters[name], name) for name, read in FILTERS.items() if name in filters]
    since = None
    if "updated_at" in filters:
        since, _ = params.between(filters["updated_at"], "updated_at")
    found = rfis.listed(call.world, call.actor, project_id, deleted=deleted, since=since)
    found = [rfi for rfi in found if all(keep(rfi) for keep in keeps)]
    if search := str(call.query.get("search", "")).lower():
        found = [r for r in found if search in f"{r.subject} {r.full_number}".lower()]
    found = _sorted(call, found)
    if call.query.get("serializer_view") == "ids_only":
        return page(call, found, lambda r: r.id)
    project = call.project(project_id)
    exact = params.truth(call.query.get("as_datetimes"), "as_datetimes")
    return page(
        call,
        found,
        lambda r: present_rfi.list_item(call.world, project, r, as_datetimes=exact),
    )


def _sorted(call: Call, found: list[Rfi]) -> list[Rfi]:
    sort = call.query.get("sort")
    if not isinstance(sort, dict):
        return found
    keys: dict[str, Callable[[Rfi], Any]] = {
        "number": rfis.by_number,
        "subject": lambda r: r.subject,
        "status": lambda r: r.status,
        "created_at": lambda r: r.created_at,
        "updated_at": lambda r: r.updated_at,
        "due_date": lambda r: str(r.due_on or ""),
    }
    key = keys.get(str(sort.get("attribute")))
    if key is None:
        raise BadRequest(fields={"sort": ["is not a valid attribute"]})
    return sorted(found, key=key, reverse=sort.get("direction") == "desc")


def _by_status(call: Call, value: Any, name: str) -> Keeps:
    """The array form always works; the scalar one gave 400 live."""
    if not isinstance(value, list) and call.world.switches.scalar_status_filter == "400":
        raise BadRequest(fields={name: ["must be an array"]})
    wanted = params.texts(value)
    if any(w not in RFI_STATUSES for w in wanted):
        raise BadRequest(fields={name: ["is not included in the list"]})
    return lambda r: r.status in wanted


def _by_ids(read: Callable[[Rfi], tuple[int | None, ...]]) -> Callable[[Call, Any, str], Keeps]:
    def build(_call: Call, value: Any, name: str) -> Keeps:
        wanted = set(params.wholes(value, name))
        return lambda r: bool(wanted & set(read(r)))

    return build


def _by_time(attribute: str) -> Callable[[Call, Any, str], Keeps]:
    def build(_call: Call, value: Any, name: str) -> Keeps:
        bounds = params.between(value, name)
        return lambda r: params.inside(getattr(r, attribute), bounds)

    return build


def _by_number(_call: Call, value: Any, _name: str) -> Keeps:
    wanted = params.texts(value)
    return lambda r: r.number in wanted or r.full_number in wanted


def _by_revision(_call: Call, value: Any, name: str) -> Keeps:
    current_only = params.truth(value, name)
    return lambda r: r.current_revision or not current_only


FILTERS: dict[str, Callable[[Call, Any, str], Keeps]] = {
    "id": _by_ids(lambda r: (r.id,)),
    "status": _by_status,
    "updated_at": _by_time("updated_at"),
    "created_at": _by_time("created_at"),
    "initiated_at": _by_time("initiated_at"),
    "number": _by_number,
    "current_revision": _by_revision,
    "assigned_id": _by_ids(lambda r: r.assignee_ids),
    "ball_in_court_id": _by_ids(lambda r: r.ball_ids),
    "rfi_manager_id": _by_ids(lambda r: (r.manager_id,)),
    "responsible_contractor_id": _by_ids(lambda r: (r.responsible_contractor_id,)),
    "received_from_login_information_id": _by_ids(lambda r: (r.received_from_id,)),
    "location_id": _by_ids(lambda r: (r.location_id,)),
}


def show(call: Call) -> Response:
    return _whole(call, rfis.show(call.world, call.actor, call.project_id(), call.id("id")))


def _whole(call: Call, rfi: Rfi, status: int = 200) -> Response:
    return json_response(_body(call, rfi), status)


def _body(call: Call, rfi: Rfi) -> dict[str, Any]:
    project = call.project(rfi.project_id)
    replies = rfi_replies.shown(call.world, call.actor, project, rfi)
    return present_rfi.whole(call.world, project, rfi, replies)


def create(call: Call) -> Response:
    given = params.wrapped(call.body, "rfi")
    return _whole(
        call, rfis.create(call.world, call.actor, call.project_id(), read_fields(given)), 201
    )


def update(call: Call) -> Response:
    given = params.wrapped(call.body, "rfi")
    rfi = rfis.edit(call.world, call.actor, call.project_id(), call.id("id"), read_fields(given))
    return _whole(call, rfi)


def batch(call: Call) -> Response:
    """`{data: [{id, ...}]}`: all are updated, or none."""
    data = call.body.get("data")
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise BadRequest(fields={"data": ["is required"]})
    project_id = call.project_id()
    with call.world.transaction():
        changed = [
            rfis.edit(
                call.world,
                call.actor,
                project_id,
                params.whole(one.get("id"), "id"),
                read_fields({k: v for k, v in one.items() if k != "id"}),
            )
            for one in data
        ]
    return json_response([_body(call, rfi) for rfi in changed])


def read_fields(given: dict[str, Any]) -> RfiFields:
    """Procore's words to ours; ill-formed dates become null (behaviour 56)."""
    read: dict[str, Any] = {}
    for name, value in given.items():
        if name in READERS:
            ours, reader = READERS[name]
            read[ours] = reader(value, name)
    custom = {k: _custom(v) for k, v in given.items() if k.startswith("custom_field_")}
    if custom:
        read["custom_fields"] = custom
    question = given.get("question")
    if isinstance(question, dict):
        read["question"] = str(question["body"]) if question.get("body") else UNSET
        read["upload_ids"] = params.texts(question.get("upload_ids"))
        read["file_ids"] = params.wholes(question.get("prostore_file_ids"), "prostore_file_ids")
        read["incoming"] = incoming(question.get("attachments"))
    fields: RfiFields = msgspec.structs.replace(RfiFields(), **read)
    return fields


def _custom(value: Any) -> dict[str, Any]:
    kind = "decimal" if isinstance(value, int | float) else "string"
    return {"data_type": kind, "value": value}


def _impact(value: Any, name: str) -> Impact | None:
    if not isinstance(value, dict) or not value.get("status"):
        return None
    if value["status"] not in IMPACTS:
        raise BadRequest(fields={name: ["is not included in the list"]})
    amount = value.get("value")
    try:
        return Impact(status=value["status"], value=None if amount in (None, "") else float(amount))
    except (TypeError, ValueError):
        raise BadRequest(fields={name: ["is not a number"]}) from None


READERS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "subject": ("subject", params.text),
    "reference": ("reference", params.text),
    "number": ("number", params.text),
    "draft": ("draft", params.truth),
    "accepted": ("accepted", params.truth),
    "private": ("private", params.truth),
    "due_date": ("due_on", params.day),
    "rfi_manager_id": ("manager_id", params.whole),
    "assignee_ids": ("assignee_ids", params.wholes),
    "required_assignee_ids": ("required_assignee_ids", params.wholes),
    "distribution_ids": ("distribution_ids", params.wholes),
    "received_from_login_information_id": ("received_from_id", params.optional_whole),
    "responsible_contractor_id": ("responsible_contractor_id", params.optional_whole),
    "location_id": ("location_id", params.optional_whole),
    "cost_code_id": ("cost_code_id", params.optional_whole),
    "specification_section_id": ("spec_section_id", params.optional_whole),
    "project_stage_id": ("project_stage_id", params.optional_whole),
    "drawing_number": ("drawing_number", params.text),
    "proposed_solution": ("proposed_solution", params.text),
    "cost_impact": ("cost_impact", _impact),
    "schedule_impact": ("schedule_impact", _impact),
    "custom_textfield_1": ("custom_textfield_1", params.text),
    "custom_textfield_2": ("custom_textfield_2", params.text),
    "source_rfi_header_id": ("source_header_id", params.optional_whole),
}


def recycle(call: Call) -> Response:
    return _whole(call, rfis.recycle(call.world, call.actor, call.project_id(), call.id("id")))


def retrieve(call: Call) -> Response:
    return _whole(call, rfis.retrieve(call.world, call.actor, call.project_id(), call.id("id")))


def advance_ball(call: Call) -> Response:
    """Nothing says what its body holds; see the switch."""
    if call.world.switches.advance_ball_body == "required" and not call.body.get("rfi"):
        raise BadRequest("param is missing or the value is empty: rfi")
    rfi = rfis.advance_ball(call.world, call.actor, call.project_id(), call.id("id"))
    return _whole(call, rfi)


def forward(call: Call) -> Response:
    given = params.wrapped(call.body, "rfi")
    ids = params.wholes(given.get("forwardee_ids"), "forwardee_ids")
    rfi = rfis.forward_for_review(call.world, call.actor, call.project_id(), call.id("id"), ids)
    return _whole(call, rfi)


def potential_assignees(call: Call) -> Response:
    """Whoever has Standard or more on the RFI tool."""
    found = [
        person
        for person, place in directory.members(call.world, call.project_id())
        if place.level("rfi") in ("Standard", "Admin")
    ]
    return page(call, found, lambda p: _ref(call, p))


def potential_managers(call: Call) -> Response:
    found = [
        person
        for person, place in directory.members(call.world, call.project_id())
        if place.level("rfi") == "Admin" or place.act_as_rfi_manager
    ]
    return page(call, found, lambda p: _ref(call, p))


def _ref(call: Call, person: Person) -> Any:
    return user_ref(call.world, person.id, with_company=True)


# ------------------------------------------------------------------------------ replies


def replies(call: Call) -> Response:
    rfi = rfis.show(call.world, call.actor, call.project_id(), call.id("rfi_id"))
    project = call.project(rfi.project_id)
    shown = rfi_replies.shown(call.world, call.actor, project, rfi)
    return page(call, shown, lambda r: present_rfi.reply_body(call.world, rfi, r))


def reply(call: Call) -> Response:
    rfi = rfis.show(call.world, call.actor, call.project_id(), call.id("rfi_id"))
    shown = rfi_replies.shown(call.world, call.actor, call.project(rfi.project_id), rfi)
    found = next((r for r in shown if r.id == call.id("id")), None)
    if found is None:
        raise NotFound
    return json_response(present_rfi.reply_body(call.world, rfi, found))


def add_reply(call: Call) -> Response:
    given = params.wrapped(call.body, "reply")
    fields = rfi_replies.ReplyFields(
        body=str(given.get("body") or ""),
        official=params.truth(given.get("official"), "official"),
        upload_ids=params.texts(given.get("upload_ids")),
        incoming=incoming(call.body.get("attachments")) + incoming(given.get("attachments")),
    )
    rfi, made = rfi_replies.add(
        call.world, call.actor, call.project_id(), call.id("rfi_id"), fields
    )
    return json_response(present_rfi.reply_body(call.world, rfi, made), 201)


def mark_reply(call: Call) -> Response:
    """Only `official` can change; anything else is ignored, or refused by the switch."""
    given = params.wrapped(call.body, "reply")
    others = [name for name in given if name != "official"]
    if others and call.world.switches.reply_patch_of_text == "rejected":
        raise BadRequest(fields={name: ["cannot be changed"] for name in others})
    place = (call.world, call.actor, call.project_id(), call.id("rfi_id"))
    if "official" not in given:
        return reply(call)
    official = params.truth(given["official"], "official")
    rfi, marked = rfi_replies.mark_official(*place, call.id("id"), official=official)
    return json_response(present_rfi.reply_body(call.world, rfi, marked))


def delete_reply(call: Call) -> Response:
    rfi_replies.delete(call.world, call.actor, call.project_id(), call.id("rfi_id"), call.id("id"))
    return json_response({})
