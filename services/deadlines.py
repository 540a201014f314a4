"""Many waits of one length, watched by one timer.

`asyncio.timeout` costs a timer each; where thousands of waits begin a second and nearly all end in
time, that is most of their cost.
"""

import asyncio
from collections import deque
from types import TracebackType


class Deadlines:
    """Hands out watches that all last equally long."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._running: deque[Watch] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> "Watch":
        """Return a context manager that raises TimeoutError when its block lasts too long."""
        return Watch(self)

    def begin(self, watch: "Watch", loop: asyncio.AbstractEventLoop) -> float:
        """Note a watch; return when it ends, in the loop's time."""
        ends_at = loop.time() + self._timeout_s
        self._running.append(watch)
        if self._timer is None:
            self._timer = loop.call_at(ends_at, self._sweep, loop)
        return ends_at

    def forget_finished(self) -> None:
        """Drop watches whose block has ended, oldest first."""
        while self._running and self._running[0].finished:
            self._running.popleft()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._running and (self._running[0].finished or self._running[0].ends_at <= now):
            self._running.popleft().expire()
        if self._running:
            self._timer = loop.call_at(self._running[0].ends_at, self._sweep, loop)


class Watch:
    """The time limit of one block; it cancels the block's task, as `asyncio.timeout` does."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_task", "ends_at", "finished")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._expired = False
        self.finished = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a deadline is for the code of a task")
        self._task = task
        self._cancelling = task.cancelling()
        self.ends_at = self._deadlines.begin(self, loop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.finished = True
        self._deadlines.forget_finished()
        if not self._expired:
            return
        ours = self._task.uncancel() <= self._cancelling  # nobody else cancels the task too
        if ours and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """End the block, unless it has ended."""
        if not self.finished:
            self._expired = True
            self._task.cancel()
