"""Who got which token when, who consented, connected and disconnected: written once, never changed.

A token is handed out only after its line is committed. Lines that come at the same time are
committed together, so that this costs no round trip a token.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.errors import ConnectorError, TryLater
from services.postgres import Postgres, Queries

WRITE_ENTRY = """
INSERT INTO authority.audit (event, actor, user_id, project_id, detail)
VALUES ($1, $2, $3, $4, $5)
"""
MOST_AT_ONCE = 200
WRITE_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: what happened, by whom, about whom. `detail` never holds a token."""

    event: str
    actor: str
    user_id: str | None = None
    project_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> tuple[Any, ...]:
        """The columns, in the order of `WRITE_ENTRY`."""
        return (self.event, self.actor, self.user_id, self.project_id, dict(self.detail))


async def write_entry(database: Queries, entry: Entry) -> None:
    """Write a line, alone or in the transaction of what it speaks of. Raises TryLater."""
    await database.execute(WRITE_ENTRY, *entry.values)


class Audit:
    """Writes lines in the order they come, several in one commit."""

    def __init__(self, database: Postgres) -> None:
        self._database = database
        self._waiting: list[tuple[Entry, asyncio.Future[ConnectorError | None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, entry: Entry) -> None:
        """Return once the line is committed. Raises TryLater when Postgres is away."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting(), name="audit")
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                fault = await written
        except TimeoutError as error:
            message = "the audit line could not be written in time"
            raise TryLater(message, reason="postgres_down") from error
        if fault is not None:
            raise fault

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            fault = await self._try_to_write([entry for entry, _ in batch])
            for _, written in batch:
                if not written.done():
                    written.set_result(fault)

    async def _try_to_write(self, entries: Sequence[Entry]) -> ConnectorError | None:
        try:
            await self._database.executemany(WRITE_ENTRY, [entry.values for entry in entries])
        except ConnectorError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear it
            return TryLater(
                f"the audit line could not be written ({type(error).__name__})",
                reason="postgres_down",
            )
        return None
