"""An event loop whose time is made: it jumps to the next timer, and opens no socket or thread."""

import asyncio
from asyncio import base_events
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVarTuple

Args = TypeVarTuple("Args")

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
TICK_S = 1e-6
"""No timer rings sooner: what is added to a time has to change it, whatever is rounded."""

MOST_ROUNDS_AT_ONCE = 100_000
"""Rounds of the loop without a moment passing; the busiest moments of histories take hundreds."""

OWNER: ContextVar[object | None] = ContextVar("OWNER", default=None)
"""The process in whose name a task runs; tasks inherit it from the task that made them."""


class NothingWillHappen(RuntimeError):  # noqa: N818 - says what happens
    """Every task waits, and no timer is left that could wake one."""


class TimeStandsStill(RuntimeError):  # noqa: N818 - says what happens
    """The programs do something for ever, and wait for nothing."""


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set depends on when it was made, and not on where it lies in memory.

    asyncio keeps tasks in sets and goes through them, e.g. to cancel a group.
    """

    def __init__(
        self, number: int, coroutine: Any, *, loop: asyncio.AbstractEventLoop, **more: Any
    ) -> None:
        self.number = number
        context = more.get("context")
        self.owner = OWNER.get() if context is None else context.get(OWNER)
        super().__init__(coroutine, loop=loop, **more)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class _NoSockets:
    """Stands where the loop waits for sockets: waiting is what moves time."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop
        self._rounds = 0

    def select(self, timeout_s: float | None) -> list[Any]:
        if timeout_s is None:
            raise NothingWillHappen
        self._rounds = self._rounds + 1 if timeout_s <= 0 else 0
        if self._rounds > MOST_ROUNDS_AT_ONCE:
            self._rounds = 0
            raise TimeStandsStill
        self._loop.now_s += max(timeout_s, 0.0)
        return []


class VirtualLoop(base_events.BaseEventLoop):
    """Runs one history. What would run in a thread runs at once, as threads have no seed."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._moment = (0.0, START)
        self._selector = _NoSockets(self)
        self._clock_resolution = TICK_S / 1_000
        self._numbers = count()
        self._tasks: list[NumberedTask] = []  # a history has some hundred
        self.set_task_factory(self._numbered)
        self.set_exception_handler(lambda _loop, _context: None)

    def _numbered(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **more: Any,
    ) -> asyncio.Task[Any]:
        task = NumberedTask(next(self._numbers), coroutine, loop=loop, **more)
        self._tasks.append(task)
        return task

    def time(self) -> float:
        """Return seconds since the history began."""
        return self.now_s

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call it then, and a tick later at the earliest."""
        return super().call_at(max(when, self.now_s + TICK_S), callback, *args, context=context)

    def now(self) -> datetime:
        """Return the moment of the history, aware UTC."""
        at_s, moment = self._moment
        if at_s != self.now_s:  # it is asked for at each statement, and moves seldom
            moment = START + timedelta(seconds=self.now_s)
            self._moment = (self.now_s, moment)
        return moment

    def run_in_executor(  # type: ignore[override] # nothing here needs an executor
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Call it now."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is its caller's
            future.set_exception(error)
        return future

    def tasks_left(self) -> list[NumberedTask]:
        """Return the tasks that are not done, oldest first.

        `asyncio.all_tasks` goes through those of earlier histories too, until they are collected.
        """
        return [task for task in self._tasks if not task.done()]

    def tasks_of(self, owner: object) -> list[NumberedTask]:
        """Return those that run in somebody's name, oldest first."""
        return [task for task in self.tasks_left() if task.owner is owner]

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
