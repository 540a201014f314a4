"""Whether a look surely read the state that its notices speak of, or may have read a stale one.

Procore serves old states for a moment after an event, sometimes with only the ball in court still
old. What may have been stale is listed once more when reads have settled; what cannot have been,
costs nothing more. Times are Procore's own, so our clock decides nothing. See decision 0012.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

SLACK = timedelta(seconds=2)
"""An event may be stamped this much after its change: `updated_at` is in whole seconds, and events
are written after the record."""

ONE_ACTION = timedelta(milliseconds=50)
"""Notices so close to each other speak of one person's one action."""

WITHOUT_BALL = ("closed", "distributed", "withdrawn", "removed", "draft")
PLAIN_MOVERS = ("status", "status_label", "revision")
WORDS = ("title", "question", "description", "status", "status_label", "due_on", "number")
"""What a half-updated read has new and whole, unlike the ball in court, thread and files."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of which changes a look's notices speak, by Procore's clock."""

    first: datetime
    last: datetime

    @property
    def several(self) -> bool:
        """Tell whether they speak of more than one action."""
        return self.last - self.first > ONE_ACTION


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look read beside what was known before.

    Args:
        updated_at: Procore's time of the state that was read.
        known_at: the same of the state known before; None for a record that is new.
        record: what is mirrored now, as JSON; None for what is not mirrored.
        known: what was mirrored before.
    """

    updated_at: datetime
    known_at: datetime | None
    record: Mapping[str, Any] | None
    known: Mapping[str, Any] | None


def is_fresh(moments: Moments, seen: Seen) -> bool:
    """Tell whether the state that was read holds all that the notices speak of."""
    if moments.several or seen.updated_at < moments.last - SLACK:
        return False
    if seen.known_at is not None and seen.updated_at <= seen.known_at:
        return False  # they speak of something newer, and it was not there yet
    return not _may_be_half(seen)


def _may_be_half(seen: Seen) -> bool:
    """Tell whether the ball in court may be older than the rest."""
    now, before = seen.record, seen.known
    if now is None:
        return False
    ball = _ids(now.get("ball_in_court"))
    if before is None:
        return not ball and now.get("status") not in WITHOUT_BALL
    if ball != _ids(before.get("ball_in_court")):
        return False
    if now.get("content_version") == before.get("content_version"):
        return True  # something changed that cannot be seen
    ended = not ball and now.get("status") in WITHOUT_BALL
    return _movers(now) != _movers(before) and not ended


def _movers(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What moves the ball when it changes."""
    return (
        *(record.get(name) for name in PLAIN_MOVERS),
        _ids(record.get("assignees")),
        [reply.get("procore_id") for reply in record.get("replies") or ()],
        [(one.get("procore_id"), one.get("response")) for one in record.get("workflow") or ()],
        _ids([record.get("manager") or {}]),
    )


@dataclass(frozen=True, slots=True)
class AwaitedReply:
    """A reply's notice that waits for a look at its RFI."""

    reply_id: str
    reason: str
    occurred_at: datetime | None


def answered_by(awaited: Iterable[AwaitedReply], seen: Seen) -> list[str]:
    """Return the ids of the replies whose notices a look at an RFI has answered."""
    now, before = _replies(seen.record), _replies(seen.known)
    return [one.reply_id for one in awaited if _answers(one, seen.updated_at, now, before)]


def _answers(one: AwaitedReply, updated_at: datetime, now: set[str], before: set[str]) -> bool:
    if one.reason == "delete":
        return one.reply_id in before - now
    if one.reason == "create":
        return one.reply_id in now
    fresh = one.occurred_at is not None and updated_at >= one.occurred_at - SLACK
    return one.reply_id in now and fresh


def _replies(record: Mapping[str, Any] | None) -> set[str]:
    return {str(reply.get("procore_id")) for reply in (record or {}).get("replies") or ()}


def _ids(people: Any) -> list[Any]:
    return [person.get("procore_id") for person in people or ()]


def contradicts(put: Mapping[str, Any], read: Mapping[str, Any]) -> bool:
    """Tell whether two states of one time differ in words, so that one of them is older.

    What only one of them has is no contradiction: a list shows less than a read in full.
    """
    pairs = ((put.get(field), read.get(field)) for field in WORDS)
    return any(one and other and one != other for one, other in pairs)
