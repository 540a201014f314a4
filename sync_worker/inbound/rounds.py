"""The answer rounds of an RFI: pure. A clarification asked, or a reopening, begins the next one.

Procore keeps no rounds, so the worker remembers them: which replies were there when a round began.
Earlier rounds stay as they were; the ball going to and fro without an answer begins none.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from services.procore.models import Answer, Rfi

Because = Literal["opened", "clarification", "reopened"]

WORDS: Mapping[Because, str] = {
    "opened": "opened",
    "clarification": "clarification requested",
    "reopened": "reopened",
}
CLOSED = ("closed", "withdrawn")


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One round of asking and answering."""

    because: Because
    began_at: datetime | None = None  # Procore's time of the state in which it was noticed
    before: tuple[str, ...] = ()  # ids of the replies that belong to earlier rounds


Rounds = tuple[Round, ...]
FIRST = Round(because="opened")


def next_rounds(rounds: Rounds, before: Mapping[str, Any] | None, rfi: Rfi) -> Rounds:
    """Return an RFI's rounds in its present state.

    Args:
        rounds: those known so far; empty for the first alone.
        before: the record as it was last put into Part3, None when it never was.
        rfi: what Procore holds, in full.
    """
    known = rounds or (FIRST,)
    if rfi.status != "open" or rfi.answers is None:
        return known
    replies = sorted(rfi.answers, key=lambda reply: (_since(reply.answered_at), reply.id))
    told = {reply["procore_id"] for reply in (before or {}).get("replies", ())}
    if before is not None and before.get("status") in CLOSED:
        earlier = [reply.id for reply in replies if reply.id in told]
        return (*known, _begun("reopened", rfi, earlier))
    mine = [reply for reply in replies if reply.id not in known[-1].before]
    answered = _asked_again(before, told, rfi, mine)
    if answered is None:
        return known
    earlier = [*known[-1].before, *(reply.id for reply in mine[: answered + 1])]
    return (*known, _begun("clarification", rfi, earlier))


def round_of(rounds: Rounds, reply_id: str) -> int:
    """Return which round a reply belongs to, from 1."""
    return max(1, sum(reply_id not in one.before for one in rounds))


def rounds_told(rounds: Rounds, reply_ids: Sequence[str]) -> dict[str, Any]:
    """Return the extras that tell of rounds; nothing while there is but the first."""
    if len(rounds) < 2:  # noqa: PLR2004 - one is every RFI's
        return {}
    listed = [
        {
            "round": number,
            "because": one.because,
            "began_at": one.began_at.isoformat() if one.began_at else None,
            "reply_ids": [reply for reply in reply_ids if round_of(rounds, reply) == number],
        }
        for number, one in enumerate(rounds, start=1)
    ]
    return {"Round": f"{len(rounds)}, {WORDS[rounds[-1].because]}", "rounds": listed}


def _begun(because: Because, rfi: Rfi, before: Sequence[str]) -> Round:
    return Round(because=because, began_at=rfi.updated_at, before=tuple(before))


def _asked_again(
    before: Mapping[str, Any] | None, told: set[str], rfi: Rfi, replies: Sequence[Answer]
) -> int | None:
    """The place of the answer that the general contractor asks again about, or None.

    Either the ball was seen to come back from the manager, or that was missed and the thread
    tells: everybody who must had answered, then somebody of the other side spoke.
    """
    manager = rfi.manager.id if rfi.manager else None
    asked = {one.user.id: one.required for one in rfi.assignees if one.user.id != manager}
    holders = {user.id for user in rfi.ball_in_court}
    answering = (asked.keys() | _ids((before or {}).get("assignees", ()))) - {manager}
    answers = [n for n, reply in enumerate(replies) if reply.author_id in answering]
    if not answers or not holders & asked.keys():
        return None
    if manager is not None and _ids((before or {}).get("ball_in_court", ())) == {manager}:
        seen = [n for n in answers if replies[n].id in told]
        return seen[-1] if seen else answers[-1]
    required = {one for one, must in asked.items() if must}
    complete = required <= {replies[n].author_id for n in answers}
    spoken = any(reply.author_id not in answering for reply in replies[answers[-1] + 1 :])
    return answers[-1] if complete and spoken else None


def _ids(people: Sequence[Mapping[str, Any]]) -> set[str | None]:
    return {person.get("procore_id") for person in people}


def _since(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0
