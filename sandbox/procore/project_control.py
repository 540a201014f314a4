"""`POST /_sandbox/projects`: what an administrator sets on a project, changed while it runs.

Behaviours 39 (responses renamed, added and removed), 38 (reject workflows) and 48 (tools) of
docs/stand-ins.md.
"""

import msgspec
from msgspec.structs import replace

from sandbox.procore.domain import directory
from sandbox.procore.domain.people import Project, ProjectSettings, ResponseOption, Tool
from sandbox.procore.errors import BadRequest, NotFound
from sandbox.procore.world import World

CONSIDERED = (
    "approved",
    "approved as noted",
    "for record only",
    "forwarded for review",
    "pending",
    "rejected",
    "revise and resubmit",
    "submitted",
    "void",
)

NEVER_REMOVED = ("forwarded for review", "pending", "submitted")


class ResponseChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With an `id` one that is there is renamed or moved, or removed; without one it is added."""

    id: int | None = None
    name: str | None = None
    considered: str | None = None
    removed: bool = False


class SettingsChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reject_workflow: bool | None = None
    approvers_add_reviewers: bool | None = None
    only_official_replies: bool | None = None
    rfi_prefix: str | None = None


class ProjectOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    project_id: int
    settings: SettingsChange = SettingsChange()
    responses: tuple[ResponseChange, ...] = ()
    disabled_tools: tuple[Tool, ...] | None = None


def change(world: World, order: ProjectOrder) -> Project:
    """Do it, and note it in the ledger.

    Raises:
        NotFound: no such project.
        BadRequest: a response that is not the project's, or a class that Procore does not have.
    """
    project = world.store.get(Project, order.project_id)
    if project is None:
        raise NotFound
    with world.transaction():
        changed = replace(project, settings=_settings(project.settings, order.settings))
        for one in order.responses:
            changed = replace(changed, responses=_responses(world, changed, one))
        if order.disabled_tools is not None:
            changed = replace(changed, disabled_tools=order.disabled_tools)
        world.note_effect(None, "project.changed", "projects", project.id)
        return directory.change_project(world, changed)


def _settings(settings: ProjectSettings, wanted: SettingsChange) -> ProjectSettings:
    given = {
        name: value
        for name in wanted.__struct_fields__
        if (value := getattr(wanted, name)) is not None
    }
    changed: ProjectSettings = replace(settings, **given)
    return changed


def _responses(
    world: World, project: Project, wanted: ResponseChange
) -> tuple[ResponseOption, ...]:
    if wanted.considered is not None and wanted.considered not in CONSIDERED:
        raise BadRequest(fields={"considered": [f"is one of {', '.join(CONSIDERED)}"]})
    if wanted.id is None:
        return (*project.responses, _added(world, project, wanted))
    found = next((r for r in project.responses if r.id == wanted.id), None)
    if found is None:
        raise BadRequest(fields={"id": [f"{wanted.id} is not a response of this project"]})
    if wanted.removed:
        if found.considered in NEVER_REMOVED:
            raise BadRequest(fields={"id": [f"of {found.considered} there is one and it stays"]})
        return tuple(r for r in project.responses if r.id != wanted.id)
    return tuple(
        replace(r, name=wanted.name or r.name, considered=wanted.considered or r.considered)
        if r.id == wanted.id
        else r
        for r in project.responses
    )


def _added(world: World, project: Project, wanted: ResponseChange) -> ResponseOption:
    if wanted.name is None or wanted.considered is None:
        raise BadRequest(fields={"name": ["and considered are required for a new response"]})
    base = directory.company(world, project.company_id).id_base
    return ResponseOption(id=world.next_id(base), name=wanted.name, considered=wanted.considered)
