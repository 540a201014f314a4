"""What happened to a project's records and returns, newest first, from the worker's log.

A private record shows its number and no more to whoever takes no part in it, and a search finds
only what the visitor may see, so that searching cannot be used to guess.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from schemas.records import KINDS
from services.postgres import ProjectReads, Row
from token_service.public.wording import kind as kind_words
from token_service.public.wording import waited as waited_words

PAGE_LENGTH = 50
HELD_LENGTH = 20
TEXT_MAX_LENGTH = 100
MAX_ID = 2**63 - 1
ENTRY_ID = re.compile(r"[0-9]{1,19}")
HIDDEN_WORDS = "A private record; only those who take part in it see more."

# $2: the visitor's Procore id, or null; $3: the visitor's Part3 id; $4: may see everything
SEEN = """
($4 OR NOT coalesce((r.record->>'private')::boolean, false) OR coalesce($2 IN (
  SELECT p->>'procore_id' FROM jsonb_array_elements(
    coalesce(r.record->'ball_in_court', '[]') || coalesce(r.record->'assignees', '[]')
    || CASE jsonb_typeof(r.record->'manager') WHEN 'object' THEN r.record->'manager' ELSE '[]' END
    || coalesce(jsonb_path_query_array(r.record, '$.workflow[*].person'), '[]')) AS p
), false) OR coalesce(d.author_user_id = $3, false))
"""
READ_ENTRIES = f"""
SELECT * FROM (
  SELECT a.id, a.at, a.event, a.kind, a.procore_id, a.return_id, a.number, a.title, a.words,
    a.reason, a.person, a.detail->'waited_s' AS waited, d.state AS return_state, d.mended_by,
    {SEEN} AS seen
  FROM mirror.activity a
  LEFT JOIN mirror.records r USING (project_id, kind, procore_id)
  LEFT JOIN mirror.deliveries d ON d.return_id = a.return_id AND d.project_id = a.project_id
  WHERE a.project_id = $1 AND ($5::bigint IS NULL OR a.id < $5)
    AND ($6::text IS NULL OR a.kind = $6) AND (NOT $7 OR d.state = 'held')
) visible
WHERE $8::text = '' OR position($8 IN lower(coalesce(number, '')
  || CASE WHEN seen THEN ' ' || coalesce(title, '') || ' ' || words ELSE '' END)) > 0
ORDER BY id DESC LIMIT $9
"""  # noqa: S608 - SEEN is a constant of this module
READ_HELD = f"""
SELECT d.return_id, d.kind, d.changed_at, d.reason, d.message, d.mended_by, d.author_name,
  r.number, r.title, {SEEN} AS seen, count(*) OVER () AS held_count
FROM mirror.deliveries d
LEFT JOIN mirror.records r USING (project_id, kind, procore_id)
WHERE d.project_id = $1 AND d.state = 'held'
ORDER BY d.changed_at, d.return_id LIMIT $5
"""  # noqa: S608 - SEEN is a constant of this module

RETURN_BADGES: Mapping[str, tuple[str, str]] = {
    "new": ("On its way", "busy"),
    "sending": ("On its way", "busy"),
    "waiting": ("Waiting", "busy"),
    "held": ("Held", "warn"),
    "delivered": ("Delivered", "good"),
    "failed": ("Withdrawn", ""),
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks: it decides what is shown of private records."""

    user_id: str
    procore_user_id: str | None
    sees_all: bool  # the connection's owner, who is Admin on both tools


@dataclass(frozen=True, slots=True)
class Filter:
    """What the visitor wants to see. `before` is the id of the last entry of the page before."""

    kind: str | None = None
    held: bool = False
    text: str = ""
    before: int | None = None

    @property
    def active(self) -> bool:
        """Tell whether anything is filtered out."""
        return bool(self.kind or self.held or self.text)

    def address(self, *, before: int | None = None) -> str:
        """Return this filter as a query, for another page of the same list."""
        values = {
            "kind": self.kind,
            "held": "1" if self.held else None,
            "text": self.text or None,
            "before": before,
        }
        return "?" + urlencode({name: value for name, value in values.items() if value})


def filter_of(query: Mapping[str, str]) -> Filter:
    """Read a filter from an address; what makes no sense is left out."""
    before = query.get("before", "")
    number = int(before) if ENTRY_ID.fullmatch(before) else None
    return Filter(
        kind=query.get("kind") if query.get("kind") in KINDS else None,
        held=query.get("held") == "1",
        text=" ".join(query.get("text", "").replace("\0", "")[:TEXT_MAX_LENGTH].split()),
        before=number if number is not None and number <= MAX_ID else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the log, as it is shown."""

    id: int
    at: datetime
    record_words: str
    title: str
    words: str
    person: str | None
    mended_by: str | None
    badge: str | None
    tone: str
    receipt_of: str | None  # the return whose receipt this line leads to
    waited: str | None  # how long it took, and for whom that was


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReturn:
    """A return that waits for a person."""

    changed_at: datetime
    record_words: str
    title: str
    message: str
    mended_by: str | None
    author_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPage:
    """A page of the log, with what is held now above its first page."""

    entries: Sequence[Entry]
    held: Sequence[HeldReturn]
    held_count: int
    older_before: int | None


async def read_activity(
    mirror: ProjectReads, project_id: str, reader: Reader, wanted: Filter
) -> ActivityPage:
    """Read one page of the log.

    Raises:
        TryLater: Postgres does not answer.
    """
    who = (project_id, reader.procore_user_id, reader.user_id, reader.sees_all)
    asked = (wanted.before, wanted.kind, wanted.held, wanted.text.lower(), PAGE_LENGTH + 1)
    async with mirror.of_project(project_id) as database:
        rows = await database.fetch(READ_ENTRIES, *who, *asked)
        held = await database.fetch(READ_HELD, *who, HELD_LENGTH) if wanted.before is None else []
    more = len(rows) > PAGE_LENGTH
    return ActivityPage(
        entries=[_entry_of(row) for row in rows[:PAGE_LENGTH]],
        held=[_held_of(row) for row in held],
        held_count=held[0]["held_count"] if held else 0,
        older_before=rows[PAGE_LENGTH - 1]["id"] if more else None,
    )


def _entry_of(row: Row) -> Entry:
    badge, tone = RETURN_BADGES.get(row["return_state"] or "", (None, ""))
    if row["event"] == "answer.changed":
        badge, tone = "Changed since", "bad"
    held = row["return_state"] == "held" and row["reason"] is not None
    seen = row["seen"]
    return Entry(
        id=row["id"],
        at=row["at"],
        record_words=record_words(row),
        title=(row["title"] or "") if seen else "",
        words=row["words"] if seen else HIDDEN_WORDS,
        person=_name_of(row["person"]) if seen else None,
        mended_by=_name_of(row["mended_by"]) if held and seen else None,
        badge=badge,
        tone=tone,
        receipt_of=row["return_id"] if seen and row["return_state"] == "delivered" else None,
        waited=waited_words(row["waited"]) if row["waited"] else None,
    )


def _held_of(row: Row) -> HeldReturn:
    seen = row["seen"]
    return HeldReturn(
        changed_at=row["changed_at"],
        record_words=record_words(row),
        title=(row["title"] or "") if seen else "",
        message=(row["message"] or "It waits for a person.") if seen else HIDDEN_WORDS,
        mended_by=_name_of(row["mended_by"]) if seen else None,
        author_name=row["author_name"] if seen else None,
    )


def record_words(row: Mapping[str, Any]) -> str:
    """Name a record as people do: `RFI 12`, `RFI-12`, `Submittal 03 30 00-1`; empty for none."""
    number, named = row["number"] or "", kind_words(row["kind"])
    return number if number.casefold().startswith("rfi") else f"{named} {number}".strip()


def _name_of(person: Mapping[str, Any] | None) -> str | None:
    return person.get("name") if person else None
