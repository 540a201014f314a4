"""The time as PostgreSQL tells it: the same for every program, whatever a host's own clock says.

Tokens that live for a minute are checked and made by it, so a host that is a day off neither
refuses whoever is right nor believes what is long over.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from services.errors import TryLater

READ_EVERY_S = 30.0
MOST_SKEW_S = 5.0  # beyond it, the host's clock is worth a line in the log
READ_TIME = "SELECT extract(epoch FROM clock_timestamp())::float8"

log = structlog.get_logger()


class AsksTime(Protocol):
    """The database, as far as its clock is concerned."""

    async def fetchval(self, sql: str) -> float:
        """Return the one value that is asked for. Raises TryLater."""


class DatabaseClock:
    """Unix seconds by PostgreSQL's clock, carried on by this host's monotonic one between reads.

    Until PostgreSQL was asked once, it is the host's own clock.
    """

    def __init__(
        self,
        database: AsksTime,
        *,
        host_now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._host_now = host_now
        self._monotonic = monotonic
        self._ahead_s: float | None = None  # of the monotonic clock

    def __call__(self) -> float:
        """Return the present, Unix seconds."""
        if self._ahead_s is None:
            return self._host_now()
        return self._monotonic() + self._ahead_s

    async def read(self) -> None:
        """Ask PostgreSQL; half of the way there and back is taken as passed. Raises TryLater."""
        asked_at = self._monotonic()
        theirs = await self._database.fetchval(READ_TIME)
        ahead_s = theirs - (asked_at + self._monotonic()) / 2
        if self._ahead_s is None and abs(theirs - self._host_now()) > MOST_SKEW_S:
            log.warning("clock.off", by_s=round(self._host_now() - theirs))
        self._ahead_s = ahead_s

    async def keep(self, stopping: asyncio.Event) -> None:
        """Read again and again until told to stop; while PostgreSQL is away, time goes on."""
        while not stopping.is_set():
            try:
                await self.read()
            except TryLater as error:
                log.warning("clock.not_read", why=str(error))
            try:
                async with asyncio.timeout(READ_EVERY_S):
                    _ = await stopping.wait()
            except TimeoutError:
                continue
