"""Closing and distributing a submittal in one step: behaviour 44 of docs/stand-ins.md."""

import msgspec
from msgspec.structs import replace

from sandbox.procore.domain import directory, files, submittal_access, submittals
from sandbox.procore.domain.people import Actor
from sandbox.procore.domain.submittal_model import Distribution, Submittal
from sandbox.procore.errors import BadRequest, Unprocessable
from sandbox.procore.world import World


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """An approver's row that is sent along."""

    row_id: int
    include_comment: bool = True
    attachment_ids: tuple[int, ...] = ()


class DistributionFields(msgspec.Struct, frozen=True, kw_only=True):
    status_id: int | None = None  # of class Closed; the company's first by default
    description: str | None = None
    message: str = ""
    file_ids: tuple[int, ...] = ()
    attachment_ids: tuple[int, ...] = ()
    recipient_ids: tuple[int, ...] = ()
    selected: tuple[Selected, ...] = ()


def close_and_distribute(
    world: World, actor: Actor, project_id: int, submittal_id: int, fields: DistributionFields
) -> tuple[Submittal, Distribution]:
    """Send the responses to the recipients and close (Admin).

    Raises:
        Unprocessable: nobody has responded yet.
        BadRequest: the status is not a closed one, or an approver is not of this submittal.
    """
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    submittal_access.must_be_admin(world, actor, project)
    answered = [r.id for r in submittal.rows if r.answered and r.type == "Approver"]
    if not answered:
        raise Unprocessable(fields={"base": ["At least one approver must have responded."]})
    chosen = tuple(s.row_id for s in fields.selected) or tuple(answered)
    if any(submittal.row(row_id) is None for row_id in chosen):
        raise BadRequest(fields={"selected_approvers": ["is not an approver of this submittal"]})
    with world.transaction():
        record = _record(world, actor, submittal, fields, chosen)
        more = files.gather(world, actor, project, file_ids=fields.file_ids)
        record = replace(record, attachments=(*record.attachments, *more))
        rows = tuple(replace(r, distributed=True) if r.id in chosen else r for r in submittal.rows)
        sent = replace(
            submittal,
            rows=rows,
            distributions=(*submittal.distributions, record),
            distributed_at=record.sent_at,
            description=fields.description or submittal.description,
        )
        world.save(sent)
        closed = submittals.close(world, actor, project_id, submittal_id, fields.status_id)
        if closed == sent:  # closed before: the distribution alone is the change
            closed = submittals.write(world, actor, submittal, sent)
        world.note_effect(actor, "submittal.distributed", "Submittals", submittal_id)
    return closed, record


def _record(
    world: World,
    actor: Actor,
    submittal: Submittal,
    fields: DistributionFields,
    chosen: tuple[int, ...],
) -> Distribution:
    known = {
        a.id: a
        for a in (*submittal.attachments, *(a for r in submittal.rows for a in r.attachments))
    }
    unknown = [i for i in fields.attachment_ids if i not in known]
    if unknown:
        raise BadRequest(fields={"submittal_attachment_ids": [f"{i} is unknown" for i in unknown]})
    base = directory.company(world, submittal.company_id).id_base
    return Distribution(
        id=world.next_id(base),
        sent_at=world.now(),
        by_id=actor.user_id,
        to_ids=fields.recipient_ids or submittal.distribution_ids,
        message=fields.message,
        row_ids=chosen,
        attachments=tuple(known[i] for i in fields.attachment_ids),
    )
