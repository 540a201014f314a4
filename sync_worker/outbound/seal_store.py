"""Sealed answers in Postgres: sealed on delivery, compared at every look, and what was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from schemas.records import Kind, Person, Record
from schemas.returns import Receipt
from services.postgres import Queries, Row
from services.procore.models import ResponseOption, Rfi, Submittal, UserRef
from sync_worker.activity import note
from sync_worker.outbound.seals import Seal, attached_ids, changes_in, elsewhere, seal_of
from sync_worker.outbound.versions import has_answered, kind_of

SETTLED_S = 120.0
"""Reads may be as old as from before a delivery for about a minute; a difference counts after."""

READ_SENT = """
SELECT project_id, kind, procore_id, author_user_id, (
    SELECT response FROM mirror.write_intents w
    WHERE w.return_id = d.return_id AND w.response IS NOT NULL ORDER BY sent_at DESC LIMIT 1
) AS response
FROM mirror.deliveries d WHERE return_id = $1
"""
SEAL = """
INSERT INTO mirror.sealed_answers
    (return_id, project_id, kind, procore_id, remote_id, author_user_id, seal)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (return_id) DO NOTHING
"""
# Of several answers in one place (an approver was asked again) the last one stands there; while a
# later one is on its way, what stands there may already be that one.
READ_SEALS = """
SELECT s.return_id, s.seal, s.beside, s.changes, s.changed_at, s.changed_by, s.sealed_at,
  s.sealed_at < now() - make_interval(secs => $4) AS settled,
  d.author_name
FROM mirror.sealed_answers s JOIN mirror.deliveries d USING (return_id)
WHERE (s.project_id, s.kind, s.procore_id) = ($1, $2, $3)
  AND NOT EXISTS (
    SELECT 1 FROM mirror.sealed_answers later
    WHERE (later.project_id, later.kind, later.procore_id, later.remote_id)
        = (s.project_id, s.kind, s.procore_id, s.remote_id) AND later.sealed_at > s.sealed_at)
  AND NOT EXISTS (
    SELECT 1 FROM mirror.deliveries o
    WHERE (o.project_id, o.kind, o.procore_id, o.author_user_id)
        = (s.project_id, s.kind, s.procore_id, s.author_user_id)
      AND o.kind = 'submittal' AND o.return_id <> s.return_id AND o.created_at > s.sealed_at
      AND (o.state IN ('sending', 'waiting') OR o.remote_id = s.remote_id))
ORDER BY s.sealed_at, s.return_id
"""
SEEN_WHOLE = "UPDATE mirror.sealed_answers SET beside = $2 WHERE return_id = $1 AND beside IS NULL"
CHANGED = """
UPDATE mirror.sealed_answers SET changes = $2, changed_at = $3, changed_by = $4
WHERE return_id = $1
"""
CHANGED_BY = """
SELECT changed_by FROM mirror.looks WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
READ_ELSEWHERE = """
SELECT remote_id, words FROM mirror.answers_elsewhere
WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
NOTE_ELSEWHERE = """
INSERT INTO mirror.answers_elsewhere (project_id, kind, procore_id, remote_id, words)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING 1
"""
TEAM = "SELECT team_known FROM mirror.projects WHERE project_id = $1"
# whose returns have answered, or may just have: by then nobody else has answered for them
OURS = """
SELECT d.remote_id, d.author_user_id, d.remote_id IS NULL AND EXISTS (
    SELECT 1 FROM mirror.write_intents w
    WHERE w.return_id = d.return_id AND w.state IN ('sending', 'unknown', 'confirmed')
) AS may_be_there
FROM mirror.deliveries d WHERE (d.project_id, d.kind, d.procore_id) = ($1, $2, $3)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """How one sealed answer compares with what Procore holds now."""

    return_id: str
    author: str
    sealed_at: datetime
    changes: tuple[str, ...]
    at: datetime | None  # Procore's time of the state in which the changes were first seen
    by: str | None
    before: tuple[str, ...]  # the changes that were known

    @property
    def words(self) -> str:
        """Say it in one line, for the record and for the log."""
        by = f" by {self.by}" if self.by else ""
        when = f", seen on {self.at:%d %b %Y, %H:%M} UTC" if self.at else ""
        return f"{' '.join(self.changes)} (Changed in Procore{by}{when}.)"


@dataclass(frozen=True, slots=True)
class AfterReturn:
    """What became of a record's answers after they were returned."""

    found: tuple[Found, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def extras(self) -> dict[str, str]:
        """Return what Part3 shows beside the record's other fields."""
        shown = {}
        if changed := [one for one in self.found if one.changes]:
            told = (f"{one.author}'s answer: {one.words}" for one in changed)
            shown["Changed after it was returned"] = " ".join(told)
        if self.elsewhere:
            shown["Answered in Procore"] = " ".join(self.elsewhere.values())
        return shown


async def seal(queries: Queries, return_id: str, receipt: Receipt) -> None:
    """Seal a delivered answer, in the transaction that notes it. Once more is harmless."""
    sent = await queries.fetchrow(READ_SENT, return_id)
    if sent is None or sent["kind"] is None:
        return
    response = sent["response"]
    chosen = msgspec.convert(response, ResponseOption) if response else None
    sealed = seal_of(sent["kind"], receipt, chosen)
    await queries.execute(
        SEAL,
        return_id,
        sent["project_id"],
        sent["kind"],
        sent["procore_id"],
        sealed.remote_id,
        sent["author_user_id"],
        msgspec.to_builtins(sealed),
    )


async def compare(
    queries: Queries, project_id: str, source: Rfi | Submittal, before: Mapping[str, Any] | None
) -> AfterReturn:
    """Compare a record with the answers that were delivered to it.

    Args:
        queries: the workers' schema.
        project_id: Part3's.
        source: what Procore holds. A list's RFI has no replies: what is known of it stands.
        before: the record as it was last put into Part3.
    """
    key = (project_id, kind_of(source), source.id)
    rows = await queries.fetch(READ_SEALS, *key, SETTLED_S)
    by = await _changed_by(queries, key, source) if rows else None
    found = tuple([await _found(queries, row, source, by) for row in rows])
    return AfterReturn(found, await _elsewhere(queries, key, source, before))


async def _found(queries: Queries, row: Row, source: Rfi | Submittal, by: str | None) -> Found:
    sealed = msgspec.convert(row["seal"], Seal)
    known, at, known_by = tuple(row["changes"]), row["changed_at"], row["changed_by"]
    changes = known
    if not isinstance(source, Rfi) or source.answers is not None:
        changes = changes_in(sealed, source, row["beside"])
        if row["beside"] is None and not changes:
            await queries.execute(SEEN_WHOLE, row["return_id"], list(attached_ids(sealed, source)))
        elif row["beside"] is None and not row["settled"]:
            changes = known  # perhaps a read from before it arrived
    if changes != known:
        at, known_by = (source.updated_at, by) if changes else (None, None)
    return Found(
        row["return_id"], row["author_name"], row["sealed_at"], changes, at, known_by, known
    )


async def _changed_by(
    queries: Queries, key: tuple[str, Kind, str], source: Rfi | Submittal
) -> str | None:
    """Name whom the newest notice names, if the record does."""
    user_id = await queries.fetchval(CHANGED_BY, *key)
    return next((one.name for one in _people_of(source) if one.id == user_id), None)


def _people_of(source: Rfi | Submittal) -> list[UserRef]:
    people = [*source.ball_in_court, *source.distribution]
    people += [source.manager] if source.manager else []
    match source:
        case Rfi():
            people += [one.user for one in source.assignees]
        case Submittal():
            people += [one.user for one in source.approvers]
    return people


async def _elsewhere(
    queries: Queries,
    key: tuple[str, Kind, str],
    source: Rfi | Submittal,
    before: Mapping[str, Any] | None,
) -> dict[str, str]:
    if not isinstance(source, Submittal):
        return {}  # an RFI takes many replies, each under its author's name
    rows = await queries.fetch(READ_ELSEWHERE, *key)
    answered = {row.id for row in source.approvers if has_answered(row)}
    known = {row["remote_id"]: row["words"] for row in rows if row["remote_id"] in answered}
    waiting = _open_rows(before)
    if not waiting & answered:
        return known
    team = _team(await queries.fetchval(TEAM, key[0]))
    deliveries = await queries.fetch(OURS, *key)
    ours = {one["remote_id"] for one in deliveries}
    on_their_way = {one["author_user_id"] for one in deliveries if one["may_be_there"]}
    people = {procore_id for user_id, procore_id in team.items() if user_id not in on_their_way}
    return known | elsewhere(source, waiting, people, ours)


def _open_rows(before: Mapping[str, Any] | None) -> set[str]:
    """Return the rows that owed an answer when the record was last put."""
    steps = (before or {}).get("workflow") or ()
    owed = (None, "pending", "forwarded")
    return {
        step["procore_id"]
        for step in steps
        if step.get("disposition") in owed and not step.get("responded_at")
    }


def _team(known: str | None) -> dict[str, str]:
    """Return Part3 user id to Procore id, of those who authorized."""
    mates = msgspec.json.decode(known) if known else []
    return {
        mate["member"]["user_id"]: mate["procore_id"] for mate in mates if mate.get("procore_id")
    }


async def note_after_return(
    queries: Queries, project_id: str, record: Record, after: AfterReturn
) -> None:
    """Keep and tell what is new, in the transaction of the put."""
    for one in after.found:
        if one.changes == one.before:
            continue
        await queries.execute(CHANGED, one.return_id, list(one.changes), one.at, one.by)
        event, words = "answer.restored", "is again as it arrived in Procore."
        if one.changes:
            event = "answer.changed"
            words = (
                f"is not as it arrived any more. {one.words} Nothing is written back; what was "
                "returned is kept with its receipt."
            )
        await note(
            queries,
            project_id,
            event,
            f"{one.author}'s answer {words}",
            record=record,
            return_id=one.return_id,
            person=Person(name=one.by) if one.by else None,
            detail={"changes": list(one.changes)},
        )
    for remote_id, words in after.elsewhere.items():
        key = (project_id, record.kind, record.procore_id)
        if await queries.fetchval(NOTE_ELSEWHERE, *key, remote_id, words):
            await note(queries, project_id, "answer.elsewhere", words, record=record)
