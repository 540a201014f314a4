"""Manners towards Procore, one pacer a grant: what the rate headers say, and who goes first.

Procore counts in two windows (10 s and an hour) and its headers describe whichever is nearer to its
end. No number is promised, so nothing is assumed: only what the headers say, and between a 429 and
its reset nothing is sent at all.
"""

import asyncio
import heapq
import itertools
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum

from services.errors import TryLater
from services.procore.waiting import SHORTEST_S, seconds_to_wait, seconds_until_reset
from services.waits import charging

TOO_MANY_REQUESTS = 429
AT_ONCE = 2
"""Calls of one grant under way; a return has a third place of its own."""

LONGEST_PATIENCE_S = 5.0
"""A wait beyond this is not sat out, unless said otherwise: the work goes back with a due time."""

TIMER_SLACK_S = 0.01
LONGEST_BACK_OFF_S = 120.0

RESERVE_SHARE = 0.2
"""Below this share of the window, sweeps and backfills leave the rest to people's work."""


class Priority(IntEnum):
    """What goes first when calls have to wait."""

    RETURN = 0
    PAGE = RETURN  # somebody waits before a browser
    LOOK = 1
    SWEEP = 2
    BACKFILL = 3


@dataclass(order=True, slots=True)
class _Waiting:
    priority: Priority
    place: int
    go: asyncio.Future[bool] = field(compare=False)  # False: told to come back later


class Pacer:
    """The turns of one grant."""

    def __init__(
        self,
        *,
        patience_s: float = LONGEST_PATIENCE_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._patience_s = patience_s
        self._now = now
        self._places = itertools.count()
        self._queue: list[_Waiting] = []
        self._under_way = 0
        self._returns_under_way = 0
        self._closed_until = 0.0  # Unix seconds: nobody goes before
        self._reserved_until = 0.0  # Unix seconds: only returns and looks go before
        self._refusals = 0  # 429s in a row
        self._timer: asyncio.TimerHandle | None = None
        self._left = math.inf  # calls the window still takes, those under way subtracted
        self._left_until = math.inf  # Unix seconds: that window ends

    @asynccontextmanager
    async def turn(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for one's turn and hold it.

        Raises:
            TryLater: `rate_limited`, with the time from which it is sensible to come again.
        """
        self._refuse_long_waits(priority)
        with charging("rate_limit" if self.keeps_back(priority) else "queue"):
            await self._wait(priority)
        try:
            yield
        finally:
            self._leave(priority)

    def note(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer's status and headers."""
        remaining, limit = number_in(headers, "remaining"), number_in(headers, "limit")
        ends_in_s = seconds_until_reset(headers, now=self._now)
        if remaining is not None:
            # what else is under way may not be counted in it yet
            self._left = remaining - max(self._under_way - 1, 0)
            self._left_until = math.inf if ends_in_s is None else self._now() + ends_in_s
        if status == TOO_MANY_REQUESTS:
            wait_s = seconds_to_wait(headers, now=self._now) or self._back_off_s()
            self._refusals += 1
            self._closed_until = max(self._closed_until, self._now() + wait_s)
            return
        self._refusals = 0
        if remaining is not None and ends_in_s is not None and ends_in_s > 0:
            until = self._now() + min(ends_in_s, 3_600)
            if remaining < 1:
                self._closed_until = max(self._closed_until, until)
            elif limit and remaining <= limit * RESERVE_SHARE:
                self._reserved_until = max(self._reserved_until, until)

    def learn(self, wait_s: float, priority: Priority) -> None:
        """Keep calls of this priority back for so long, as another worker was told to."""
        until = self._now() + wait_s
        if priority >= Priority.SWEEP:
            self._reserved_until = max(self._reserved_until, until)
        else:
            self._closed_until = max(self._closed_until, until)

    def _back_off_s(self) -> float:
        """Seconds to wait after a 429 that names no time: twice as long each time in a row."""
        chance = random.random()  # noqa: S311 - spreads the replicas, guards nothing
        return min(SHORTEST_S * 2.0**self._refusals, LONGEST_BACK_OFF_S) * (1 + chance / 4)

    @property
    def budget_left(self) -> float:
        """Calls that the window still takes by what the headers last said; infinite if unknown.

        It is unknown again once that window is over: answers of an outage carry no such headers.
        """
        return math.inf if self._now() >= self._left_until else self._left

    @property
    def closed_s(self) -> float:
        """Seconds for which nobody may call; 0 when they may."""
        return max(0.0, self._closed_until - self._now())

    def keeps_back(self, priority: Priority) -> bool:
        """Tell whether it is Procore's limit that a call of this priority would wait for."""
        return self.opens_at(priority) > self._now() or self.budget_left < 1

    def opens_at(self, priority: Priority) -> float:
        """Return the Unix time from which a call of this priority may go."""
        reserved = self._reserved_until if priority >= Priority.SWEEP else 0.0
        return max(self._closed_until, reserved)

    def _refuse_long_waits(self, priority: Priority) -> None:
        opens_at = self.opens_at(priority)
        if opens_at - self._now() > self._patience_s:
            raise rate_limited(opens_at)

    async def _wait(self, priority: Priority) -> None:
        go = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, _Waiting(priority, next(self._places), go))
        self._admit()
        try:
            admitted = await go
        except asyncio.CancelledError:
            if go.done() and not go.cancelled() and go.result():
                self._leave(priority)
            raise
        if not admitted:
            raise rate_limited(self.opens_at(priority))

    def _leave(self, priority: Priority) -> None:
        self._under_way -= 1
        self._returns_under_way -= priority is Priority.RETURN
        self._admit()

    def _admit(self) -> None:
        """Let in whoever may go now, the most urgent first; turn away who would wait too long."""
        kept: list[_Waiting] = []
        while self._queue:
            first = heapq.heappop(self._queue)
            late_s = self.opens_at(first.priority) - self._now()
            if first.go.done():
                continue
            if late_s > self._patience_s:
                first.go.set_result(False)
            elif late_s > 0:
                kept.append(first)
                self._come_back_in(late_s)
            elif self._under_way < self._room_for(first.priority):
                self._under_way += 1
                self._left -= 1
                self._returns_under_way += first.priority is Priority.RETURN
                first.go.set_result(True)
            else:
                kept.append(first)
        self._queue = kept
        heapq.heapify(self._queue)

    def _room_for(self, priority: Priority) -> int:
        if self.budget_left < 1:
            return 1  # the answer under way says what the window still takes
        alone = priority is Priority.RETURN and self._returns_under_way == 0
        return AT_ONCE + 1 if alone else AT_ONCE

    def _come_back_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds + TIMER_SLACK_S, self._admit)


def rate_limited(opens_at: float) -> TryLater:
    """Return the error that says from when Procore takes calls again."""
    at = datetime.fromtimestamp(opens_at, UTC)
    message = f"waits for Procore's limit until {at:%H:%M:%S} UTC"
    return TryLater(message, reason="rate_limited", not_before=at)


def number_in(headers: Mapping[str, str], name: str) -> float | None:
    """Read one of the rate headers: limit, remaining or reset."""
    try:
        number = float(headers.get(f"x-rate-limit-{name}", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
