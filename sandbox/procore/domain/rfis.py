"""RFIs: create, edit, close, reopen, move the ball, recycle, retrieve, list."""

from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from sandbox.procore.domain import directory, events, files, recycle_bin, rfi_access, rfi_ball
from sandbox.procore.domain.people import Actor, Project
from sandbox.procore.domain.rfi_fields import ADMIN_ONLY, RfiFields, plain_fields
from sandbox.procore.domain.rfi_model import Question, Rfi
from sandbox.procore.errors import BadRequest, Forbidden, Unprocessable
from sandbox.procore.world import World


def create(world: World, actor: Actor, project_id: int, fields: RfiFields) -> Rfi:
    """A new RFI: open and numbered, or a Draft (always, for a Standard user).

    Raises:
        BadRequest: subject, RFI manager or question is missing.
        Unprocessable: an open one has no assignees, or somebody is not in the project.
        Forbidden: below Standard on the RFI tool.
    """
    project = directory.project(world, actor, project_id)
    directory.require(world, actor, project, "rfi", "Standard")
    place = directory.membership(world, project_id, actor.user_id)
    acts = rfi_access.is_admin(world, actor, project) or bool(place and place.act_as_rfi_manager)
    fields = _checked_for_create(world, project, fields, acts=acts)
    with world.transaction():
        rfi = _new(world, actor, project, fields, draft=fields.draft is True)
        if not isinstance(fields.source_header_id, UnsetType) and fields.source_header_id:
            rfi = _as_revision(world, actor, project, rfi, fields.source_header_id)
        rfi = rfi_ball.start(rfi, world.now())
        _number_taken(world, rfi)
        world.save(rfi)
        tell(world, actor, rfi, "create")
    return rfi


def _checked_for_create(
    world: World, project: Project, fields: RfiFields, *, acts: bool
) -> RfiFields:
    if not acts:
        fields = replace(fields, draft=True, **dict.fromkeys(ADMIN_ONLY, UNSET))
    missing = {
        name: ["can't be blank"]
        for name, value in (
            ("subject", fields.subject),
            ("rfi_manager_id", fields.manager_id),
            ("question", fields.question),
        )
        if not value
    }
    if missing:
        raise BadRequest(fields=missing)
    if not fields.draft and not fields.assignee_ids:
        wrong = Unprocessable(fields={"assignees": ["required"]})
        wrong.status = world.switches.assignees_missing_status
        raise wrong
    _people_of_project(world, project, fields)
    return fields


def _people_of_project(world: World, project: Project, fields: RfiFields) -> None:
    named: dict[str, tuple[int, ...]] = {}
    if not isinstance(fields.manager_id, UnsetType):
        named["rfi_manager_id"] = (fields.manager_id,)
    for name in ("assignee_ids", "distribution_ids"):
        value = getattr(fields, name)
        if not isinstance(value, UnsetType):
            named[name] = value
    wrong = {
        name: [f"{u} is not a member of this project" for u in strangers]
        for name, ids in named.items()
        if (strangers := directory.must_be_members(world, project.id, ids))
    }
    if wrong:
        raise Unprocessable(fields=wrong)


def _new(world: World, actor: Actor, project: Project, fields: RfiFields, *, draft: bool) -> Rfi:
    base = directory.company(world, project.company_id).id_base
    now, rfi_id = world.now(), world.next_id(base)
    attached = files.gather(
        world,
        actor,
        project,
        upload_ids=fields.upload_ids,
        file_ids=fields.file_ids,
        incoming=fields.incoming,
    )
    question = Question(
        id=world.next_id(base),
        author_id=actor.user_id,
        html=str(fields.question),
        asked_at=now,
        attachments=attached,
    )
    rfi = Rfi(
        id=rfi_id,
        company_id=project.company_id,
        project_id=project.id,
        header_id=rfi_id,
        number=None if draft else next_number(world, project),
        prefix=project.settings.rfi_prefix,
        subject="",
        status="draft" if draft else "open",
        question=question,
        manager_id=0,
        round_began_at=now,
        initiated_at=None if draft else now,
        created_by_id=actor.user_id,
        created_at=now,
        updated_at=now,
    )
    rfi = replace(rfi, assignments=_assignments(fields, rfi))
    return replace(rfi, **plain_fields(fields))


def _assignments(fields: RfiFields, rfi: Rfi) -> Any:
    if isinstance(fields.assignee_ids, UnsetType):
        if isinstance(fields.required_assignee_ids, UnsetType):
            return rfi.assignments
        return rfi_ball.assign(rfi.assignee_ids, fields.required_assignee_ids)
    required = fields.required_assignee_ids
    return rfi_ball.assign(
        fields.assignee_ids, None if isinstance(required, UnsetType) else required
    )


def _as_revision(world: World, actor: Actor, project: Project, rfi: Rfi, header_id: int) -> Rfi:
    """The next revision; the ones before are superseded and closed."""
    chain = [r for r in world.store.all(Rfi, project.id) if r.header_id == header_id]
    if not chain:
        raise BadRequest(fields={"source_rfi_header_id": ["is not an RFI of this project"]})
    last = max(chain, key=lambda r: int(r.revision))
    old = rfi_ball.nowhere(
        replace(
            last,
            current_revision=False,
            status="closed_with_revision",
            closed_at=last.closed_at or world.now(),
            updated_at=world.now(),
        )
    )
    world.save(old)
    tell(world, actor, old, "update")
    return replace(
        rfi, header_id=header_id, number=last.number, revision=str(int(last.revision) + 1)
    )


def next_number(world: World, project: Project) -> str:
    """The next free number of the project, as the picker offers it."""
    return str(world.store.last_id(f"rfi_numbers/{project.id}") + 1)


def _number_taken(world: World, rfi: Rfi) -> None:
    if rfi.number and rfi.number.isdigit():
        world.store.raise_sequence(f"rfi_numbers/{rfi.project_id}", int(rfi.number))


def edit(world: World, actor: Actor, project_id: int, rfi_id: int, fields: RfiFields) -> Rfi:
    """Change fields; `accepted` closes or reopens, `draft: false` opens a draft.

    Raises:
        NotFound, Forbidden: as the permissions say.
        Unprocessable: `draft` on an RFI that is no draft, opening one without assignees.
    """
    project, rfi = rfi_access.visible(world, actor, project_id, rfi_id)
    if not rfi_access.may_edit(world, actor, project, rfi):
        raise Forbidden
    _people_of_project(world, project, fields)
    with world.transaction():
        changed = replace(rfi, **plain_fields(fields), assignments=_assignments(fields, rfi))
        changed = _with_question(world, actor, project, changed, fields)
        changed = _moved_by_edit(world, actor, project, rfi, changed, fields)
        return _write(world, actor, rfi, changed)


def _with_question(
    world: World, actor: Actor, project: Project, rfi: Rfi, fields: RfiFields
) -> Rfi:
    more = files.gather(
        world,
        actor,
        project,
        upload_ids=fields.upload_ids,
        file_ids=fields.file_ids,
        incoming=fields.incoming,
    )
    html = rfi.question.html if isinstance(fields.question, UnsetType) else fields.question
    attachments = (*rfi.question.attachments, *more)
    return replace(rfi, question=replace(rfi.question, html=html, attachments=attachments))


def _moved_by_edit(
    world: World, actor: Actor, project: Project, before: Rfi, rfi: Rfi, fields: RfiFields
) -> Rfi:
    now = world.now()
    if before.assignee_ids != rfi.assignee_ids and before.ball_role == "assignees":
        rfi = rfi_ball.to_assignees(rfi, rfi.round_began_at)
    if before.manager_id != rfi.manager_id and before.ball_role == "rfi manager":
        rfi = rfi_ball.to_manager(rfi)
    if not isinstance(fields.draft, UnsetType):
        rfi = _drafted(world, project, rfi, draft=fields.draft)
    if isinstance(fields.accepted, UnsetType) or fields.accepted == rfi.is_closed:
        return rfi
    rfi_access.must_manage(world, actor, project, rfi)
    return closed(rfi, now) if fields.accepted else _reopened(world, rfi)


def _drafted(world: World, project: Project, rfi: Rfi, *, draft: bool) -> Rfi:
    if draft == (rfi.status == "draft"):
        return rfi
    if draft:
        raise Unprocessable(fields={"draft": ["can only be changed while the RFI is a draft"]})
    if not rfi.assignments:
        raise Unprocessable(fields={"assignees": ["required"]})
    number = rfi.number or next_number(world, project)
    opened = replace(rfi, status="open", number=number, initiated_at=world.now())
    return rfi_ball.start(opened, world.now())


def closed(rfi: Rfi, at: datetime) -> Rfi:
    """Closed by somebody; a draft becomes Closed-Draft. The ball is nowhere."""
    status = "closed_draft" if rfi.is_draft else "closed"
    return rfi_ball.nowhere(replace(rfi, status=status, closed_at=at))


def _reopened(world: World, rfi: Rfi) -> Rfi:
    status = "draft" if rfi.status == "closed_draft" else "open"
    opened = replace(rfi, status=status, closed_at=None)
    if status == "open" and world.switches.rfi_reopen_ball == "manager":
        return replace(rfi_ball.to_manager(opened), round_began_at=world.now())
    return rfi_ball.start(opened, world.now())


def _write(world: World, actor: Actor, before: Rfi, rfi: Rfi) -> Rfi:
    """Save and tell, unless nothing changed."""
    if rfi == before:
        return before
    changed = replace(rfi, updated_at=world.now())
    _number_taken(world, changed)
    world.save(changed)
    tell(world, actor, changed, "update")
    return changed


def tell(world: World, actor: Actor, rfi: Rfi, reason: events.Reason) -> None:
    events.raise_event(
        world,
        actor,
        "RFIs",
        reason,
        rfi.id,
        company_id=rfi.company_id,
        project_id=rfi.project_id,
    )


def close(world: World, actor: Actor, project_id: int, rfi_id: int) -> Rfi:
    """Admin or RFI manager. A draft becomes Closed-Draft."""
    return edit(world, actor, project_id, rfi_id, RfiFields(accepted=True))


def reopen(world: World, actor: Actor, project_id: int, rfi_id: int) -> Rfi:
    """A new round of answering begins; earlier replies stay."""
    return edit(world, actor, project_id, rfi_id, RfiFields(accepted=False))


def open_draft(world: World, actor: Actor, project_id: int, rfi_id: int) -> Rfi:
    """Number a draft and send it to its assignees."""
    return edit(world, actor, project_id, rfi_id, RfiFields(draft=False))


def advance_ball(world: World, actor: Actor, project_id: int, rfi_id: int) -> Rfi:
    """The manager moves it either way; an assignee only back, and only after replying."""
    project, rfi = rfi_access.visible(world, actor, project_id, rfi_id)
    if rfi.status != "open":
        raise BadRequest("Ball in court can only be moved on an open RFI.")
    manages = rfi_access.manages(world, actor, project, rfi) or actor.user_id == rfi.manager_id
    with world.transaction():
        if manages and rfi.ball_role != "assignees":
            return _write(world, actor, rfi, rfi_ball.to_assignees(rfi, world.now()))
        if manages:
            return _write(world, actor, rfi, rfi_ball.to_manager(rfi))
        if actor.user_id not in rfi.ball_ids:
            raise Forbidden
        if not rfi_ball.has_answered(rfi, actor.user_id):
            raise Forbidden("You must respond before returning the ball in court.")
        return _write(world, actor, rfi, rfi_ball.to_manager(rfi))


def forward_for_review(
    world: World, actor: Actor, project_id: int, rfi_id: int, forwardee_ids: tuple[int, ...]
) -> Rfi:
    """An assignee who holds the ball asks exactly one more person."""
    project, rfi = rfi_access.visible(world, actor, project_id, rfi_id)
    if len(forwardee_ids) != 1:
        raise BadRequest(fields={"forwardee_ids": ["must contain exactly one id"]})
    if directory.must_be_members(world, project.id, forwardee_ids):
        raise Unprocessable(fields={"forwardee_ids": ["is not a member of this project"]})
    if rfi.status != "open" or rfi.ball_role != "assignees" or actor.user_id not in rfi.ball_ids:
        raise Forbidden("Only an assignee who has the ball in court can forward for review.")
    with world.transaction():
        forwarded = rfi_ball.forwarded(rfi, actor.user_id, forwardee_ids[0])
        if world.switches.rfi_forward_raises_update:
            return _write(world, actor, rfi, forwarded)
        silent = replace(forwarded, updated_at=world.now())
        world.save(silent)
        return silent


def recycle(world: World, actor: Actor, project_id: int, rfi_id: int) -> Rfi:
    """Into the recycle bin: gone from lists and reads."""
    project, rfi = rfi_access.visible(world, actor, project_id, rfi_id)
    rfi_access.must_manage(world, actor, project, rfi)
    return recycle_bin.put_in(world, actor, rfi, tell)


def retrieve(world: World, actor: Actor, project_id: int, rfi_id: int) -> Rfi:
    """Out of the recycle bin."""
    project, rfi = rfi_access.visible(world, actor, project_id, rfi_id, deleted=True)
    rfi_access.must_manage(world, actor, project, rfi)
    return recycle_bin.take_out(world, actor, rfi, tell)


def show(world: World, actor: Actor, project_id: int, rfi_id: int) -> Rfi:
    """One RFI as this reader sees it now; raises NotFound."""
    _, rfi = rfi_access.visible(world, actor, project_id, rfi_id)
    return recycle_bin.shown(world, rfi)


def listed(
    world: World,
    actor: Actor,
    project_id: int,
    *,
    deleted: bool = False,
    since: datetime | None = None,
) -> list[Rfi]:
    """Every RFI that this reader sees, by number; empty without access to the tool."""
    project = directory.project(world, actor, project_id)
    directory.tool_on(project, "rfi")
    allowed = (
        rfi
        for rfi in world.store.all(Rfi, project_id, since=since)
        if rfi_access.sees(world, actor, project, rfi)
    )
    return sorted(recycle_bin.on_this_side(world, allowed, deleted=deleted), key=by_number)


def by_number(rfi: Rfi) -> tuple[int, str, int]:
    """Drafts without a number last."""
    number = rfi.number or ""
    return (int(number) if number.isdigit() else 10**9, number, int(rfi.revision))
