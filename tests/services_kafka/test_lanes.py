"""A lane alone: what it lets be committed, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from services.errors import TryLater
from services.kafka.lanes import ConsumedRecord, Lane, LaneSettings

AT = datetime(2026, 3, 2, tzinfo=UTC)
PATIENCE_S = 30.0


class Work:
    """Begins a batch, and ends it when it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.failures: list[Exception] = []
        self.done: list[int] = []

    async def handle(self, batch: list[ConsumedRecord]) -> None:
        self.begun.set()
        await self.may_end.wait()
        if self.failures:
            raise self.failures.pop()
        self.done += [record.offset for record in batch]


def record_at(offset: int) -> ConsumedRecord:
    return ConsumedRecord(
        topic="notices",
        partition=0,
        offset=offset,
        key=b"project-1",
        value=b"{}",
        headers={},
        written_at=AT,
    )


async def from_the_beginning() -> int | None:
    return 0


@asynccontextmanager
async def at_work(work: Work) -> AsyncIterator[Lane]:
    """A lane whose first batch, of offsets 0 to 2, is under way."""
    quickly = LaneSettings(first_pause_s=0.01, longest_pause_s=0.01)
    lane = Lane(work.handle, expected=from_the_beginning, settings=quickly)
    lane.put([record_at(offset) for offset in range(3)])
    try:
        async with asyncio.timeout(PATIENCE_S):
            await work.begun.wait()
        yield lane
    finally:
        await lane.close(0)


async def test_what_is_under_way_is_not_committed() -> None:
    async with at_work(work := Work()) as lane:
        assert lane.to_commit() is None
        work.may_end.set()
        await lane.close(PATIENCE_S)
        assert (work.done, lane.to_commit()) == ([0, 1, 2], 3)


@pytest.mark.parametrize("failure", [TryLater("away", reason="postgres_down"), ValueError("ours")])
async def test_a_batch_that_fails_comes_again_and_is_not_committed_before(
    failure: Exception,
) -> None:
    work = Work()
    work.failures = [failure, failure]
    async with at_work(work) as lane:
        work.may_end.set()
        async with asyncio.timeout(PATIENCE_S):
            while lane.next_offset is None:
                await asyncio.sleep(0.01)
        assert (work.failures, work.done, lane.to_commit()) == ([], [0, 1, 2], 3)


async def test_what_failed_until_its_lane_was_closed_is_not_committed() -> None:
    work = Work()
    work.failures = [TryLater("away", reason="postgres_down")] * 10_000
    async with at_work(work) as lane:
        work.may_end.set()
        await lane.close(PATIENCE_S)
        assert (work.done, lane.to_commit()) == ([], None)


async def test_a_lane_that_is_closed_finishes_its_batch() -> None:
    async with at_work(work := Work()) as lane:
        closing = asyncio.create_task(lane.close(PATIENCE_S))
        await asyncio.sleep(0.05)
        assert not closing.done()
        work.may_end.set()
        await closing
        assert (work.done, lane.to_commit()) == ([0, 1, 2], 3)
