"""How a submittal travels through its workflow. Pure: a submittal in, a submittal out.

Behaviours 36 to 38 and 46 of docs/stand-ins.md.
"""

from datetime import date, timedelta

from msgspec.structs import replace

from sandbox.procore.domain.submittal_model import REJECTING, ApproverRow, Submittal


def start(submittal: Submittal, today: date) -> Submittal:
    """Open it at its first unanswered step, or with the manager when there is none."""
    return _enter(replace(submittal, rejected_row_id=None), _next_step(submittal, 0), today)


def stop(submittal: Submittal) -> Submittal:
    """Nobody's turn: drafts and closed ones."""
    return replace(submittal, step=None, ball_ids=(), rejected_row_id=None)


def after_answer(
    submittal: Submittal, row: ApproverRow, considered: str, today: date, *, reject_workflow: bool
) -> Submittal:
    """Where the ball goes after `row` (already answered in `submittal`)."""
    if row.waits_for_row is None and row.forwarded_by_row is not None:
        submittal = _back_to_forwarder(submittal, row.forwarded_by_row)
    if reject_workflow and considered in REJECTING:
        manager = (submittal.manager_id,) if submittal.manager_id else ()
        return replace(submittal, ball_ids=manager, rejected_row_id=row.id)
    if row.step != submittal.step:
        return submittal
    return _move_on(submittal, today)


def resume(submittal: Submittal, today: date) -> Submittal:
    """After a rejection: the step goes on if required answers are outstanding, else the next."""
    return _move_on(replace(submittal, rejected_row_id=None), today)


def send_back(submittal: Submittal, step: int, pending_id: int, today: date) -> Submittal:
    """The manager sends it back: that step and all later ones owe their answers again."""
    rows = tuple(
        replace(r, answered=False, response_id=pending_id, returned_at=None, sent_on=None)
        if r.step >= step
        else r
        for r in submittal.rows
    )
    return _enter(replace(submittal, rows=rows, rejected_row_id=None), step, today)


def refreshed(submittal: Submittal, today: date) -> Submittal:
    """The rows were changed while it travels: hold the ball as they now say."""
    if submittal.step is None or submittal.rejected_row_id is not None:
        return submittal
    return _move_on(submittal, today)


def _move_on(submittal: Submittal, today: date) -> Submittal:
    if submittal.step is not None and not step_is_done(submittal, submittal.step):
        return _enter(submittal, submittal.step, today)
    return _enter(submittal, _next_step(submittal, submittal.step or 0), today)


def step_is_done(submittal: Submittal, step: int) -> bool:
    """All required rows answered; where none is required, anybody's answer will do."""
    rows = submittal.rows_of_step(step)
    required = [r for r in rows if r.required]
    if not required:
        return not rows or any(r.answered for r in rows)
    return all(r.answered for r in required)


def _next_step(submittal: Submittal, after: int) -> int | None:
    return next(
        (n for n in submittal.step_numbers if n > after and not step_is_done(submittal, n)), None
    )


def _enter(submittal: Submittal, step: int | None, today: date) -> Submittal:
    if step is None:
        manager = (submittal.manager_id,) if submittal.manager_id else ()
        return replace(submittal, step=None, ball_ids=manager)
    rows = tuple(_sent(r, today) if r.step == step else r for r in submittal.rows)
    ball = tuple(
        dict.fromkeys(
            r.user_id for r in rows if r.step == step and not r.answered and r.waits_for_row is None
        )
    )
    return replace(submittal, step=step, rows=rows, ball_ids=ball)


def _sent(row: ApproverRow, today: date) -> ApproverRow:
    if row.sent_on is not None or row.answered:
        return row
    due = row.due_on or today + timedelta(days=row.days_to_respond)
    return replace(row, sent_on=today, due_on=due)


def _back_to_forwarder(submittal: Submittal, row_id: int) -> Submittal:
    rows = tuple(replace(r, waits_for_row=None) if r.id == row_id else r for r in submittal.rows)
    return replace(submittal, rows=rows)
