"""Is everything there: what the last comparison of both sides found, and what is not mirrored.

Of a private record only the number is shown, and of drafts only how many they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.records import KINDS, Kind
from services.postgres import ProjectReads, Row
from token_service.public.activity import record_words

DIFFERENCES_LENGTH = 100
REMOVALS_LENGTH = 50
NUMBERS_SHOWN = 20

READ_COMPARISONS = """
SELECT c.kind, c.compared_at, c.compared, c.equal, c.files, c.markers, c.markers_wrong,
  (SELECT count(*) FROM mirror.differences d WHERE (d.project_id, d.kind) = (c.project_id, c.kind)
    AND d.repaired_at >= c.listed_at) AS repaired
FROM mirror.comparisons c WHERE c.project_id = $1
"""
READ_DIFFERENCES = """
SELECT d.kind, d.reason, d.words, d.found_at, d.repaired_at, coalesce(r.number, '') AS number,
  coalesce(r.title, '') AS title, coalesce((r.record->>'private')::boolean, true) AS hidden,
  count(*) FILTER (WHERE d.repaired_at IS NULL) OVER () AS standing
FROM mirror.differences d LEFT JOIN mirror.records r USING (project_id, kind, procore_id)
WHERE d.project_id = $1
ORDER BY d.repaired_at IS NOT NULL, d.repaired_at DESC, d.found_at, d.procore_id LIMIT $2
"""
READ_REMOVALS = """
SELECT m.kind, m.found_at, r.number, r.title,
  coalesce((r.record->>'private')::boolean, true) AS hidden, count(*) OVER () AS held,
  min(m.found_at) OVER () AS since, max(m.found_at) OVER () AS until
FROM mirror.removals m JOIN mirror.records r USING (project_id, kind, procore_id)
WHERE m.project_id = $1 AND m.state = 'held' ORDER BY m.kind, r.number, m.procore_id LIMIT $2
"""
COUNT_LIVE = """
SELECT count(*) FROM mirror.records
WHERE project_id = $1 AND record IS NOT NULL AND removed_at IS NULL
"""
READ_HOOK = """
SELECT hook_checked_at AS checked_at, hook_state AS state, hook_message AS message
FROM mirror.projects WHERE project_id = $1 AND hook_checked_at IS NOT NULL
"""
READ_RESTING = """
SELECT kind, number, title, coalesce((record->>'private')::boolean, true) AS hidden,
  parked_until AS until
FROM mirror.records WHERE project_id = $1 AND parked_until > now()
ORDER BY parked_until, kind, procore_id LIMIT $2
"""
# A file without a byte leaves the rest of its record in step.
READ_EMPTY_FILES = """
SELECT kind, number, title, coalesce((record->>'private')::boolean, true) AS hidden,
  record->'extras'->>$2 AS words
FROM mirror.records WHERE project_id = $1 AND record->'extras' ? $2 AND removed_at IS NULL
ORDER BY kind, number, procore_id LIMIT $3
"""
FILES_NOT_MIRRORED = "Files not mirrored"  # the label that the worker puts into extras
# What was listed and needs no row of its own: drafts, and what cannot be read.
READ_LEFT_OUT = """
SELECT kind, reason, count(*) AS records,
  (array_agg(number ORDER BY number) FILTER (WHERE number <> ''))[1:$2] AS numbers
FROM (
  SELECT r.kind, r.not_mirrored_because AS reason,
    CASE WHEN r.record IS NULL THEN '' ELSE r.number END AS number
  FROM mirror.records r WHERE r.project_id = $1 AND r.not_mirrored_because IS NOT NULL
  UNION ALL
  SELECT l.kind, CASE l.state WHEN 'draft' THEN $3 ELSE $4 END, coalesce(r.number, '')
  FROM mirror.listed l LEFT JOIN mirror.records r USING (project_id, kind, procore_id)
  WHERE l.project_id = $1 AND l.state IN ('draft', 'unreadable') AND r.record IS NULL
    AND r.not_mirrored_because IS NULL
) left_out
GROUP BY kind, reason ORDER BY kind, reason
"""
DRAFT = "It is a draft in Procore; drafts stay there until they are opened."
UNREADABLE = "What Procore lists of it cannot be read."
HIDDEN_WORDS: Mapping[str, str] = {
    "missing_in_part3": "Part3 did not hold it any more.",
    "differs_in_part3": "Part3 held another state.",
    "file_missing": "Part3 did not hold the bytes of a file.",
    "removal_held": "It is in Procore's recycle bin; whether that is meant waits for a person.",
}
EMPTY_OF_A_PRIVATE = "a file that is empty in Procore"
LARGE_OF_A_PRIVATE = "a file that is too large to be copied"
PRIVATE = "It is not equal yet, and private."


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What the last comparison of one kind found; `at` is None before the first one."""

    kind: Kind
    at: datetime | None = None
    compared: int = 0
    equal: int = 0
    files: int = 0
    repaired: int = 0
    markers: int = 0
    markers_wrong: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A record that was not equal; `repaired_at` says since when it is again."""

    record_words: str
    title: str
    words: str
    found_at: datetime
    repaired_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """How Procore's webhook for the project was found when it was last compared."""

    checked_at: datetime
    state: str  # ok, created, repaired, missed, unchecked
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """A record that changed to and fro too often, and is not put again before `until`."""

    record_words: str
    title: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Removals:
    """Records that went to Procore's recycle bin at once, and wait for a person's word."""

    held: int
    live: int
    since: datetime
    until: datetime
    records: Sequence[tuple[str, str]]  # its words, and its title


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Records of one kind that are not mirrored, or not any more, for one reason."""

    kind: Kind
    reason: str
    records: int
    numbers: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """Everything the page shows."""

    comparisons: Sequence[Compared]
    differences: Sequence[Difference]
    standing: int  # differences that are not repaired
    removals: Removals | None
    left_out: Sequence[LeftOut]
    hook: Hook | None = None  # None: not compared yet
    resting: Sequence[Resting] = ()
    empty_files: Sequence[tuple[str, str]] = ()  # a record's words, and which of its files


async def read_comparisons(mirror: ProjectReads, project_id: str) -> list[Compared]:
    """Read what the last comparison of each kind found. Raises TryLater."""
    async with mirror.of_project(project_id) as database:
        return _comparisons_of(await database.fetch(READ_COMPARISONS, project_id))


async def read_completeness(mirror: ProjectReads, project_id: str) -> Completeness:
    """Read everything the page shows. Raises TryLater."""
    async with mirror.of_project(project_id) as database:
        comparisons = await database.fetch(READ_COMPARISONS, project_id)
        differences = await database.fetch(READ_DIFFERENCES, project_id, DIFFERENCES_LENGTH)
        removals = await database.fetch(READ_REMOVALS, project_id, REMOVALS_LENGTH)
        live = await database.fetchval(COUNT_LIVE, project_id)
        words = (NUMBERS_SHOWN, DRAFT, UNREADABLE)
        left_out = await database.fetch(READ_LEFT_OUT, project_id, *words)
        hook = await database.fetchrow(READ_HOOK, project_id)
        resting = await database.fetch(READ_RESTING, project_id, NUMBERS_SHOWN)
        empty = await database.fetch(
            READ_EMPTY_FILES, project_id, FILES_NOT_MIRRORED, DIFFERENCES_LENGTH
        )
    return Completeness(
        comparisons=_comparisons_of(comparisons),
        differences=[_difference_of(row) for row in differences],
        standing=differences[0]["standing"] if differences else 0,
        removals=_removals_of(removals, live),
        left_out=[
            LeftOut(row["kind"], row["reason"], row["records"], row["numbers"] or ())
            for row in left_out
        ],
        hook=Hook(**dict(hook)) if hook else None,
        resting=[
            Resting(
                record_words=record_words(row),
                title="" if row["hidden"] else row["title"],
                until=row["until"],
            )
            for row in resting
        ],
        empty_files=[
            (record_words(row), _of_a_private(row["words"]) if row["hidden"] else row["words"])
            for row in empty
        ],
    )


def _of_a_private(words: str) -> str:
    """Say why files of a private record are left out, without their names."""
    found = {"empty": EMPTY_OF_A_PRIVATE, "larger": LARGE_OF_A_PRIVATE}
    return ", ".join(said for word, said in found.items() if f": {word} " in words)


def _comparisons_of(rows: Sequence[Row]) -> list[Compared]:
    found = {row["kind"]: row for row in rows if row["compared_at"] is not None}
    return [_compared_of(kind, found.get(kind)) for kind in KINDS]


def _compared_of(kind: Kind, row: Mapping[str, Any] | None) -> Compared:
    if row is None:
        return Compared(kind=kind)
    figures = ("compared", "equal", "files", "repaired", "markers", "markers_wrong")
    return Compared(kind=kind, at=row["compared_at"], **{name: row[name] for name in figures})


def _difference_of(row: Row) -> Difference:
    words = HIDDEN_WORDS.get(row["reason"], PRIVATE) if row["hidden"] else row["words"]
    return Difference(
        record_words=record_words(row),
        title="" if row["hidden"] else row["title"],
        words=words,
        found_at=row["found_at"],
        repaired_at=row["repaired_at"],
    )


def _removals_of(rows: Sequence[Row], live: int) -> Removals | None:
    if not rows:
        return None
    return Removals(
        held=rows[0]["held"],
        live=live,
        since=rows[0]["since"],
        until=rows[0]["until"],
        records=[(record_words(row), "" if row["hidden"] else row["title"]) for row in rows],
    )
