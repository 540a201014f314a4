"""The submittal tool: log, create, workflow, respond, close, distribute, revise, delete."""

from typing import Any

from sandbox.procore.domain import directory, distributing, responses, submittal_access, submittals
from sandbox.procore.domain.submittal_fields import RowFields, SubmittalFields
from sandbox.procore.domain.submittal_model import ApproverRow, Submittal
from sandbox.procore.pages.frame import Visit
from sandbox.procore.pages.projects import Shown, around

BASE = "/projects/{project_id}/submittals"
STEPS = (1, 2, 3)


async def listing(visit: Visit) -> Shown:
    values = around(visit)
    words = visit.request.query_params.get("q", "").strip().lower()
    sections = {s.id: s for s in values["project"].spec_sections}
    rows = [
        (s, sections.get(s.spec_section_id or 0), submittals.status_of(visit.world, s))
        for s in submittals.listed(visit.world, visit.actor, values["project"].id)
        if words in f"{s.number} {s.title}".lower()
    ]
    return "submittals.html", {**values, "rows": rows, "q": words}


async def blank(visit: Visit) -> Shown:
    values = around(visit)
    return "submittal_form.html", {**values, "submittal": None, **_choices(visit, values)}


async def edit_form(visit: Visit) -> Shown:
    values = around(visit)
    shown = submittals.show(
        visit.world, visit.actor, values["project"].id, visit.number("submittal_id")
    )
    return "submittal_form.html", {**values, "submittal": shown, **_choices(visit, values)}


def _choices(visit: Visit, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "members": directory.members(visit.world, values["project"].id),
        "types": values["company"].types,
        "steps": STEPS,
    }


async def detail(visit: Visit) -> Shown:
    values = around(visit)
    project, world, actor = values["project"], visit.world, visit.actor
    submittal = submittals.show(world, actor, project.id, visit.number("submittal_id"))
    admin = submittal_access.is_admin(world, actor, project)
    return "submittal.html", {
        **values,
        "submittal": submittal,
        "status": submittals.status_of(world, submittal),
        "section": directory.spec_section(project, submittal.spec_section_id),
        "package": directory.choice(project.packages, submittal.package_id),
        "responses": {r.id: r for r in project.responses},
        "may_answer": {r.id: _may_answer(visit, submittal, r, admin=admin) for r in submittal.rows},
        "admin": admin,
        "revisions": submittals.revisions(world, actor, project.id, submittal.id),
        "closed_statuses": [s for s in values["company"].statuses if s.status == "Closed"],
        "members": directory.members(world, project.id),
    }


def _may_answer(visit: Visit, submittal: Submittal, row: ApproverRow, *, admin: bool) -> bool:
    if row.answered or row.step != submittal.step:
        return False
    return admin or (row.user_id == visit.person.id and visit.person.id in submittal.ball_ids)


async def create(visit: Visit) -> str:
    project = visit.project()
    section = visit.one_id("section")
    fields = await _fields(visit)
    steps = []
    if submitter := visit.ids("submitter"):
        steps.append(tuple(RowFields(user_id=u, type="Submitter") for u in submitter))
    for step in STEPS:
        required = visit.ids(f"step{step}")
        optional = visit.ids(f"optional{step}")
        if required or optional:
            steps.append(
                tuple(RowFields(user_id=u) for u in required)
                + tuple(RowFields(user_id=u, required=False) for u in optional)
            )
    number = visit.text("number") or submittals.next_number(visit.world, project, section)
    values = {**_given(fields), "number": number, "steps": tuple(steps)}
    created = submittals.create(visit.world, visit.actor, project.id, SubmittalFields(**values))
    return _at(created)


async def save(visit: Visit) -> str:
    fields = await _fields(visit)
    changed = submittals.edit(
        visit.world, visit.actor, visit.project().id, visit.number("submittal_id"), fields
    )
    return _at(changed)


async def _fields(visit: Visit) -> SubmittalFields:
    values: dict[str, Any] = {
        "title": visit.text("title"),
        "description": visit.text("description"),
        "type_name": visit.text("type") or None,
        "due_on": visit.on("due_on"),
        "private": visit.ticked("private"),
        "incoming": await visit.files("files"),
    }
    if (section := visit.one_id("section")) is not None:
        values["spec_section_id"] = section
    if (manager := visit.one_id("manager")) is not None:
        values["manager_id"] = manager
    return SubmittalFields(**values)


def _given(fields: SubmittalFields) -> dict[str, Any]:
    return {name: getattr(fields, name) for name in fields.__struct_fields__}


async def respond(visit: Visit) -> str:
    answer = responses.Answer(
        response_id=visit.one_id("response"),
        comment=visit.text("comment") or None,
        incoming=await visit.files("files"),
    )
    changed, _ = responses.respond(
        visit.world,
        visit.actor,
        visit.project().id,
        visit.number("submittal_id"),
        visit.number("row_id"),
        answer,
    )
    return _at(changed)


async def replace_approver(visit: Visit) -> str:
    return _at(
        responses.replace_approver(
            visit.world,
            visit.actor,
            visit.project().id,
            visit.number("submittal_id"),
            visit.number("row_id"),
            user_id=visit.one_id("user") or 0,
        )
    )


async def add_reviewer(visit: Visit) -> str:
    changed, _ = responses.add_reviewer(
        visit.world,
        visit.actor,
        visit.project().id,
        visit.number("submittal_id"),
        step=visit.one_id("step") or 0,
        user_id=visit.one_id("user") or 0,
        required=visit.ticked("required"),
    )
    return _at(changed)


async def distribute(visit: Visit) -> str:
    fields = distributing.DistributionFields(
        message=visit.text("message"),
        recipient_ids=visit.ids("recipients"),
        status_id=visit.one_id("status"),
    )
    changed, _ = distributing.close_and_distribute(
        visit.world, visit.actor, visit.project().id, visit.number("submittal_id"), fields
    )
    return _at(changed)


async def close(visit: Visit) -> str:
    return _at(
        submittals.close(
            visit.world,
            visit.actor,
            visit.project().id,
            visit.number("submittal_id"),
            visit.one_id("status"),
        )
    )


async def do(visit: Visit) -> str:
    """Open a draft, revise, resume, delete or restore."""
    operation = OPERATIONS[visit.request.path_params["verb"]]
    changed = operation(visit.world, visit.actor, visit.project().id, visit.number("submittal_id"))
    return f"/projects/{changed.project_id}/submittals" if changed.deleted_at else _at(changed)


def _at(submittal: Submittal) -> str:
    return f"/projects/{submittal.project_id}/submittals/{submittal.id}"


OPERATIONS: dict[str, Any] = {
    "open": submittals.open_draft,
    "revise": submittals.revise,
    "resume": responses.resume,
    "delete": submittals.delete,
    "restore": submittals.restore,
}
PAGES = {
    BASE: listing,
    f"{BASE}/new": blank,
    f"{BASE}/{{submittal_id}}": detail,
    f"{BASE}/{{submittal_id}}/edit": edit_form,
}
ACTIONS = {
    BASE: create,
    f"{BASE}/{{submittal_id}}": save,
    f"{BASE}/{{submittal_id}}/rows/{{row_id}}/respond": respond,
    f"{BASE}/{{submittal_id}}/rows/{{row_id}}/replace": replace_approver,
    f"{BASE}/{{submittal_id}}/reviewers": add_reviewer,
    f"{BASE}/{{submittal_id}}/distribute": distribute,
    f"{BASE}/{{submittal_id}}/close": close,
    f"{BASE}/{{submittal_id}}/do/{{verb}}": do,
}
