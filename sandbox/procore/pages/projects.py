"""Companies, projects, the directory, the recycle bin and files."""

from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from sandbox.procore.domain import directory, rfis, submittals
from sandbox.procore.domain.people import TOOL_TITLES, Project
from sandbox.procore.errors import NotFound
from sandbox.procore.pages.frame import Visit

Shown = tuple[str, dict[str, Any]]


def around(visit: Visit) -> dict[str, Any]:
    """The project and the tools that this person sees of it."""
    project = visit.project()
    levels = {
        tool: directory.level_of(visit.world, visit.actor, project, tool) for tool in TOOL_TITLES
    }
    tools = [t for t in ("rfi", "submittal_log") if t not in project.disabled_tools]
    return {
        "project": project,
        "company": directory.company(visit.world, project.company_id),
        "levels": levels,
        "tools": [t for t in tools if levels[t] != "None"],  # type: ignore[index] # a Tool
        "titles": TOOL_TITLES,
    }


async def home(visit: Visit) -> Shown:
    companies = [
        (company, directory.projects_of(visit.world, visit.actor, company.id))
        for company in directory.companies_of(visit.world, visit.actor)
    ]
    return "home.html", {"companies": companies}


async def overview(visit: Visit) -> Shown:
    values = around(visit)
    project: Project = values["project"]
    counts = {}
    if "rfi" in values["tools"]:
        counts["rfi"] = len(rfis.listed(visit.world, visit.actor, project.id))
    if "submittal_log" in values["tools"]:
        counts["submittal_log"] = len(submittals.listed(visit.world, visit.actor, project.id))
    members = directory.members(visit.world, project.id)
    return "project.html", {**values, "counts": counts, "members": members}


async def recycle_bin(visit: Visit) -> Shown:
    values = around(visit)
    project: Project = values["project"]
    deleted_rfis = rfis.listed(visit.world, visit.actor, project.id, deleted=True)
    deleted = submittals.listed(visit.world, visit.actor, project.id, deleted=True)
    return "bin.html", {**values, "rfis": deleted_rfis, "submittals": deleted}


async def file(visit: Visit) -> Response:
    """The bytes of an attachment of a record that this person sees."""
    project = visit.project()
    record_id, attachment_id = visit.number("record_id"), visit.number("attachment_id")
    record: Any
    if visit.request.path_params["kind"] == "rfis":
        record = rfis.show(visit.world, visit.actor, project.id, record_id)
        groups = [record.question.attachments, *(r.attachments for r in record.replies)]
    else:
        record = submittals.show(visit.world, visit.actor, project.id, record_id)
        groups = [record.attachments, *(r.attachments for r in record.rows)]
    found = next((a for group in groups for a in group if a.id == attachment_id), None)
    if found is None:
        raise NotFound
    inline = found.content_type in ("application/pdf", "image/png", "image/jpeg")
    disposition = "inline" if inline else "attachment"
    return Response(
        visit.world.files.read(found.sha256),
        media_type=found.content_type,
        headers={
            "content-disposition": f"{disposition}; filename*=UTF-8''{quote(found.name)}",
            "x-content-type-options": "nosniff",
        },
    )


PAGES = {
    "/projects/{project_id}": overview,
    "/projects/{project_id}/recycle_bin": recycle_bin,
    "/projects/{project_id}/{kind}/{record_id}/files/{attachment_id}": file,
}
ACTIONS: dict[str, Any] = {}
