"""Leases and claims that last as long as the work under them, and not much longer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from services.errors import TryLater

log = structlog.get_logger()


@asynccontextmanager
async def renewed(renew: Callable[[], Awaitable[object]], *, every_s: float) -> AsyncIterator[None]:
    """Call `renew` every so often while the block works.

    A lease that is lost nevertheless does not stop the work: whatever it writes is fenced.
    """

    async def go_on() -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                _ = await renew()
            except TryLater as error:
                log.warning("lease.not_renewed", why=str(error))

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        _ = task.cancel()
        _ = await asyncio.wait({task})
    if not task.cancelled() and (fault := task.exception()) is not None:
        raise fault


class Owed:
    """Claims and leases that could not be given back while Postgres was away.

    Whoever holds them is alive and idle, so what they keep from being worked on would wait until
    they lapse, minutes after the outage. They are given back as soon as Postgres answers; each is
    fenced, so one that another worker has by then stays with it.
    """

    def __init__(self) -> None:
        self._owed: list[Callable[[], Awaitable[object]]] = []

    def add(self, give_back: Callable[[], Awaitable[object]]) -> None:
        """Have something given back later."""
        self._owed.append(give_back)

    async def pay(self) -> None:
        """Give back all of it. Raises TryLater while Postgres is away; the rest stays owed."""
        while self._owed:
            _ = await self._owed[0]()
            _ = self._owed.pop(0)
