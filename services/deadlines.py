"""Many waits of one length, watched by one timer.

`asyncio.timeout` costs a timer each and cancels the task that waits; where thousands of waits begin
a second and nearly all end in time, that is most of their cost.
"""

import asyncio
from collections import deque


class Deadlines:
    """Fails futures that nobody fulfilled in time; all have equally long."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._running: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, future: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> None:
        """Fail the future with TimeoutError unless it is done in time."""
        running = self._running
        while running and running[0][1].done():
            running.popleft()
        ends_at = loop.time() + self._timeout_s
        running.append((ends_at, future))
        if self._timer is None:
            self._timer = loop.call_at(ends_at, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        running, now = self._running, loop.time()
        while running and (running[0][1].done() or running[0][0] <= now):
            _, future = running.popleft()
            if not future.done():
                future.set_exception(TimeoutError())
        if running:
            self._timer = loop.call_at(running[0][0], self._sweep, loop)
