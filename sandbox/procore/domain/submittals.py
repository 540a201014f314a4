"""Submittals: create, edit, revise, delete, restore, list. Responding is in `responses`."""

from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from sandbox.procore.domain import directory, events, files, recycle_bin, submittal_access, workflow
from sandbox.procore.domain.people import Actor, Project, SubmittalStatus
from sandbox.procore.domain.submittal_fields import (
    ADMIN_ONLY,
    SubmittalFields,
    plain_fields,
)
from sandbox.procore.domain.submittal_model import Submittal
from sandbox.procore.domain.submittal_rows import rows_of, same_people
from sandbox.procore.errors import BadRequest, NotFound, Unprocessable
from sandbox.procore.world import World


def create(world: World, actor: Actor, project_id: int, fields: SubmittalFields) -> Submittal:
    """A new submittal: Open unless an Admin says otherwise; with `source_id` a revision.

    Raises:
        Forbidden: below Standard.
        Unprocessable: no number, an unknown status, or somebody is not in the project.
    """
    project = directory.project(world, actor, project_id)
    directory.require(world, actor, project, "submittal_log", "Standard")
    fields = _for_level(world, actor, project, fields)
    source = _source(world, actor, project, fields)
    if not fields.number and source is None:
        raise Unprocessable(fields={"number": ["can't be blank"]})
    _check(world, project, fields)
    with world.transaction():
        submittal = _new(world, actor, project, fields, source)
        submittal = _entered(world, submittal)
        world.save(submittal)
        tell(world, actor, submittal, "create")
        if source is not None:
            old = replace(source, current_revision=False, updated_at=world.now())
            world.save(old)
            tell(world, actor, old, "update")
            tell(world, actor, submittal, "update")
    return submittal


def _for_level(
    world: World, actor: Actor, project: Project, fields: SubmittalFields
) -> SubmittalFields:
    """Fields that only an Admin may set are dropped for others."""
    if submittal_access.is_admin(world, actor, project):
        return fields
    return replace(fields, **dict.fromkeys(ADMIN_ONLY, UNSET))


def _source(
    world: World, actor: Actor, project: Project, fields: SubmittalFields
) -> Submittal | None:
    if isinstance(fields.source_id, UnsetType) or fields.source_id is None:
        return None
    try:
        _, found = submittal_access.visible(world, actor, project.id, fields.source_id)
    except NotFound:
        wrong = {"source_submittal_log_id": ["is not a submittal of this project"]}
        raise Unprocessable(fields=wrong) from None
    return found


def _check(world: World, project: Project, fields: SubmittalFields) -> None:
    wrong: dict[str, list[str]] = {}
    if not isinstance(fields.status_id, UnsetType) and (
        directory.status(world, project.company_id, fields.status_id) is None
    ):
        wrong["status_id"] = ["is not a status of this company"]
    types = {t.name for t in directory.company(world, project.company_id).types}
    named = fields.type_name
    if not isinstance(named, UnsetType) and named and named not in types:
        wrong["type"] = ["is not included in the list"]
    people: dict[str, tuple[int, ...]] = {}
    if not isinstance(fields.manager_id, UnsetType) and fields.manager_id:
        people["submittal_manager_id"] = (fields.manager_id,)
    if not isinstance(fields.distribution_ids, UnsetType):
        people["distribution_member_ids"] = fields.distribution_ids
    if not isinstance(fields.steps, UnsetType):
        people["workflow_data"] = tuple(row.user_id for step in fields.steps for row in step)
    for name, ids in people.items():
        if strangers := directory.must_be_members(world, project.id, ids):
            wrong[name] = [f"{u} is not a member of this project" for u in strangers]
    if wrong:
        raise Unprocessable(fields=wrong)


def _new(
    world: World,
    actor: Actor,
    project: Project,
    fields: SubmittalFields,
    source: Submittal | None,
) -> Submittal:
    now = world.now()
    base = directory.company(world, project.company_id).id_base
    opened = directory.status_of_class(world, project.company_id, "Open")
    submittal = Submittal(
        id=world.next_id(base),
        company_id=project.company_id,
        project_id=project.id,
        number="",
        title="",
        status_id=opened.id,
        manager_id=None if source is None else source.manager_id,
        created_by_id=actor.user_id,
        created_at=now,
        updated_at=now,
    )
    if source is not None:
        submittal = _continuing(submittal, source)
    submittal = replace(submittal, **plain_fields(fields))
    attached = files.gather(
        world,
        actor,
        project,
        upload_ids=_upload_ids(world, fields),
        file_ids=fields.file_ids,
        incoming=fields.incoming,
    )
    if actor.via_api and world.switches.attachments_at_create == "dropped":
        attached = ()
    steps: Any = fields.steps
    if isinstance(steps, UnsetType):
        steps = () if source is None else same_people(source)
    rows = rows_of(world, project, submittal, steps)
    return replace(submittal, attachments=attached, rows=rows)


def _continuing(submittal: Submittal, source: Submittal) -> Submittal:
    return replace(
        submittal,
        number=source.number,
        revision=str(int(source.revision) + 1) if source.revision.isdigit() else "1",
        source_id=source.id,
        title=source.title,
        description=source.description,
        private=source.private,
        type_name=source.type_name,
        spec_section_id=source.spec_section_id,
        package_id=source.package_id,
        received_from_id=source.received_from_id,
        responsible_contractor_id=source.responsible_contractor_id,
        distribution_ids=source.distribution_ids,
        location_id=source.location_id,
    )


def _upload_ids(world: World, fields: SubmittalFields) -> tuple[str, ...]:
    accepted = world.switches.upload_ids_on_submittals == "accepted"
    return fields.upload_ids if accepted else ()


def status_of(world: World, submittal: Submittal) -> SubmittalStatus:
    found = directory.status(world, submittal.company_id, submittal.status_id)
    if found is None:
        raise Unprocessable(fields={"status_id": ["is not a status of this company"]})
    return found


def _entered(world: World, submittal: Submittal) -> Submittal:
    """Where the ball is when a status is first entered. A Draft starts no dates."""
    match status_of(world, submittal).status:
        case "Open":
            opened = replace(submittal, opened_at=submittal.opened_at or world.now())
            return workflow.start(replace(opened, closed_at=None), world.now().date())
        case "Closed":
            return workflow.stop(replace(submittal, closed_at=world.now()))
        case _:
            return workflow.stop(replace(submittal, closed_at=None))


def edit(
    world: World, actor: Actor, project_id: int, submittal_id: int, fields: SubmittalFields
) -> Submittal:
    """Change fields, status or workflow. A status of class Closed closes (Admin).

    Raises:
        NotFound, Forbidden: as the permissions say.
        Unprocessable: unknown status, people outside the project, a given response removed.
    """
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    submittal_access.must_edit(world, actor, project, submittal)
    fields = _for_level(world, actor, project, fields)
    _check(world, project, fields)
    with world.transaction():
        changed = replace(submittal, **plain_fields(fields))
        more = files.gather(
            world,
            actor,
            project,
            upload_ids=_upload_ids(world, fields),
            file_ids=fields.file_ids,
            incoming=fields.incoming,
        )
        changed = replace(changed, attachments=(*changed.attachments, *more))
        if not isinstance(fields.steps, UnsetType):
            rows = rows_of(world, project, changed, fields.steps)
            changed = _rerouted(world, submittal, replace(changed, rows=rows))
        return _with_status(world, actor, submittal, changed)


def _rerouted(world: World, before: Submittal, changed: Submittal) -> Submittal:
    """The workflow was rewritten: an open one that had none, or was through it, starts."""
    today = world.now().date()
    at_rest = changed.step is None and changed.rejected_row_id is None
    if at_rest and status_of(world, before).status == "Open":
        return workflow.start(changed, today)
    return workflow.refreshed(changed, today)


def _with_status(world: World, actor: Actor, before: Submittal, changed: Submittal) -> Submittal:
    """Write the edit; a closing writes its new ball in court as a second change."""
    was, becomes = status_of(world, before).status, status_of(world, changed).status
    if was == becomes:
        if (
            before.package_id != changed.package_id
            and not world.switches.package_move_raises_update
        ):
            world.save(silent := replace(changed, updated_at=world.now()))
            return silent
        return write(world, actor, before, changed)
    entered = _entered(world, changed)
    if becomes == "Closed" and world.switches.close_in_two_events:
        closed = replace(changed, closed_at=entered.closed_at)
        before = write(world, actor, before, closed)
    return write(world, actor, before, replace(entered, updated_at=before.updated_at))


def write(world: World, actor: Actor, before: Submittal, submittal: Submittal) -> Submittal:
    """Save and tell, unless nothing changed."""
    if submittal == before:
        return before
    changed = replace(submittal, updated_at=world.now())
    world.save(changed)
    tell(world, actor, changed, "update")
    return changed


def tell(world: World, actor: Actor, submittal: Submittal, reason: events.Reason) -> None:
    events.raise_event(
        world,
        actor,
        "Submittals",
        reason,
        submittal.id,
        company_id=submittal.company_id,
        project_id=submittal.project_id,
    )


def open_draft(world: World, actor: Actor, project_id: int, submittal_id: int) -> Submittal:
    """Send a draft on its way (Admin)."""
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    submittal_access.must_be_admin(world, actor, project)
    opened = directory.status_of_class(world, submittal.company_id, "Open")
    return edit(world, actor, project_id, submittal_id, SubmittalFields(status_id=opened.id))


def close(
    world: World, actor: Actor, project_id: int, submittal_id: int, status_id: int | None = None
) -> Submittal:
    """Close with a status of class Closed, the company's first by default (Admin)."""
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    submittal_access.must_be_admin(world, actor, project)
    chosen = status_id or directory.status_of_class(world, submittal.company_id, "Closed").id
    found = directory.status(world, submittal.company_id, chosen)
    if found is None or found.status != "Closed":
        raise BadRequest(fields={"status_id": ["is not a closed status"]})
    return edit(world, actor, project_id, submittal_id, SubmittalFields(status_id=chosen))


def revise(
    world: World,
    actor: Actor,
    project_id: int,
    submittal_id: int,
    fields: SubmittalFields | None = None,
) -> Submittal:
    """The next revision: a new submittal with the same number, title and workflow people."""
    given = fields or SubmittalFields()
    return create(world, actor, project_id, replace(given, source_id=submittal_id))


def revisions(world: World, actor: Actor, project_id: int, submittal_id: int) -> list[Submittal]:
    """The whole chain that this one belongs to, oldest first."""
    submittal = show(world, actor, project_id, submittal_id)
    chain = {submittal.id}
    everything = listed(world, actor, project_id)
    grew = True
    while grew:
        more = {s.id for s in everything if s.source_id in chain} | {
            s.source_id for s in everything if s.id in chain and s.source_id
        }
        grew = not more <= chain
        chain |= more
    return [s for s in sorted(everything, key=lambda s: s.id) if s.id in chain]


def delete(world: World, actor: Actor, project_id: int, submittal_id: int) -> Submittal:
    """Into the recycle bin (Admin)."""
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    submittal_access.must_be_admin(world, actor, project)
    return recycle_bin.put_in(world, actor, submittal, tell)


def restore(world: World, actor: Actor, project_id: int, submittal_id: int) -> Submittal:
    """Out of the recycle bin (Admin)."""
    project, submittal = submittal_access.visible(
        world, actor, project_id, submittal_id, deleted=True
    )
    submittal_access.must_be_admin(world, actor, project)
    return recycle_bin.take_out(world, actor, submittal, tell)


def show(world: World, actor: Actor, project_id: int, submittal_id: int) -> Submittal:
    """One submittal as this reader sees it now; raises NotFound."""
    _, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    return recycle_bin.shown(world, submittal)


def listed(
    world: World,
    actor: Actor,
    project_id: int,
    *,
    deleted: bool = False,
    since: datetime | None = None,
) -> list[Submittal]:
    """Every submittal that this reader sees, all revisions, by spec section and number."""
    project = directory.project(world, actor, project_id)
    directory.tool_on(project, "submittal_log")
    allowed = (
        submittal
        for submittal in world.store.all(Submittal, project_id, since=since)
        if submittal_access.sees(world, actor, project, submittal)
    )
    found = recycle_bin.on_this_side(world, allowed, deleted=deleted)
    sections = {s.id: s.number for s in project.spec_sections}
    return sorted(found, key=lambda s: (sections.get(s.spec_section_id or 0, ""), *by_number(s)))


def by_number(submittal: Submittal) -> tuple[int, str, int]:
    number = submittal.number
    revision = int(submittal.revision) if submittal.revision.isdigit() else 0
    return (int(number) if number.isdigit() else 10**9, number, revision)


def next_number(world: World, project: Project, spec_section_id: int | None) -> str:
    """The next free number of a spec section."""
    used = [
        int(s.number)
        for s in world.store.all(Submittal, project.id)
        if s.spec_section_id == spec_section_id and s.number.isdigit()
    ]
    return str(max(used, default=0) + 1)
