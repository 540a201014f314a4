"""A write that Procore would do twice if asked twice: intended, sent once, looked up, adopted.

Procore has no idempotency key for replies and responses. So an intent is committed before the
first byte leaves, its marker travels in the text, and when the outcome is unknown nothing is sent
again until the marker has been looked for after a quiet period. After two sends a person decides.
What that promises: docs/reliability.md, A6 and A7.
"""

from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec

from services.procore.models import ResponseOption

MAX_SENDS = 2
"""Sends of unknown outcome by ourselves; one more only after a person asked for it."""

FIRST_LOOK_AFTER = timedelta(seconds=2)

IntentState = Literal["planned", "sending", "unknown", "confirmed", "needs_human", "abandoned"]


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One operation, as it is kept in `mirror.write_intents`."""

    op_key: str
    marker: str
    return_id: str
    operation: str  # rfi_reply, submittal_response
    state: IntentState
    sends: int = 0  # that may have had an effect
    sent_at: datetime | None = None
    not_before: datetime | None = None  # no second send, no verdict of absence before this
    fence: int = 0  # of the lease under which it was armed
    remote_id: str | None = None
    changed_at: datetime | None = None
    response: ResponseOption | None = None  # chosen at the arming, for the read-back
    supersedes: str | None = None  # words for the author's answer that this one corrects

    @property
    def has_begun(self) -> bool:
        """Tell whether something may have reached Procore."""
        return self.sends > 0 or self.state in ("sending", "unknown", "confirmed")


class Sighting(msgspec.Struct, frozen=True):
    """What looking for the marker found: ids, oldest first. Empty: it is not there."""

    remote_ids: tuple[str, ...]


class Check(msgspec.Struct, frozen=True):
    """Nothing has left yet: check the return against the record, then arm and send."""


class LookUp(msgspec.Struct, frozen=True):
    """Something may have been executed: look for the marker before anything else."""


class Adopt(msgspec.Struct, frozen=True):
    """It is there: take it as ours. `extra` are further ones with the same marker."""

    remote_id: str
    extra: tuple[str, ...] = ()


class WaitUntil(msgspec.Struct, frozen=True):
    """It may still appear: look again then."""

    at: datetime


class AskPerson(msgspec.Struct, frozen=True):
    """Sent as often as may be and never seen: a person has to look."""


class ReadBack(msgspec.Struct, frozen=True):
    """Written and known: only the proof is left."""

    remote_id: str


class Abandoned(msgspec.Struct, frozen=True):
    """Withdrawn before anything left; it never goes."""


Step: TypeAlias = Check | LookUp | Adopt | WaitUntil | AskPerson | ReadBack | Abandoned


def next_step(
    intent: Intent, *, now: datetime, seen: Sighting | None = None, asked_again: bool = False
) -> Step:
    """Decide what may be done about an intent.

    Args:
        intent: as it stands in the database.
        now: the database's clock.
        seen: what looking for the marker found just now; None when nobody has looked yet.
        asked_again: a person saw that it is not there and wants it sent once more.
    """
    if intent.state == "abandoned":
        return Abandoned()
    if intent.state == "confirmed" and intent.remote_id is not None:
        return ReadBack(intent.remote_id)
    if not intent.has_begun and intent.state == "planned":
        return Check()
    if seen is None:
        return LookUp()
    if seen.remote_ids:
        return Adopt(seen.remote_ids[0], seen.remote_ids[1:])
    return _absent(intent, now=now, asked_again=asked_again)


def _absent(intent: Intent, *, now: datetime, asked_again: bool) -> Step:
    """Decide what absence means: before the quiet period is over, nothing."""
    if intent.not_before is not None and now < intent.not_before:
        return WaitUntil(min(intent.not_before, now + _patience(intent, now)))
    if intent.sends >= MAX_SENDS + asked_again:
        return AskPerson()
    return Check()


def _patience(intent: Intent, now: datetime) -> timedelta:
    """Look soon at first, then twice as late each time: most unknowns are there in seconds."""
    waited = now - intent.sent_at if intent.sent_at is not None else timedelta()
    return max(FIRST_LOOK_AFTER, waited)
