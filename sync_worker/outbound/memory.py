"""What the mirror remembers that a delivery needs: the connection, what was seen, what is ours."""

from typing import Protocol

import msgspec

from schemas.connections import ProjectOptions
from schemas.records import Kind, Person
from schemas.returns import Return
from services.postgres import Postgres
from services.procore.models import Place
from sync_worker.outbound.marker import install_key
from sync_worker.outbound.versions import SeenVersion, seen_version

CONNECTION = """
SELECT state, procore_company_id, procore_project_id, reader_user_id, attention_reason,
       attention_message, attention_mended_by, options
FROM mirror.projects WHERE project_id = $1
"""
OURS = """
SELECT remote_id FROM mirror.deliveries
WHERE (project_id, kind, procore_id) = ($1, $2, $3) AND remote_id IS NOT NULL
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

    async def app_missing(self, project_id: str, words: str) -> None:
        """Note it where the probe looks, which then tells when it is there again."""
        await self._postgres.execute(APP_MISSING, project_id, words)

    async def install_key(self) -> bytes:
        """Return the key of the markers."""
        if self._install_key is None:
            self._install_key = await install_key(self._postgres)
        return self._install_key


def words_for(kind: Kind, number: str) -> str:
    """Return `RFI A-014`, or `this RFI` without a number."""
    return f"{KIND_WORDS[kind]} {number}" if number else f"this {KIND_WORDS[kind]}"
