"""The words people read, and what a person may see and do. Values in, values out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from sandbox.part3.wire import Delivery, Member, Readiness, Record, Return

ISO_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
REGISTERS = {"rfis": "rfi", "submittals": "submittal"}
KIND_WORDS = {"rfi": "RFI", "submittal": "Submittal"}

STATUS_WORDS = {
    "draft": "Upcoming",
    "open": "Open",
    "closed": "Closed",
    "withdrawn": "Withdrawn",
    "distributed": "Distributed",
    "removed": "Removed in Procore",
}

DISPOSITION_WORDS = {
    "proceed": "Approved",
    "proceed_as_noted": "Approved as Noted",
    "proceed_as_noted_record_copy": "Approved as Noted, Submit for Record",
    "revise_resubmit": "Revise and Resubmit",
    "rejected": "Rejected",
    "record_only": "For Record Only",
    "not_reviewed": "Not Reviewed",
}
"""What a reviewer may choose; the other dispositions only ever come in from Procore."""

OTHER_DISPOSITIONS = {
    "pending": "Pending",
    "forwarded": "Forwarded for Review",
    "void": "Void",
}

REASON_WORDS = {
    "not_authorized": "The author has not authorized Procore yet.",
    "needs_reauthorization": "The author has to authorize Procore again.",
    "not_permitted": "The author's permissions in Procore do not allow this.",
    "not_your_turn": "In Procore it is not the author's turn.",
    "already_answered": "It has been answered in Procore already.",
    "question_changed": "The question changed after the author read it.",
    "record_closed": "It has been closed in Procore.",
    "record_removed": "It has been removed in Procore.",
    "code_unmapped": "This disposition has no counterpart in the Procore project yet.",
    "too_many_writes": "The record was answered too often within a few minutes.",
    "paused": "Paused by the operators of the connector.",
    "file_rejected": "Procore did not take one of the files.",
    "rate_limited": "Procore asks us to slow down.",
    "procore_down": "Procore cannot be reached at the moment.",
    "part3_down": "Part3 could not be reached for a moment.",
    "outcome_unknown": "We are making sure that it did not arrive twice.",
    "withdrawn": "Withdrawn by its author.",
}

AUTHOR_MUST_AUTHORIZE = {"not_authorized", "needs_reauthorization"}
AUTHOR_MAY_OVERRULE = {"question_changed", "already_answered", "record_closed", "too_many_writes"}
NO_USE_OVERRULING = AUTHOR_MUST_AUTHORIZE | {
    "code_unmapped",
    "not_permitted",
    "record_removed",
    "paused",
}
REVIEWERS = {"prime_consultant", "consultant"}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a return's state is shown."""

    word: str
    tone: str  # good, calm, warn, bad, quiet
    text: str
    mended_by: str | None = None
    can_confirm: bool = False
    can_withdraw: bool = False
    must_authorize: bool = False
    on_its_way: bool = False  # it may change without anybody here doing anything


def standing(answer: Return, delivery: Delivery | None, viewer_id: str) -> Standing:
    """Say where a return stands to the person who looks."""
    own = answer.author.user_id == viewer_id
    reason = (delivery.reason or "") if delivery else ""
    said = ((delivery.message if delivery else None) or REASON_WORDS.get(reason) or "").strip()
    match answer.state:
        case "delivered":
            return Standing(word="Delivered", tone="good", text=said or "Procore has it, whole.")
        case "failed":
            return Standing(word="Not sent", tone="quiet", text=said or "It will not be sent.")
        case "withdrawn":
            begun = delivery is not None and delivery.state == "sending"
            text = "Withdrawn by its author."
            if begun:
                text += " Sending had begun; if it reached Procore, that shows here."
            return Standing(word="Withdrawn", tone="quiet", text=text, on_its_way=begun)
        case "held":
            return _held(answer, delivery, said=said, reason=reason, own=own)
        case "pending":
            if delivery is not None and delivery.state == "waiting":
                text = said or "It goes by itself; nobody has to act."
                return Standing(
                    word="Waiting", tone="calm", text=text, can_withdraw=own, on_its_way=True
                )
            text = "On its way to Procore."
            return Standing(
                word="Sending", tone="calm", text=text, can_withdraw=own, on_its_way=True
            )


def _held(
    answer: Return, delivery: Delivery | None, *, said: str, reason: str, own: bool
) -> Standing:
    mender = delivery.mended_by if delivery else None
    author = mender is None or (mender.email or "").casefold() == answer.author.email.casefold()
    overrulable = reason in AUTHOR_MAY_OVERRULE or (author and reason not in NO_USE_OVERRULING)
    return Standing(
        word="Held",
        tone="warn",
        text=said or "It waits for somebody.",
        mended_by=mender.name if mender else None,
        can_confirm=own and overrulable,
        can_withdraw=own,
        must_authorize=own and reason in AUTHOR_MUST_AUTHORIZE,
        on_its_way=True,
    )


def participants(record: Record) -> set[str]:
    """E-mail addresses of everybody who takes part in a record.

    Some are on it only for the contractor's side (who asked, the distribution list): the connector
    names them in `extras.participants`.
    """
    steps = (step.person for step in record.workflow)
    authors = (reply.author for reply in record.replies)
    people = (*record.ball_in_court, *record.assignees, record.manager, *steps, *authors)
    named = record.extras.get("participants")
    told = named if isinstance(named, list) else []
    mails = {person.email.casefold() for person in people if person and person.email}
    return mails | {mail.casefold() for mail in told if isinstance(mail, str)}


def may_see(
    record: Record,
    member: Member,
    ready_ids: Iterable[str],
    *,
    returned: bool,
    veiled: bool = False,
) -> bool:
    """Whether a member sees a record: a private one is for its participants only.

    `veiled`: it was private, and what was written meanwhile has not been checked.
    """
    return (
        not (record.private or veiled)
        or returned
        or member.user_id in set(ready_ids)
        or member.email.casefold() in participants(record)
    )


def readiness_line(readiness: Readiness | None, member: Member) -> tuple[str, str] | None:
    """Tone and words on whether this member could return the record now."""
    if readiness is None or member.role not in REVIEWERS:
        return None
    if member.user_id in readiness.for_user_ids:
        return "good", "You can return this now."
    text = readiness.message or REASON_WORDS.get(readiness.reason or "", "")
    if readiness.returnable and not text:
        return "quiet", "Others on the team can return this; it is not with you."
    text = text or "This cannot be returned yet."
    if readiness.mended_by is not None and readiness.mended_by.name not in text:
        text = f"{text} Who can clear it: {readiness.mended_by.name}."
    return "warn", text


def disposition_words(code: str | None) -> str:
    return (DISPOSITION_WORDS | OTHER_DISPOSITIONS).get(code or "", "")


def day(value: date | str | None) -> str:
    """A date as people write it, 4 Dec 2026."""
    if not value:
        return ""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value[:10])
        except ValueError:
            return str(value)
    return f"{value.day} {value:%b %Y}"


def moment(value: datetime | str | None) -> str:
    """A time as people write it, 4 Dec 2026, 14:05 UTC."""
    if not value:
        return ""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    if at.tzinfo is not None:
        at = at.astimezone(UTC)
    if (at.hour, at.minute, at.second) == (0, 0, 0):
        return day(at.date())  # Procore gives some of its times as days
    return f"{day(at.date())}, {at:%H:%M} UTC"


def file_size(size: int) -> str:
    """Bytes as people read them, 1.4 MB."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def initials(name: str) -> str:
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


FOR_PART3 = ("files_pending", "thread_pending", "participants", "rounds", "superseded")
"""Extras that pages use and do not list."""


def extra_lines(extras: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and value of the other fields; empty ones and those for Part3 itself are left out."""
    lines = []
    for label, value in extras.items():
        text = ISO_DAY.sub(lambda found: day(found[0]), _plain(value))
        if label not in FOR_PART3 and text:
            shown = label if " " in label or not label.islower() else label.replace("_", " ")
            lines.append((shown[:1].upper() + shown[1:], text))
    return lines


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "Yes" if value else "No"
        case str() | int() | float():
            return str(value)
        case list():
            return ", ".join(filter(None, (_plain(one) for one in value)))
        case dict() if value:
            named = value.get("label") or value.get("name") or value.get("value")
            return _plain(named) if named else msgspec.json.encode(value).decode()
        case _:
            return ""
