"""Replies to an RFI: add, mark official, delete."""

import msgspec
from msgspec.structs import replace

from sandbox.procore.domain import directory, events, files, rfi_access, rfi_ball, rfis
from sandbox.procore.domain.people import Actor, Project
from sandbox.procore.domain.rfi_model import Reply, Rfi
from sandbox.procore.errors import BadRequest, Forbidden, NotFound, Unprocessable
from sandbox.procore.world import World


class ReplyFields(msgspec.Struct, frozen=True, kw_only=True):
    """A reply's text and files. Its author is whoever acts."""

    body: str  # HTML
    official: bool = False
    upload_ids: tuple[str, ...] = ()
    file_ids: tuple[int, ...] = ()
    incoming: tuple[files.Incoming, ...] = ()


def add(
    world: World, actor: Actor, project_id: int, rfi_id: int, fields: ReplyFields
) -> tuple[Rfi, Reply]:
    """Reply as the acting person. Official or not, it never closes the RFI.

    Raises:
        NotFound: absent or invisible.
        Forbidden: below Standard, no party to the RFI, or official without the right.
        BadRequest: neither text nor files.
        Unprocessable: the RFI is not open.
    """
    project, rfi = rfi_access.visible(world, actor, project_id, rfi_id)
    if not rfi_access.may_reply(world, actor, project, rfi):
        raise Forbidden
    if fields.official and not rfi_access.may_mark_official(world, actor, project, rfi):
        raise Forbidden
    if not fields.body.strip() and not (fields.upload_ids or fields.file_ids or fields.incoming):
        raise BadRequest(fields={"body": ["can't be blank"]})
    if rfi.status != "open":
        raise Unprocessable(fields={"base": ["Replies can only be added to an open RFI."]})
    with world.transaction():
        reply = _new(world, actor, project, fields)
        changed = _replied(world, actor, rfi, reply)
        world.save(changed)
        _tell(world, actor, changed, reply, "create")
        mode = world.switches.reply_raises_rfi_update
        if mode == "always" or (mode == "when_ball_moves" and changed.ball_ids != rfi.ball_ids):
            rfis.tell(world, actor, changed, "update")
    return changed, reply


def _new(world: World, actor: Actor, project: Project, fields: ReplyFields) -> Reply:
    attached = files.gather(
        world,
        actor,
        project,
        upload_ids=fields.upload_ids,
        file_ids=fields.file_ids,
        incoming=fields.incoming,
    )
    return Reply(
        id=world.next_id(directory.company(world, project.company_id).id_base),
        author_id=actor.user_id,
        html=fields.body,
        official=fields.official,
        created_at=world.now(),
        attachments=attached,
    )


def _replied(world: World, actor: Actor, rfi: Rfi, reply: Reply) -> Rfi:
    before = rfi.replies
    if reply.official and world.switches.official_replies == "exclusive":
        before = tuple(replace(r, official=False) for r in before)
    changed = replace(rfi, replies=(*before, reply), updated_at=world.now())
    if world.switches.ball_after_reply == "waits_for_advance" and actor.via_api:
        return changed
    return rfi_ball.answered(changed, actor.user_id)


def mark_official(
    world: World, actor: Actor, project_id: int, rfi_id: int, reply_id: int, *, official: bool
) -> tuple[Rfi, Reply]:
    """Mark or unmark; the RFI's status stays as it is."""
    project, rfi = rfi_access.visible(world, actor, project_id, rfi_id)
    reply = _reply(rfi, reply_id)
    if not rfi_access.may_mark_official(world, actor, project, rfi):
        raise Forbidden
    if reply.official == official:
        return rfi, reply
    marked = replace(reply, official=official)
    others_too = official and world.switches.official_replies == "exclusive"
    replies = tuple(
        marked if r.id == reply_id else replace(r, official=False) if others_too else r
        for r in rfi.replies
    )
    with world.transaction():
        changed = replace(rfi, replies=replies, updated_at=world.now())
        world.save(changed)
        _tell(world, actor, changed, marked, "update")
        rfis.tell(world, actor, changed, "update")
    return changed, marked


def delete(world: World, actor: Actor, project_id: int, rfi_id: int, reply_id: int) -> Rfi:
    """Admins and managers only; there is no other way to correct a reply."""
    project, rfi = rfi_access.visible(world, actor, project_id, rfi_id)
    reply = _reply(rfi, reply_id)
    rfi_access.must_manage(world, actor, project, rfi)
    with world.transaction():
        left = tuple(r for r in rfi.replies if r.id != reply_id)
        changed = replace(rfi, replies=left, updated_at=world.now())
        world.save(changed)
        _tell(world, actor, changed, reply, "delete")
        rfis.tell(world, actor, changed, "update")
    return changed


def shown(world: World, actor: Actor, project: Project, rfi: Rfi) -> tuple[Reply, ...]:
    """The replies that this reader sees: a project may show Standard users official ones only."""
    if not project.settings.only_official_replies or rfi_access.manages(world, actor, project, rfi):
        return rfi.replies
    return tuple(r for r in rfi.replies if r.official or r.author_id == actor.user_id)


def _reply(rfi: Rfi, reply_id: int) -> Reply:
    found = rfi.reply(reply_id)
    if found is None:
        raise NotFound
    return found


def _tell(world: World, actor: Actor, rfi: Rfi, reply: Reply, reason: events.Reason) -> None:
    """The event carries the reply's id alone; nothing in it names the RFI."""
    events.raise_event(
        world,
        actor,
        "RFI Replies",
        reason,
        reply.id,
        company_id=rfi.company_id,
        project_id=rfi.project_id,
    )
