"""Where a record stands for the design team, in the field's words. Values in, values out.

The field's status table. The contractor's side has fewer words: "returned" and "clarification
requested" are Part3's, read from the thread, the ball and the rounds that the connector tells of.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sandbox.part3.wire import Person, Record, Reply, WorkflowStep

ROUND_WORDS = {
    "opened": "opened",
    "clarification": "clarification requested",
    "reopened": "reopened",
}
OVER = {
    "draft": ("Upcoming", "quiet-tone"),
    "withdrawn": ("Withdrawn", "quiet-tone"),
    "removed": ("Removed in Procore", "bad"),
    "distributed": ("Distributed", "calm"),
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    word: str
    tone: str  # accent, calm, warn, bad, quiet-tone


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of asking and answering, with the replies given in it."""

    number: int
    words: str
    began_at: str | None
    replies: tuple[Reply, ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """The people of one workflow step; several answer side by side."""

    number: int
    rows: tuple[WorkflowStep, ...]

    @property
    def words(self) -> str:
        """What the step waits for, where that is not just its one person."""
        if len(self.rows) == 1:
            return "" if self.rows[0].required is not False else "optional: nobody waits for it"
        owed = sum(row.required is not False for row in self.rows)
        if owed == len(self.rows):
            return "in parallel: goes on when all have answered"
        if not owed:
            return "in parallel: goes on with the first answer"
        return f"in parallel: goes on when the {owed} required of {len(self.rows)} have answered"


def stage_of(record: Record, team: Collection[str]) -> Stage:
    """Say where a record stands.

    Args:
        record: what the contractor's side holds.
        team: e-mail addresses, in small letters, of everybody who reviews on this project.
    """
    if record.status in OVER:
        word, tone = OVER[record.status]
        return Stage(word=word, tone=tone)
    if record.status == "closed":
        word = "Closed" if record.kind == "rfi" else "Closed, not distributed"
        return Stage(word=word, tone="calm")
    return _open_rfi(record, team) if record.kind == "rfi" else _open_submittal(record, team)


def _open_rfi(record: Record, team: Collection[str]) -> Stage:
    last = rounds_of(record)[-1]
    returned = any(is_ours(reply, team) for reply in last.replies)
    if not any(_is_one_of(person, team) for person in record.ball_in_court):
        if returned:
            return Stage(word="Returned, awaiting the contractor", tone="calm")
        return Stage(word="Open, not with the design team", tone="quiet-tone")
    if last.number > 1 and not returned:
        words = last.words[:1].upper() + last.words[1:]
        return Stage(word=f"{words}, round {last.number}", tone="warn")
    return Stage(word="In review", tone="accent")


def _open_submittal(record: Record, team: Collection[str]) -> Stage:
    if any(_is_one_of(person, team) for person in record.ball_in_court):
        return Stage(word="In review", tone="accent")
    ours = [row for row in record.workflow if _is_one_of(row.person, team)]
    if any(row.role == "approver" and row.responded_at for row in ours):
        return Stage(word="Returned", tone="calm")
    return Stage(word="In workflow, read-only", tone="quiet-tone")


def rounds_of(record: Record) -> list[Round]:
    """The rounds of an RFI with their replies; one that nothing is told of has but the first."""
    told = record.extras.get("rounds")
    listed = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    if not listed:
        return [Round(number=1, words=ROUND_WORDS["opened"], began_at=None, replies=record.replies)]
    number_of = {str(reply): n for n, one in enumerate(listed, 1) for reply in _ids(one)}
    return [
        Round(
            number=number,
            words=ROUND_WORDS.get(str(one.get("because")), "asked again"),
            began_at=one["began_at"] if isinstance(one.get("began_at"), str) else None,
            replies=tuple(
                reply
                for reply in record.replies
                if number_of.get(str(reply.procore_id), len(listed)) == number
            ),
        )
        for number, one in enumerate(listed, 1)
    ]


def _ids(one: dict[str, Any]) -> list[Any]:
    ids = one.get("reply_ids")
    return ids if isinstance(ids, list) else []


def steps_of(record: Record) -> list[Step]:
    """A submittal's workflow, step by step."""
    numbers = [row.step if isinstance(row.step, int) else 0 for row in record.workflow]
    return [
        Step(
            number=number,
            rows=tuple(
                row for row, at in zip(record.workflow, numbers, strict=True) if at == number
            ),
        )
        for number in sorted(set(numbers))
    ]


def ending_of(record: Record, team: Collection[str]) -> tuple[str, str] | None:
    """Tone and words on how a record ended; None while it has not."""
    if record.status == "withdrawn":
        return "quiet", "The contractor closed this draft without opening it. Nothing is asked."
    if record.status == "distributed":
        return "good", _distributed(record)
    if record.status != "closed" or record.extras.get("superseded") is True:
        return None
    if record.kind == "submittal":
        return "quiet", "Closed in Procore and not distributed yet."
    official = [reply for reply in record.replies if reply.official is True]
    if not official:
        return "quiet", "Closed without an official reply."
    if any(is_ours(reply, team) for reply in official):
        return None
    names = ", ".join(dict.fromkeys(_name_of(reply.author) for reply in official))
    return "warn", f"Closed with an official reply that is not the design team's, by {names}."


def _distributed(record: Record) -> str:
    by, to = (record.extras.get(label) for label in ("Distributed by", "Distributed to"))
    words = "Distributed"
    if by:
        words += f" by {by}"
    if to:
        words += f" to {to}"
    result = [
        f"{row.response} by {_name_of(row.person)}"
        for row in record.workflow
        if row.role == "approver" and row.response and row.responded_at
    ]
    return f"{words}. Result: {', '.join(result)}." if result else f"{words}."


def is_ours(reply: Reply, team: Collection[str]) -> bool:
    """Whether the design team gave a reply, from Part3 or in Procore itself."""
    return reply.return_id is not None or _is_one_of(reply.author, team)


def _is_one_of(person: Any, team: Collection[str]) -> bool:
    return isinstance(person, Person) and (person.email or "").casefold() in team


def _name_of(person: Any) -> str:
    return person.name if isinstance(person, Person) else "somebody"
