"""How far a project's mirror is: read from the worker's tables, never written.

The page, its fallback without JavaScript and the live stream all show the same `Standing`, so a
reload can never say something other than the stream did.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from schemas.records import KINDS, Kind
from services.pauses import NO_PAUSES, Pauses, read_pauses
from services.postgres import ProjectReads
from token_service.public.wording import counted, kind, lasting

PageState = Literal[
    "not_connected", "connecting", "backfilling", "connected", "attention", "disconnected"
]

# An estimate from less than this says more about the first page than about the rest.
ESTIMATE_AFTER_S = 5.0
ESTIMATE_AFTER_SHARE = 0.02

READ_PROJECT = """
SELECT p.state, p.attention_reason, p.attention_message, p.attention_mended_by, p.attention_since,
  p.connection_updated_at, p.reader_user_id, p.to_part3_paused, p.to_procore_paused, now() AS now,
  (SELECT count(*) FROM mirror.removals m WHERE m.project_id = $1 AND m.state = 'held')
    AS removals_held,
  (SELECT count(*) FROM mirror.looks l WHERE l.project_id = $1 AND l.due_at <= now()) AS looks_due,
  (SELECT count(*) FROM mirror.looks l WHERE l.project_id = $1 AND l.attempts > 0) AS looks_failing,
  (SELECT l.message FROM mirror.looks l WHERE l.project_id = $1 AND l.attempts > 0
    AND l.message IS NOT NULL ORDER BY l.first_asked_at LIMIT 1) AS failing_message
FROM (SELECT 1) one LEFT JOIN mirror.projects p ON p.project_id = $1
"""
READ_SWEEPS = """
SELECT kind, found, done, files_found, files_done, started_at, finished_at, backfilled_at,
  next_page, message, now() AS now
FROM mirror.sweeps WHERE project_id = $1
"""
READ_RECORDS = """
SELECT kind, count(*) FILTER (WHERE mirrored_at IS NOT NULL AND removed_at IS NULL) AS mirrored,
  count(*) FILTER (WHERE not_mirrored_because IS NOT NULL) AS left_out,
  count(*) FILTER (WHERE files_pending > 0) AS files_missing
FROM mirror.records WHERE project_id = $1 GROUP BY kind
"""
READ_RETURNS = """
SELECT count(*) FILTER (WHERE state = 'held') AS held,
  count(*) FILTER (WHERE state IN ('new', 'sending', 'waiting')) AS waiting,
  count(*) FILTER (WHERE state = 'delivered') AS delivered,
  (array_agg(message ORDER BY changed_at) FILTER (WHERE state = 'held'))[1] AS oldest_held_message
FROM mirror.deliveries WHERE project_id = $1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """The backfill of one kind, or its last sweep. Counts are of records and of files."""

    kind: Kind
    found: int = 0
    done: int = 0
    files_found: int = 0
    files_done: int = 0
    still_listing: bool = True
    started_at: datetime | None = None
    finished_at: datetime | None = None
    backfilled_at: datetime | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Records of one kind in Part3."""

    mirrored: int = 0
    left_out: int = 0
    files_missing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Why nothing is read, in words with the next step, and who can mend it."""

    reason: str
    message: str
    mended_by: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a project's mirror stands at `now`; all zero before a worker has heard of it."""

    now: datetime
    sweeps: Mapping[Kind, Sweep]
    records: Mapping[Kind, Counts]
    attention: Attention | None = None
    paused: bool = False
    pauses: Pauses = NO_PAUSES
    removals_held: int = 0
    looks_due: int = 0
    looks_failing: int = 0
    failing_message: str | None = None
    returns_held: int = 0
    returns_waiting: int = 0
    returns_delivered: int = 0
    oldest_held_message: str | None = None

    @property
    def backfilled(self) -> bool:
        """Tell whether everything has come over once."""
        return all(sweep.backfilled_at is not None for sweep in self.sweeps.values())

    @property
    def is_paused(self) -> bool:
        """Tell whether a direction rests, as the connection says or the operators."""
        return self.paused or self.pauses.first is not None

    @property
    def last_sweep_at(self) -> datetime | None:
        """When Procore was last asked for everything that changed."""
        return max((s.finished_at for s in self.sweeps.values() if s.finished_at), default=None)

    @property
    def page_state(self) -> PageState:
        """The page's `data-state` of a connection that is not disconnected."""
        if self.attention or self.is_paused:
            return "attention"
        return "connected" if self.backfilled else "backfilling"


async def read_standing(mirror: ProjectReads, project_id: str) -> Standing:
    """Read where a project's mirror stands.

    Raises:
        TryLater: Postgres does not answer.
    """
    async with mirror.of_project(project_id) as database:
        project = await database.fetchrow(READ_PROJECT, project_id)
        sweeps = await database.fetch(READ_SWEEPS, project_id)
        records = await database.fetch(READ_RECORDS, project_id)
        returns = await database.fetchrow(READ_RETURNS, project_id)
    if project is None or returns is None:
        message = "a query without conditions on its rows always gives one"
        raise AssertionError(message)
    # until a worker has heard of a new connection, its tables still speak of the one before
    heard = project["state"] not in (None, "disconnected")
    by_kind = {row["kind"]: row for row in sweeps if heard}
    counts = {row["kind"]: row for row in records}
    return Standing(
        now=project["now"],
        sweeps={k: _sweep_of(k, by_kind.get(k)) for k in KINDS},
        records={k: _counts_of(counts.get(k)) for k in KINDS},
        attention=_attention_of(project) if heard else None,
        paused=project["state"] == "paused",
        pauses=read_pauses(project) if heard else NO_PAUSES,
        removals_held=project["removals_held"] if heard else 0,
        looks_due=project["looks_due"],
        looks_failing=project["looks_failing"],
        failing_message=project["failing_message"],
        returns_held=returns["held"],
        returns_waiting=returns["waiting"],
        returns_delivered=returns["delivered"],
        oldest_held_message=returns["oldest_held_message"],
    )


def _sweep_of(name: Kind, row: Mapping[str, Any] | None) -> Sweep:
    if row is None:
        return Sweep(kind=name)
    return Sweep(
        kind=name,
        found=row["found"],
        done=row["done"],
        files_found=row["files_found"],
        files_done=row["files_done"],
        still_listing=row["next_page"] is not None or row["started_at"] is None,
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        backfilled_at=row["backfilled_at"],
        message=row["message"],
    )


def _counts_of(row: Mapping[str, Any] | None) -> Counts:
    if row is None:
        return Counts()
    return Counts(
        mirrored=row["mirrored"], left_out=row["left_out"], files_missing=row["files_missing"]
    )


def _attention_of(row: Mapping[str, Any]) -> Attention | None:
    if row["attention_reason"] is None:
        return None
    person = row["attention_mended_by"] or {}
    return Attention(
        reason=row["attention_reason"],
        message=row["attention_message"] or "Nothing is read from Procore until this is mended.",
        mended_by=person.get("name"),
        since=row["attention_since"],
    )


def seconds_left(standing: Standing) -> float | None:
    """Estimate how long the backfill still takes, or None while nothing can be said honestly.

    Records and files count alike: both cost about one call.
    """
    open_sweeps = [s for s in standing.sweeps.values() if s.backfilled_at is None]
    if any(s.started_at is None or s.still_listing for s in open_sweeps):
        return None
    started = [s.started_at for s in open_sweeps if s.started_at]
    if not started:
        return None
    total = sum(s.found + s.files_found for s in open_sweeps)
    done = sum(s.done + s.files_done for s in open_sweeps)
    elapsed_s = (standing.now - min(started)).total_seconds()
    if elapsed_s < ESTIMATE_AFTER_S or done < max(1, total * ESTIMATE_AFTER_SHARE):
        return None
    return max(0.0, (total - done) * elapsed_s / done)


def phase_words(sweep: Sweep) -> str:
    """Say what the backfill of one kind is doing."""
    nouns = f"{kind(sweep.kind)}s"
    if sweep.backfilled_at is not None:
        return (
            f"All {counted(sweep.found, kind(sweep.kind))} done"
            if sweep.found
            else (f"There are no {nouns} in Procore yet")
        )
    if sweep.started_at is None:
        return "Waiting to start"
    if sweep.still_listing:
        return f"Listing {nouns} in Procore: {sweep.found:,} found so far"
    # not "in Part3": what a list says is there from the first pass, and drafts never come
    return f"{sweep.done:,} of {sweep.found:,} done"


def files_words(sweep: Sweep) -> str:
    """Say how far the files of one kind are."""
    if sweep.files_found == 0:
        return "No files found yet" if sweep.backfilled_at is None else "No files"
    return f"{sweep.files_done:,} of {counted(sweep.files_found, 'file')} copied"


def time_left_words(standing: Standing) -> str:
    """Say how long it still takes; never a number that nothing supports."""
    if standing.backfilled:
        return "Done"
    seconds = seconds_left(standing)
    return "Working it out…" if seconds is None else f"{lasting(seconds).capitalize()} left"


def live_values(standing: Standing) -> dict[str, Any]:
    """Return what the stream sends: words by place, bars as (value, max), one sentence."""
    show = {"time_left": time_left_words(standing)}
    bars: dict[str, tuple[int, int]] = {}
    for name, sweep in standing.sweeps.items():
        show[f"{name}_phase"] = phase_words(sweep)
        show[f"{name}_files"] = files_words(sweep)
        bars[name] = bar_of(sweep)
    sentence = ". ".join(f"{kind(name)}s: {show[f'{name}_phase']}" for name in standing.sweeps)
    return {"show": show, "bars": bars, "sentence": f"{sentence}. {show['time_left']}."}


def bar_of(sweep: Sweep) -> tuple[int, int]:
    """Return (value, max) of a progress bar; max 0 while the length is not known."""
    if sweep.backfilled_at is not None:
        return (1, 1)
    if sweep.started_at is None or sweep.still_listing:
        return (0, 0)
    total = sweep.found + sweep.files_found
    return (min(sweep.done + sweep.files_done, total), total)
