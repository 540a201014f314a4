"""What happens in a submittal's workflow: respond, forward, add reviewers, resume, send back."""

from datetime import date, datetime

import msgspec
from msgspec.structs import replace

from sandbox.procore.domain import directory, files, submittal_access, submittals, workflow
from sandbox.procore.domain.attachments import Attachment
from sandbox.procore.domain.people import Actor, Project, ResponseOption
from sandbox.procore.domain.submittal_model import ApproverRow, Submittal
from sandbox.procore.domain.submittal_rows import response_of_class
from sandbox.procore.errors import BadRequest, Forbidden, NotFound, Unprocessable
from sandbox.procore.world import World


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an approver answers; with `forward_to_id` it is a request to one more person."""

    response_id: int | None
    comment: str | None = None
    upload_ids: tuple[str, ...] = ()
    attachment_ids: tuple[int, ...] = ()  # of this submittal, carried forward
    incoming: tuple[files.Incoming, ...] = ()
    sent_on: date | None = None  # Admin only
    returned_at: datetime | None = None  # Admin only
    forward_to_id: int | None = None
    forward_due_on: date | None = None


def respond(
    world: World, actor: Actor, project_id: int, submittal_id: int, row_id: int, answer: Answer
) -> tuple[Submittal, ApproverRow]:
    """Answer as the approver of that row; an Admin may answer for somebody else.

    Raises:
        NotFound: the submittal or the row is absent or invisible.
        Forbidden: below Standard, or without the ball in court.
        BadRequest: the response is not one of this project's, or not one for an approver.
        Unprocessable: the submittal is not open, or the row has answered before.
    """
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    directory.require(world, actor, project, "submittal_log", "Standard")
    row = submittal.row(row_id)
    if row is None:
        raise NotFound
    admin = submittal_access.is_admin(world, actor, project)
    _check_turn(world, actor, submittal, row, admin=admin and _may_stand_in(world, actor, row))
    if answer.forward_to_id is not None:
        return _forward(world, actor, project, submittal, row, answer, answer.forward_to_id)
    option = _option(project, row, answer.response_id)
    if row.answered and not admin:
        raise Unprocessable(fields={"base": ["You have already responded."]})
    with world.transaction():
        answered = _answered(world, actor, project, submittal, row, answer, option, admin=admin)
        changed = with_row(submittal, answered)
        if world.switches.parallel_step == "moves_with_first":
            changed = _others_are_optional(changed, answered)
        if not row.answered:
            changed = workflow.after_answer(
                changed,
                answered,
                option.considered,
                world.now().date(),
                reject_workflow=project.settings.reject_workflow,
            )
        changed = _write(world, actor, submittal, changed)
    return changed, changed.row(row_id) or answered


def _may_stand_in(world: World, actor: Actor, row: ApproverRow) -> bool:
    return world.switches.admin_answers_for_others or actor.user_id == row.user_id


def _check_turn(
    world: World, actor: Actor, submittal: Submittal, row: ApproverRow, *, admin: bool
) -> None:
    if submittals.status_of(world, submittal).status != "Open":
        if admin or actor.user_id == row.user_id:
            raise Unprocessable(fields={"base": ["The submittal is not open."]})
        raise Forbidden
    if admin:
        return
    holds = actor.user_id in submittal.ball_ids and row.step == submittal.step
    if actor.user_id != row.user_id or not holds:
        raise Forbidden("You must have the ball in court to respond.")


def _option(project: Project, row: ApproverRow, response_id: int | None) -> ResponseOption:
    """The project's response, if it is one that this row may give."""
    found = next((r for r in project.responses if r.id == response_id), None)
    wrong = BadRequest("Submittal response is not valid for this approver")
    if found is None or found.considered in ("pending", "forwarded for review"):
        raise wrong
    if (row.type == "Submitter") != (found.considered == "submitted"):
        raise wrong
    return found


def _answered(
    world: World,
    actor: Actor,
    project: Project,
    submittal: Submittal,
    row: ApproverRow,
    answer: Answer,
    option: ResponseOption,
    *,
    admin: bool,
) -> ApproverRow:
    return replace(
        row,
        response_id=option.id,
        answered=True,
        comment=answer.comment if answer.comment is not None else row.comment,
        returned_at=(admin and answer.returned_at) or world.now(),
        sent_on=(admin and answer.sent_on) or row.sent_on or world.now().date(),
        answered_by_id=actor.user_id,
        attachments=(*row.attachments, *_files(world, actor, project, submittal, answer)),
    )


def _files(
    world: World, actor: Actor, project: Project, submittal: Submittal, answer: Answer
) -> tuple[Attachment, ...]:
    known = {a.id: a for a in (*submittal.attachments, *_of_rows(submittal))}
    unknown = [i for i in answer.attachment_ids if i not in known]
    if unknown:
        raise BadRequest(
            fields={"attachment_ids": [f"{i} is not of this submittal" for i in unknown]}
        )
    taken = world.switches.upload_ids_on_responses == "accepted"
    carried = (known[i].file_id for i in answer.attachment_ids)
    return files.gather(
        world,
        actor,
        project,
        upload_ids=answer.upload_ids if taken else (),
        file_ids=carried,
        incoming=answer.incoming,
    )


def _of_rows(submittal: Submittal) -> list[Attachment]:
    return [a for row in submittal.rows for a in row.attachments]


def _forward(
    world: World,
    actor: Actor,
    project: Project,
    submittal: Submittal,
    row: ApproverRow,
    answer: Answer,
    to_id: int,
) -> tuple[Submittal, ApproverRow]:
    """A new row in the same step; its answer brings the ball back to this one."""
    if directory.must_be_members(world, project.id, (to_id,)):
        raise Unprocessable(fields={"forward_to": ["is not a member of this project"]})
    if row.answered or row.waits_for_row is not None:
        raise Unprocessable(fields={"base": ["You have already responded."]})
    with world.transaction():
        asked = ApproverRow(
            id=world.next_id(directory.company(world, project.company_id).id_base),
            type="Approver",
            user_id=to_id,
            step=row.step,
            required=row.required,
            response_id=response_of_class(project, "pending"),
            due_on=answer.forward_due_on,
            days_to_respond=row.days_to_respond,
            forwarded_by_row=row.id,
        )
        waiting = replace(
            row,
            comment=answer.comment if answer.comment is not None else row.comment,
            response_id=response_of_class(project, "forwarded for review"),
            waits_for_row=asked.id,
        )
        changed = with_row(submittal, waiting)
        changed = replace(changed, rows=(*changed.rows, asked))
        changed = workflow.refreshed(changed, world.now().date())
        changed = _write(world, actor, submittal, changed)
    return changed, changed.row(row.id) or waiting


def _others_are_optional(submittal: Submittal, answered: ApproverRow) -> Submittal:
    rows = tuple(
        replace(r, required=False) if r.step == answered.step and r.id != answered.id else r
        for r in submittal.rows
    )
    return replace(submittal, rows=rows)


def with_row(submittal: Submittal, row: ApproverRow) -> Submittal:
    """The submittal with that row in place of its earlier self."""
    return replace(submittal, rows=tuple(row if r.id == row.id else r for r in submittal.rows))


def _write(world: World, actor: Actor, before: Submittal, changed: Submittal) -> Submittal:
    if world.switches.response_raises_update:
        return submittals.write(world, actor, before, changed)
    silent = replace(changed, updated_at=world.now())
    world.save(silent)
    world.note_effect(actor, "Submittals/answered", "Submittals", changed.id)
    return silent


def add_reviewer(
    world: World,
    actor: Actor,
    project_id: int,
    submittal_id: int,
    *,
    step: int,
    user_id: int,
    required: bool = True,
) -> tuple[Submittal, ApproverRow]:
    """One more approver in a step: by an Admin, or by an approver of the present step."""
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    admin = submittal_access.is_admin(world, actor, project)
    holds = actor.user_id in submittal.ball_ids and step == submittal.step
    if not admin and not (holds and project.settings.approvers_add_reviewers):
        raise Forbidden
    if step not in submittal.step_numbers:
        raise BadRequest(fields={"step": ["does not exist"]})
    if directory.must_be_members(world, project.id, (user_id,)):
        raise Unprocessable(fields={"user_id": ["is not a member of this project"]})
    with world.transaction():
        row = ApproverRow(
            id=world.next_id(directory.company(world, project.company_id).id_base),
            type="Approver",
            user_id=user_id,
            step=step,
            required=required,
            response_id=response_of_class(project, "pending"),
            added_by_id=actor.user_id,
        )
        changed = replace(submittal, rows=(*submittal.rows, row))
        changed = workflow.refreshed(changed, world.now().date())
        changed = submittals.write(world, actor, submittal, changed)
    return changed, changed.row(row.id) or row


def replace_approver(
    world: World, actor: Actor, project_id: int, submittal_id: int, row_id: int, *, user_id: int
) -> Submittal:
    """Another person in a row that owes its answer (Admin)."""
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    submittal_access.must_be_admin(world, actor, project)
    row = submittal.row(row_id)
    if row is None:
        raise NotFound
    if row.answered:
        raise Unprocessable(fields={"base": ["A response that was given stays with its user."]})
    if directory.must_be_members(world, project.id, (user_id,)):
        raise Unprocessable(fields={"user_id": ["is not a member of this project"]})
    with world.transaction():
        changed = with_row(submittal, replace(row, user_id=user_id))
        changed = workflow.refreshed(changed, world.now().date())
        return submittals.write(world, actor, submittal, changed)


def remove_approver(
    world: World, actor: Actor, project_id: int, submittal_id: int, row_id: int
) -> Submittal:
    """Take a row that owes its answer out of the workflow (Admin)."""
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    submittal_access.must_be_admin(world, actor, project)
    row = submittal.row(row_id)
    if row is None:
        raise NotFound
    if row.answered:
        raise Unprocessable(fields={"base": ["A response that was given cannot be removed."]})
    with world.transaction():
        rows = tuple(
            replace(r, waits_for_row=None) if r.waits_for_row == row_id else r
            for r in submittal.rows
            if r.id != row_id
        )
        changed = workflow.refreshed(replace(submittal, rows=rows), world.now().date())
        return submittals.write(world, actor, submittal, changed)


def resume(world: World, actor: Actor, project_id: int, submittal_id: int) -> Submittal:
    """After a rejection with reject workflows on: the manager lets it go on."""
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    _must_decide(world, actor, project, submittal)
    with world.transaction():
        changed = workflow.resume(submittal, world.now().date())
        return submittals.write(world, actor, submittal, changed)


def send_back(
    world: World, actor: Actor, project_id: int, submittal_id: int, step: int
) -> Submittal:
    """After a rejection: the manager sends it back to an earlier step."""
    project, submittal = submittal_access.visible(world, actor, project_id, submittal_id)
    _must_decide(world, actor, project, submittal)
    if step not in submittal.step_numbers:
        raise BadRequest(fields={"step": ["does not exist"]})
    pending = response_of_class(project, "pending")
    with world.transaction():
        changed = workflow.send_back(submittal, step, pending, world.now().date())
        return submittals.write(world, actor, submittal, changed)


def _must_decide(world: World, actor: Actor, project: Project, submittal: Submittal) -> None:
    if submittal.rejected_row_id is None:
        raise Unprocessable(fields={"base": ["The workflow is not stopped by a rejection."]})
    if actor.user_id != submittal.manager_id:
        submittal_access.must_be_admin(world, actor, project)
