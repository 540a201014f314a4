"""Processes that die without a word, stand still, and come back; and their way to Postgres."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.errors import TryLater
from services.postgres import Postgres, Queries
from simulation.counting import History
from simulation.database import Database, Row
from simulation.faults import Faults
from simulation.loop import VirtualLoop

PAUSES_S = (2.0, 8.0, 50.0, 130.0)
"""How long processes stand still: less than a lease lasts, and more."""


class ProcessDied(BaseException):
    """Raised where a dead process would go on. No handler of an error catches it."""


class Process:
    """One life of a program. Once it is dead nothing that still unwinds in it has any effect."""

    def __init__(self, name: str, loop: VirtualLoop, history: History) -> None:
        self.name = name
        self.alive = True
        self.paused_until_s = 0.0
        self.died = asyncio.Event()
        self.replaced = asyncio.Event()
        self.on_pause: Callable[[Process, float], None] = lambda *_: None
        self._loop = loop
        self._history = history

    def die(self, why: str) -> None:
        """Kill it: as kill -9, without a finally that does anything."""
        if not self.alive:
            return
        self.alive = False
        self._history.tell(self.name, "dies", at=why)
        kind = "worker killed" if self.name.startswith("worker") else "token service killed"
        self._history.count(kind)
        self.died.set()
        for task in self._loop.tasks_of(self):
            task.cancel()

    def stand_still(self, seconds: float) -> None:
        """Stop it, as SIGSTOP does: nothing of it happens until then, and it does not notice."""
        self.paused_until_s = max(self.paused_until_s, self._loop.now_s + seconds)
        self._history.tell(self.name, "stands still", for_s=seconds)
        self.on_pause(self, seconds)

    async def gate(self) -> None:
        """Stand where a process meets the outside: dead it does not pass, and stopped it waits."""
        if not self.alive:
            raise ProcessDied
        while self._loop.now_s < self.paused_until_s:
            await asyncio.sleep(self.paused_until_s - self._loop.now_s)
            if not self.alive:
                raise ProcessDied

    def check(self) -> None:
        """Raise ProcessDied if it has died since."""
        if not self.alive:
            raise ProcessDied


def postgres_away() -> TryLater:
    """Return what the pool raises when the server goes away."""
    return TryLater("Postgres did not answer; it is tried again", reason="postgres_down")


class ProcessPostgres(Postgres):
    """A process's pool on the database: each statement may be lost, or its answer, or the process.

    A transaction runs at once, as no program waits for the outside in one; what others do meanwhile
    they do before or after it.
    """

    def __init__(
        self, database: Database, process: Process, faults: Faults, history: History
    ) -> None:
        self._database = database
        self._process = process
        self._faults = faults
        self._history = history

    async def execute(self, sql: str, *args: Any) -> None:
        """Run a statement."""
        await self._run(sql, (args,))

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once a row, atomically."""
        await self._run(sql, rows)

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Return all rows."""
        return await self._run(sql, (args,))

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        """Return the first row, or None."""
        rows = await self._run(sql, (args,))
        return rows[0] if rows else None

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""
        rows = await self._run(sql, (args,))
        return next(iter(rows[0].values())) if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Queries]:
        """Run what is inside in one transaction."""
        fate = await self._before("transaction")
        self._database.begin()
        try:
            yield _Transaction(self._database, self._faults, fails=fate == "lost")
        except BaseException:
            self._history.count("transaction rolled back")
            self._database.rollback()
            raise
        self._database.commit()
        await self._after(fate)

    async def _run(self, sql: str, many: Sequence[Sequence[Any]]) -> list[Row]:
        fate = await self._before(sql)
        if fate == "lost":
            raise postgres_away()
        database = self._database
        rows: list[Row] = []
        database.begin()
        try:
            for args in many:
                rows = database.run(sql, args)
        except BaseException:
            database.rollback()
            raise
        database.commit()
        if fate is not None:
            await self._after(fate)
        return rows

    async def _before(self, sql: str) -> str | None:
        """Return what becomes of a statement: lost, answer_lost, die_after, or None."""
        process, faults = self._process, self._faults
        if not process.alive or process.paused_until_s:
            await process.gate()
        if self._database.is_down:
            await asyncio.sleep(0.01)
            process.check()
            raise postgres_away()
        if faults.any_statement == 0.0:
            return None
        roll, rates = faults.random.random(), faults.rates
        if roll >= faults.any_statement:
            return None
        if roll < rates.statement_slow:
            await asyncio.sleep(faults.between(0.001, 0.5))
            await process.gate()
            return None
        roll -= rates.statement_slow
        if roll < rates.statement_pause:
            process.stand_still(faults.random.choice(PAUSES_S))
            await process.gate()
            return None
        roll -= rates.statement_pause
        if roll < rates.statement_lost:
            return "lost"
        roll -= rates.statement_lost
        if roll < rates.commit_lost:
            return "answer_lost"
        if faults.chance(0.5):
            process.die(f"before {' '.join(sql.split())[:50]}")
            raise ProcessDied
        return "die_after"

    async def _after(self, fate: str | None) -> None:
        if fate == "die_after":
            self._process.die("after a commit")
            raise ProcessDied
        if fate == "answer_lost":
            self._history.count("commit without an answer")
            raise postgres_away()


class _Transaction:
    """`Queries` inside a transaction."""

    def __init__(self, database: Database, faults: Faults, *, fails: bool) -> None:
        self._database = database
        self._left = faults.random.randrange(4) if fails else None

    def _run(self, sql: str, args: Sequence[Any]) -> list[Row]:
        if self._left is not None:
            if self._left == 0:
                raise postgres_away()
            self._left -= 1
        return self._database.run(sql, args)

    async def execute(self, sql: str, *args: Any) -> None:
        self._run(sql, args)

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        for args in rows:
            self._run(sql, args)

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return self._run(sql, args)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        rows = self._run(sql, args)
        return rows[0] if rows else None

    async def fetchval(self, sql: str, *args: Any) -> Any:
        rows = self._run(sql, args)
        return next(iter(rows[0].values())) if rows else None
