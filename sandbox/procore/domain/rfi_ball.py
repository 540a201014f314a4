"""Whose turn it is on an RFI. Pure: an RFI in, an RFI out.

Behaviours 31, 32 and 34 of docs/stand-ins.md.
"""

from datetime import datetime

import msgspec

from sandbox.procore.domain.rfi_model import Assignment, Forward, Rfi


def to_manager(rfi: Rfi) -> Rfi:
    return msgspec.structs.replace(
        rfi, ball_ids=(rfi.manager_id,), ball_role="rfi manager", forwards=()
    )


def to_assignees(rfi: Rfi, at: datetime) -> Rfi:
    """A new round of answering begins."""
    return msgspec.structs.replace(
        rfi, ball_ids=rfi.assignee_ids, ball_role="assignees", forwards=(), round_began_at=at
    )


def nowhere(rfi: Rfi) -> Rfi:
    return msgspec.structs.replace(rfi, ball_ids=(), ball_role=None, forwards=())


def start(rfi: Rfi, at: datetime) -> Rfi:
    """Where the ball is at first: a draft's at its manager, an open one's at the assignees."""
    return to_manager(rfi) if rfi.is_draft else to_assignees(rfi, at)


def forwarded(rfi: Rfi, from_id: int, to_id: int) -> Rfi:
    """The ball of `from_id` goes to one more person."""
    ball = tuple(to_id if u == from_id else u for u in rfi.ball_ids)
    forward = Forward(from_id=from_id, to_id=to_id)
    return msgspec.structs.replace(rfi, ball_ids=ball, forwards=(*rfi.forwards, forward))


def answered(rfi: Rfi, by_id: int) -> Rfi:
    """After a reply: back to the forwarder, or to the manager once all required answered."""
    forward = next((f for f in rfi.forwards if f.to_id == by_id), None)
    if forward is not None and by_id in rfi.ball_ids:
        ball = tuple(forward.from_id if u == by_id else u for u in rfi.ball_ids)
        left = tuple(f for f in rfi.forwards if f is not forward)
        return msgspec.structs.replace(rfi, ball_ids=ball, forwards=left)
    if rfi.ball_role != "assignees" or by_id not in rfi.assignee_ids or not all_answered(rfi):
        return rfi
    return to_manager(rfi)


def all_answered(rfi: Rfi) -> bool:
    """Whether every required assignee (anybody, where none is required) replied this round."""
    replied = {r.author_id for r in rfi.replies if r.created_at >= rfi.round_began_at}
    required = {a.user_id for a in rfi.assignments if a.required}
    return required <= replied if required else bool(replied & set(rfi.assignee_ids))


def has_answered(rfi: Rfi, user_id: int) -> bool:
    return any(r.author_id == user_id and r.created_at >= rfi.round_began_at for r in rfi.replies)


def assign(
    assignee_ids: tuple[int, ...], required_ids: tuple[int, ...] | None
) -> tuple[Assignment, ...]:
    """All are required unless it is said who is."""
    required = set(assignee_ids if required_ids is None else required_ids)
    return tuple(Assignment(user_id=u, required=u in required) for u in assignee_ids)
