"""Who am I, companies, projects, people, levels, tools: behaviour 48 of docs/stand-ins.md."""

from typing import Any

from starlette.responses import Response

from sandbox.procore.domain import directory
from sandbox.procore.domain.people import LEVELS, TOOL_TITLES, TOOLS, Level, Project, Tool
from sandbox.procore.errors import BadRequest, Forbidden, NotFound
from sandbox.procore.rest import params, present_people
from sandbox.procore.rest.answers import json_response, page
from sandbox.procore.rest.call import Call

TOOL_PATHS: dict[Tool, str] = {
    "rfi": "rfi",
    "submittal_log": "submittal_logs",
    "directory": "directory",
    "admin": "admin",
}

MANIFEST_PLURALS: dict[Tool, str] = {"rfi": "rfis", "submittal_log": "submittals"}


def me(call: Call) -> Response:
    """The name comes only with a company or project."""
    person = directory.person(call.world, call.actor.user_id)
    named = "company_id" in call.query or "project_id" in call.query
    name = person.name if named else None
    return json_response({"id": person.id, "login": person.login, "name": name})


def companies(call: Call) -> Response:
    free_too = params.truth(call.query.get("include_free_companies"), "include_free_companies")
    found = [c for c in directory.companies_of(call.world, call.actor) if free_too or not c.free]
    return page(call, found, present_people.company)


def projects(call: Call) -> Response:
    """Those the person was added to; all, for a full company admin."""
    if "company_id" not in call.query:
        raise BadRequest(fields={"company_id": ["is required"]})
    company_id = params.whole(call.query["company_id"], "company_id")
    if call.company_id not in (None, company_id):
        raise Forbidden
    found = directory.projects_of(call.world, call.actor, company_id)
    filters = call.query.get("filters", {})
    match str(filters.get("by_status", "All")).lower():
        case "active":
            found = [p for p in found if p.active]
        case "inactive":
            found = [p for p in found if not p.active]
        case _:
            pass
    if "updated_at" in filters:
        bounds = params.between(filters["updated_at"], "updated_at")
        found = [p for p in found if params.inside(p.updated_at, bounds)]
    view = str(call.query.get("view", "normal"))
    return page(call, found, lambda p: present_people.project(call.world, p, view))


def project(call: Call) -> Response:
    if "company_id" not in call.query:
        raise BadRequest(fields={"company_id": ["is required"]})
    found = call.project(call.project_id())
    if str(found.company_id) != call.query["company_id"]:
        raise Forbidden
    return json_response(present_people.project(call.world, found))


def users(call: Call) -> Response:
    """Compact without read access to the Directory."""
    project_id = call.project_id()
    found_project = call.project(project_id)
    reads = directory.at_least(call.world, call.actor, found_project, "directory", "Read Only")
    compact = not reads or call.query.get("view") == "compact"
    found = [
        (person, place)
        for person, place in directory.members(call.world, project_id)
        if person.is_active
    ]
    filters = call.query.get("filters", {})
    if search := str(filters.get("search", "")).lower():
        found = [f for f in found if search in f"{f[0].name} {f[0].login}".lower()]
    if "id" in filters:
        wanted = set(params.wholes(filters["id"], "id"))
        found = [f for f in found if f[0].id in wanted]
    return page(
        call,
        found,
        lambda f: present_people.project_user(f[0], f[1], compact=compact),
    )


def user(call: Call) -> Response:
    project_id = call.project_id()
    person = directory.person(call.world, call.id("id"))
    place = directory.membership(call.world, project_id, person.id)
    if place is None:
        raise NotFound
    reads = directory.at_least(
        call.world, call.actor, call.project(project_id), "directory", "Read Only"
    )
    return json_response(present_people.project_user(person, place, compact=not reads))


def permissions(call: Call) -> Response:
    """The caller's level on each tool of a project."""
    if "project_id" not in call.query and "company_id" not in call.query:
        raise BadRequest("Either project_id or company_id must be provided.")
    if "project_id" not in call.query:
        return json_response({"tools": []})
    found = call.project(call.project_id())
    tools = [_manifest(call, found, tool) for tool in TOOLS if tool not in found.disabled_tools]
    return json_response({"tools": tools})


def _manifest(call: Call, found: Project, tool: Tool) -> dict[str, Any]:
    level: Level = directory.level_of(call.world, call.actor, found, tool)
    actions = []
    place = directory.membership(call.world, found.id, call.actor.user_id)
    if tool == "rfi" and place is not None and place.act_as_rfi_manager:
        actions.append(
            {
                "id": 371,
                "action_name": "act_as_rfi_manager",
                "label": "Act as RFI Manager",
                "tool_name": tool,
            }
        )
    root = f"{call.world.public_url}/{found.id}/project/{TOOL_PATHS[tool]}"
    plural = call.world.switches.tool_names == "plural"
    can_create = level in ("Standard", "Admin")
    return {
        "id": 100 + TOOLS.index(tool),
        "name": MANIFEST_PLURALS.get(tool, tool) if plural else tool,
        "friendly_name": TOOL_TITLES[tool],
        "domain_id": 1,
        "tab_group": "project",
        "available_for_user": level != "None",
        "url": root,
        "user_access_level": {"id": LEVELS.index(level) + 1, "name": level},
        "permitted_actions": actions,
        "create_url": f"{root}/new" if can_create else None,
        "can_create": can_create,
        "trial": False,
    }


def tools(call: Call) -> Response:
    found = call.project(call.project_id())
    listed = [
        {
            "id": 100 + number,
            "engine_name": tool,
            "title": TOOL_TITLES[tool],
            "is_active": tool not in found.disabled_tools,
            "required": tool in ("directory", "admin"),
            "position": number + 1,
        }
        for number, tool in enumerate(TOOLS)
    ]
    wanted = call.query.get("filters", {}).get("is_active")
    if wanted is not None:
        active = params.truth(wanted, "is_active")
        listed = [t for t in listed if t["is_active"] == active]
    return json_response(listed)
