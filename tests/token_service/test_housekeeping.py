"""What the token service does unasked, each duty at its own pace."""

import asyncio

from services.errors import TryLater
from token_service.housekeeping import Duty, keep_at

PATIENCE_S = 10.0


class Counted:
    """A duty that says when it has been done three times, and fails the first two."""

    def __init__(self) -> None:
        self.times = 0
        self.done = asyncio.Event()

    async def do(self) -> None:
        self.times += 1
        if self.times == 1:
            raise TryLater("away", reason="postgres_down")
        if self.times == 2:
            raise ValueError("broken")
        self.done.set()


async def test_a_slow_duty_keeps_no_other_from_its_time() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    quick = Counted()
    running = asyncio.create_task(
        keep_at((Duty("slow", 0.0, hang), Duty("quick", 0.0, quick.do), Duty("slow", 0.0, hang)))
    )
    async with asyncio.timeout(PATIENCE_S):
        await quick.done.wait()
    running.cancel()
    _ = await asyncio.wait([running])
    assert running.cancelled()
