"""The RFI tool: list, create, read, reply, mark official, close, reopen, move the ball, delete."""

from typing import Any

from sandbox.procore.domain import directory, rfi_access, rfi_replies, rfis
from sandbox.procore.domain.rfi_fields import RfiFields
from sandbox.procore.domain.rfi_model import STATUS_WORDS, Rfi
from sandbox.procore.pages.frame import Visit, paragraphs
from sandbox.procore.pages.projects import Shown, around

BASE = "/projects/{project_id}/rfis"


async def listing(visit: Visit) -> Shown:
    values = around(visit)
    chosen = visit.request.query_params.get("status", "")
    words = visit.request.query_params.get("q", "").strip().lower()
    found = [
        r
        for r in rfis.listed(visit.world, visit.actor, values["project"].id)
        if chosen in ("", r.status) and words in f"{r.full_number or ''} {r.subject}".lower()
    ]
    return "rfis.html", {
        **values,
        "rfis": found,
        "statuses": STATUS_WORDS,
        "chosen": chosen,
        "q": words,
    }


async def blank(visit: Visit) -> Shown:
    values = around(visit)
    project = values["project"]
    return "rfi_form.html", {
        **values,
        "rfi": None,
        "members": directory.members(visit.world, project.id),
        "next_number": rfis.next_number(visit.world, project),
    }


async def edit_form(visit: Visit) -> Shown:
    values = around(visit)
    rfi = rfis.show(visit.world, visit.actor, values["project"].id, visit.number("rfi_id"))
    return "rfi_form.html", {
        **values,
        "rfi": rfi,
        "members": directory.members(visit.world, values["project"].id),
        "next_number": None,
    }


async def detail(visit: Visit) -> Shown:
    values = around(visit)
    project, world, actor = values["project"], visit.world, visit.actor
    rfi = rfis.show(world, actor, project.id, visit.number("rfi_id"))
    may = {
        "manage": rfi_access.manages(world, actor, project, rfi),
        "edit": rfi_access.may_edit(world, actor, project, rfi),
        "reply": rfi_access.may_reply(world, actor, project, rfi) and rfi.status == "open",
        "official": rfi_access.may_mark_official(world, actor, project, rfi),
        "forward": rfi.ball_role == "assignees" and actor.user_id in rfi.ball_ids,
    }
    return "rfi.html", {
        **values,
        "rfi": rfi,
        "status": STATUS_WORDS[rfi.status],
        "replies": rfi_replies.shown(world, actor, project, rfi),
        "may": may,
        "members": directory.members(world, project.id),
        "section": directory.spec_section(project, rfi.spec_section_id),
        "location": directory.choice(project.locations, rfi.location_id),
    }


async def create(visit: Visit) -> str:
    project = visit.project()
    fields = await _fields(visit, new=True)
    rfi = rfis.create(visit.world, visit.actor, project.id, fields)
    return _at(rfi)


async def save(visit: Visit) -> str:
    fields = await _fields(visit, new=False)
    rfi = rfis.edit(visit.world, visit.actor, visit.project().id, visit.number("rfi_id"), fields)
    return _at(rfi)


async def _fields(visit: Visit, *, new: bool) -> RfiFields:
    values: dict[str, Any] = {
        "subject": visit.text("subject"),
        "question": paragraphs(visit.text("question")),
        "due_on": visit.on("due_on"),
        "private": visit.ticked("private"),
        "assignee_ids": visit.ids("assignees"),
        "distribution_ids": visit.ids("distribution"),
        "incoming": await visit.files("files"),
    }
    if (manager := visit.one_id("manager")) is not None:
        values["manager_id"] = manager
    if (section := visit.one_id("section")) is not None:
        values["spec_section_id"] = section
    if new:
        values["draft"] = visit.ticked("draft")
    return RfiFields(**values)


async def reply(visit: Visit) -> str:
    fields = rfi_replies.ReplyFields(
        body=paragraphs(visit.text("reply")),
        official=visit.ticked("official"),
        incoming=await visit.files("files"),
    )
    rfi, _ = rfi_replies.add(
        visit.world, visit.actor, visit.project().id, visit.number("rfi_id"), fields
    )
    return _at(rfi)


async def mark(visit: Visit) -> str:
    rfi, _ = rfi_replies.mark_official(
        visit.world,
        visit.actor,
        visit.project().id,
        visit.number("rfi_id"),
        visit.number("reply_id"),
        official=visit.ticked("official"),
    )
    return _at(rfi)


async def delete_reply(visit: Visit) -> str:
    rfi = rfi_replies.delete(
        visit.world,
        visit.actor,
        visit.project().id,
        visit.number("rfi_id"),
        visit.number("reply_id"),
    )
    return _at(rfi)


async def do(visit: Visit) -> str:
    """Close, reopen, open a draft, move the ball, delete or retrieve."""
    operation = OPERATIONS[visit.request.path_params["verb"]]
    rfi = operation(visit.world, visit.actor, visit.project().id, visit.number("rfi_id"))
    return f"/projects/{rfi.project_id}/rfis" if rfi.deleted_at else _at(rfi)


async def forward(visit: Visit) -> str:
    return _at(
        rfis.forward_for_review(
            visit.world,
            visit.actor,
            visit.project().id,
            visit.number("rfi_id"),
            visit.ids("forward_to"),
        )
    )


def _at(rfi: Rfi) -> str:
    return f"/projects/{rfi.project_id}/rfis/{rfi.id}"


OPERATIONS = {
    "close": rfis.close,
    "reopen": rfis.reopen,
    "open": rfis.open_draft,
    "ball": rfis.advance_ball,
    "delete": rfis.recycle,
    "retrieve": rfis.retrieve,
}
VERBS = "|".join(OPERATIONS)
PAGES = {
    BASE: listing,
    f"{BASE}/new": blank,
    f"{BASE}/{{rfi_id}}": detail,
    f"{BASE}/{{rfi_id}}/edit": edit_form,
}
ACTIONS = {
    BASE: create,
    f"{BASE}/{{rfi_id}}": save,
    f"{BASE}/{{rfi_id}}/replies": reply,
    f"{BASE}/{{rfi_id}}/replies/{{reply_id}}": mark,
    f"{BASE}/{{rfi_id}}/replies/{{reply_id}}/delete": delete_reply,
    f"{BASE}/{{rfi_id}}/forward": forward,
    f"{BASE}/{{rfi_id}}/do/{{verb}}": do,
}
