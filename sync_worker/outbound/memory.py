"""What the mirror remembers that a delivery needs: the connection, what was seen, what is ours."""

from datetime import datetime
from typing import Protocol

import msgspec

from schemas.connections import ProjectOptions
from schemas.records import Kind, Person
from schemas.returns import Return
from services.pauses import Pause, read_pause
from services.postgres import Postgres
from services.procore.models import Place
from sync_worker.inbound.rounds import Rounds
from sync_worker.outbound.breaker import WRITES_WITHIN_MIN
from sync_worker.outbound.marker import install_key
from sync_worker.outbound.versions import SeenVersion, seen_version

CONNECTION = """
SELECT state, procore_company_id, procore_project_id, reader_user_id, attention_reason,
       attention_message, attention_mended_by, options, to_procore_paused
FROM mirror.projects WHERE project_id = $1
"""
OURS = """
SELECT remote_id FROM mirror.deliveries
WHERE (project_id, kind, procore_id) = ($1, $2, $3) AND remote_id IS NOT NULL
"""
EARLIER = """
SELECT s.remote_id, s.sealed_at, w.marker FROM mirror.sealed_answers s
JOIN mirror.write_intents w USING (return_id)
WHERE (s.project_id, s.kind, s.procore_id, s.author_user_id) = ($1, 'rfi', $2, $3)
  AND s.return_id <> $4 AND w.remote_id = s.remote_id
ORDER BY s.sealed_at DESC, s.return_id LIMIT 1
"""
# every send counts, those of unknown outcome too; what a person took back before it went does not
WRITES_LATELY = """
SELECT coalesce(sum(w.sends), 0) FROM mirror.write_intents w
JOIN mirror.deliveries d USING (return_id)
WHERE (d.project_id, d.kind, d.procore_id) = ($1, $2, $3)
  AND w.sent_at > now() - make_interval(mins => $4)
"""
ROUNDS = """
SELECT rounds FROM mirror.records WHERE (project_id, kind, procore_id) = ($1, 'rfi', $2)
"""
NEWER = """
SELECT kind, number, record->>'revision' AS revision FROM mirror.records
WHERE (project_id, kind) = ($1, $2) AND record->>'previous_revision' = $3
ORDER BY mirrored_at DESC LIMIT 1
"""
RECORD_WORDS = """
SELECT number, title FROM mirror.records WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
APP_MISSING = """
UPDATE mirror.projects SET attention_reason = 'app_not_installed', attention_message = $2,
    attention_since = now(), probe_after = now()
WHERE project_id = $1 AND attention_reason IS NULL
"""
KIND_WORDS = {"rfi": "RFI", "submittal": "Submittal"}


class Tie(msgspec.Struct, frozen=True, kw_only=True):
    """A project's connection as the workers last heard of it."""

    state: str  # active, paused, disconnected
    place: Place
    reader_user_id: str  # whose grant reads
    attention_reason: str | None = None
    attention_message: str | None = None
    attention_mended_by: Person | None = None
    options: ProjectOptions = ProjectOptions()
    paused: Pause | None = None  # by the operators, towards Procore


class Memory(Protocol):
    """What the mirror remembers."""

    async def tie(self, project_id: str) -> Tie | None:
        """Return a project's connection, or None when the workers have not heard of it."""

    async def seen(self, answer: Return) -> SeenVersion | None:
        """Return what the version said that a return answers."""

    async def ours(self, answer: Return) -> frozenset[str]:
        """Return the ids of what earlier returns of that record became in Procore."""

    async def record_words(self, answer: Return) -> str:
        """Name the record as people do, as far as it is known without asking Procore."""

    async def newer_revision(self, answer: Return) -> str | None:
        """Name the revision that took the record's place, or None when none is known."""

    async def corrected(self, answer: Return) -> str | None:
        """Name the author's earlier reply that this return corrects, or None.

        It does where its author read a thread that ends with that very reply: nobody has said
        anything since, so nobody asked for a further one. A reply of an earlier round is corrected
        by nothing: closed and reopened, the RFI asks anew, also without a word.
        """

    async def writes_lately(self, answer: Return) -> int:
        """Return how often the record was written to in the last `WRITES_WITHIN_MIN`."""

    async def app_missing(self, project_id: str, words: str) -> None:
        """Note that the company has no such app, so that no further call is spent on it."""

    async def install_key(self) -> bytes:
        """Return the key of the markers."""


class PostgresMemory:
    """`Memory` in Postgres."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._install_key: bytes | None = None

    async def tie(self, project_id: str) -> Tie | None:
        """Return a project's connection, or None when the workers have not heard of it."""
        row = await self._postgres.fetchrow(CONNECTION, project_id)
        if row is None:
            return None
        mended_by = row["attention_mended_by"]
        return Tie(
            state=row["state"],
            place=Place(company_id=row["procore_company_id"], project_id=row["procore_project_id"]),
            reader_user_id=row["reader_user_id"],
            attention_reason=row["attention_reason"],
            attention_message=row["attention_message"],
            attention_mended_by=msgspec.convert(mended_by, Person) if mended_by else None,
            options=msgspec.convert(row["options"], ProjectOptions),
            paused=read_pause(row["to_procore_paused"]),
        )

    async def seen(self, answer: Return) -> SeenVersion | None:
        """Return what the version said that a return answers."""
        return await seen_version(
            self._postgres,
            answer.project_id,
            answer.kind,
            answer.procore_id,
            answer.seen_content_version,
        )

    async def ours(self, answer: Return) -> frozenset[str]:
        """Return the ids of what earlier returns of that record became in Procore."""
        rows = await self._postgres.fetch(OURS, answer.project_id, answer.kind, answer.procore_id)
        return frozenset(row["remote_id"] for row in rows)

    async def record_words(self, answer: Return) -> str:
        """Name the record as people do, as far as it is known without asking Procore."""
        row = await self._postgres.fetchrow(
            RECORD_WORDS, answer.project_id, answer.kind, answer.procore_id
        )
        return words_for(answer.kind, row["number"] or row["title"] if row else "")

    async def newer_revision(self, answer: Return) -> str | None:
        """Name the revision that took the record's place, or None when none is known."""
        row = await self._postgres.fetchrow(
            NEWER, answer.project_id, answer.kind, answer.procore_id
        )
        if row is None:
            return None
        return f"{words_for(row['kind'], row['number'])} revision {row['revision'] or '0'}"

    async def corrected(self, answer: Return) -> str | None:
        """Name the author's earlier reply that this return corrects, or None."""
        if answer.kind != "rfi":
            return None  # a response is changed by the general contractor alone
        row = await self._postgres.fetchrow(
            EARLIER, answer.project_id, answer.procore_id, answer.author.user_id, answer.id
        )
        seen = await self.seen(answer) if row is not None else None
        if row is None or not corrects(row["remote_id"], seen):
            return None
        rounds = await self._postgres.fetchval(ROUNDS, answer.project_id, answer.procore_id)
        if is_of_an_earlier_round(row["remote_id"], msgspec.convert(rounds or [], Rounds)):
            return None
        return earlier_words(row["marker"], row["sealed_at"])

    async def writes_lately(self, answer: Return) -> int:
        """Return how often the record was written to in the last `WRITES_WITHIN_MIN`."""
        named = (answer.project_id, answer.kind, answer.procore_id)
        return int(await self._postgres.fetchval(WRITES_LATELY, *named, WRITES_WITHIN_MIN))

    async def app_missing(self, project_id: str, words: str) -> None:
        """Note it where the probe looks, which then tells when it is there again."""
        await self._postgres.execute(APP_MISSING, project_id, words)

    async def install_key(self) -> bytes:
        """Return the key of the markers."""
        if self._install_key is None:
            self._install_key = await install_key(self._postgres)
        return self._install_key


def corrects(earlier_id: str, seen: SeenVersion | None) -> bool:
    """Tell whether whoever read that version, and replied before, corrects their reply."""
    if seen is None:
        return False
    if earlier_id not in seen.answered:
        return True  # they wrote both upon the same words
    return seen.answered[-1] == earlier_id


def is_of_an_earlier_round(reply_id: str, rounds: Rounds) -> bool:
    """Tell whether a reply was there before the present round of its RFI began."""
    return bool(rounds) and reply_id in rounds[-1].before


def earlier_words(marker: str, sealed_at: datetime) -> str:
    """Name an earlier reply, without the `P3-` by which alone an answer itself is found."""
    return f"ref. {marker.removeprefix('P3-')} of {sealed_at.day} {sealed_at:%B %Y}"


def words_for(kind: Kind, number: str) -> str:
    """Return `RFI A-014`, or `this RFI` without a number."""
    return f"{KIND_WORDS[kind]} {number}" if number else f"this {KIND_WORDS[kind]}"
