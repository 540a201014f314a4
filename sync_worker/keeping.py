"""Leases and claims that last as long as the work under them, however long that takes."""

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
