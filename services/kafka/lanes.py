"""Handling of consumed records: one lane a partition, in order, one batch at a time.

A lane is one tenure of a partition. It ends when the partition is taken away, and a later tenure
is a new lane, so nothing of an old one can move the offsets of a new one.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from services.errors import TryLater

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumedRecord:
    """One Kafka record. `topic` is without the prefix of this deployment."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets jumped: records were lost to retention, or the topic was made anew.

    Whoever is told must look at everything again, as nobody knows what the records said.
    """

    topic: str
    partition: int
    expected: int
    found: int


Handle = Callable[[list[ConsumedRecord]], Awaitable[None]]
"""Makes a batch durable elsewhere. Raises TryLater to get the same batch again after a pause."""

OnGap = Callable[[Gap], Awaitable[None]]


async def log_gap(gap: Gap) -> None:
    """Stand in where nobody acts on a gap."""
    log.error("consumer.gap", topic=gap.topic, expected=gap.expected, found=gap.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """How a lane works.

    Attributes:
        batch_records: the most that is handled at once.
        first_pause_s: before the first repetition; it doubles, with jitter, up to the longest.
        longest_pause_s: between two repetitions.
    """

    batch_records: int = 100
    first_pause_s: float = 0.2
    longest_pause_s: float = 10.0


class Lane:
    """One tenure of a partition.

    Attributes:
        next_offset: what may be committed: everything before it is handled. None until a batch is.
        unhandled_from: the first offset that is not handled. None until a record came.
        fetched_to: the offset behind the last record queued, or where the tenure began, if known.
        committed: the last offset this tenure committed.
        failing_since: monotonic seconds since when the batch at the head fails, or None.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        expected: Callable[[], Awaitable[int | None]],
        on_gap: OnGap = log_gap,
        settings: LaneSettings | None = None,
    ) -> None:
        self.next_offset: int | None = None
        self.unhandled_from: int | None = None
        self.committed: int | None = None
        self.failing_since: float | None = None
        self._handle = handle
        self._on_gap = on_gap
        self._ask_expected = expected
        self._expected: int | None = None
        self.fetched_to: int | None = None
        self._settings = settings or LaneSettings()
        self._queue: deque[ConsumedRecord] = deque()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    @property
    def waiting(self) -> int:
        """How many records are queued and not yet taken."""
        return len(self._queue)

    def put(self, records: Sequence[ConsumedRecord]) -> None:
        """Queue records that follow those queued before."""
        if records:
            if self.unhandled_from is None:
                self.unhandled_from = records[0].offset
            self._queue.extend(records)
            self.fetched_to = records[-1].offset + 1
            self._wake.set()

    def to_commit(self) -> int | None:
        """Return the offset to commit now, or None: offsets only go forward."""
        if self.next_offset is None or self.next_offset <= (self.committed or 0):
            return None
        return self.next_offset

    async def close(self, within_s: float) -> None:
        """Take no further batch, let the one under way finish, and cut it off after the time."""
        self._closing.set()
        self._wake.set()
        done, _ = await asyncio.wait([self._task], timeout=within_s)
        if not done:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        self._expected = await self._ask_expected()
        self.fetched_to = self.fetched_to or self._expected
        while not self._closing.is_set():
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            size = min(len(self._queue), self._settings.batch_records)
            batch = [self._queue.popleft() for _ in range(size)]
            if await self._handle_in_the_end(batch):
                self.next_offset = self.unhandled_from = self._expected = batch[-1].offset + 1

    async def _handle_in_the_end(self, batch: list[ConsumedRecord]) -> bool:
        """Repeat until the batch is handled; False when the lane is closed before."""
        pause_s = self._settings.first_pause_s
        while True:
            try:
                await self._report_gap(batch[0])
                await self._handle(batch)
            except TryLater as error:
                wait_s = max(_until(error.not_before), pause_s)
                log.warning("consumer.batch_waits", reason=error.reason, wait_s=round(wait_s, 1))
            except Exception:  # the top of a lane: a fault in one must not end the others
                wait_s = pause_s
                log.exception("consumer.batch_failed", topic=batch[0].topic, size=len(batch))
            else:
                self.failing_since = None
                return True
            self.failing_since = self.failing_since or time.monotonic()
            if await self._closed_within(min(wait_s, self._settings.longest_pause_s)):
                return False
            pause_s = min(pause_s * 2, self._settings.longest_pause_s) * random.uniform(0.8, 1.0)  # noqa: S311 - spreads repetitions, keeps no secret

    async def _report_gap(self, first: ConsumedRecord) -> None:
        if self._expected is not None and first.offset != self._expected:
            await self._on_gap(Gap(first.topic, first.partition, self._expected, first.offset))
            self._expected = first.offset

    async def _closed_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True


def _until(moment: datetime | None) -> float:
    return 0.0 if moment is None else (moment - datetime.now(UTC)).total_seconds()
