"""The loop that claims and works: woken, stopped, robbed of a lease, and never brought down."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

import pytest

from services.errors import TryLater
from sync_worker.outbound.deliveries import AFTER_FAULT_S, Deliveries
from sync_worker.outbound.delivery_store import Task
from sync_worker.outbound.intent_store import LeaseLost


def task(return_id: str) -> Task:
    return Task(return_id=return_id, project_id="p", state="new", fence=1)


class Claims:
    def __init__(self) -> None:
        self.due: list[str] = []
        self.lost: set[str] = set()
        self.freed = 0
        self.given_back: list[str] = []
        self.due_again_in_s: list[float] = []
        self.away = False
        self.answer_lost: str | None = None  # a return whose claim is made and never heard of
        self.nobodys: set[str] = set()

    async def free_lost(self, under_way: Collection[str]) -> None:
        self._check()
        self.due += sorted(self.nobodys - set(under_way))
        self.nobodys.clear()

    async def free_own(self) -> None:
        self._check()
        self.freed += 1

    async def claim(self) -> Task | None:
        self._check()
        if self.answer_lost is not None:
            self.nobodys, self.answer_lost = {self.answer_lost}, None
            raise TryLater("the answer was lost", reason="postgres_down")
        return task(self.due.pop(0)) if self.due else None

    async def renew(self, task: Task) -> bool:
        return task.return_id not in self.lost

    async def give_back(self, task: Task, *, after_s: float) -> None:
        self._check()
        self.given_back.append(task.return_id)
        self.due_again_in_s.append(after_s)

    def _check(self) -> None:
        if self.away:
            raise TryLater("away", reason="postgres_down")


class Works:
    """Attempts that finish at once, or when `go` is set, or that fail."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.faults: dict[str, BaseException] = {}
        self.at_once = 0
        self.most_at_once = 0

    async def attempt(self, task: Task) -> None:
        self.began.append(task.return_id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.go.wait()
            if task.return_id in self.faults:
                raise self.faults[task.return_id]
        except asyncio.CancelledError:
            self.cancelled.append(task.return_id)
            raise
        finally:
            self.at_once -= 1
        self.ended.append(task.return_id)


@asynccontextmanager
async def running(deliveries: Deliveries) -> AsyncIterator[asyncio.Task[None]]:
    loop = asyncio.create_task(deliveries.run())
    try:
        yield loop
    finally:
        deliveries.stop()
        async with asyncio.timeout(5):
            await loop


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_what_is_due_is_worked_on_and_what_comes_is_woken_for() -> None:
    claims, works = Claims(), Works()
    claims.due = ["a", "b"]
    deliveries = Deliveries(claims, works, lease_s=30)
    async with running(deliveries):
        await until(lambda: sorted(works.ended) == ["a", "b"])
        claims.due = ["c"]
        deliveries.wake()
        await until(lambda: "c" in works.ended)
    assert claims.freed == 1


async def test_only_a_few_are_worked_on_at_once() -> None:
    claims, works = Claims(), Works()
    claims.due = list("abcdefgh")
    works.go.clear()
    async with running(Deliveries(claims, works, lease_s=30, concurrent=3)):
        await until(lambda: len(works.began) == 3)
        works.go.set()
        await until(lambda: len(works.ended) == 8)
    assert works.most_at_once == 3


async def test_stopping_finishes_what_is_under_way_and_claims_nothing_more() -> None:
    claims, works = Claims(), Works()
    claims.due = ["a"]
    works.go.clear()
    deliveries = Deliveries(claims, works, lease_s=30)
    async with running(deliveries) as loop:
        await until(lambda: works.began == ["a"])
        claims.due = ["b"]
        deliveries.stop()
        await asyncio.sleep(0.02)
        assert not loop.done()
        works.go.set()
    assert works.ended == ["a"]


@pytest.mark.parametrize(
    "fault",
    [
        ZeroDivisionError("ours"),
        TryLater("away", reason="postgres_down"),
        LeaseLost("a"),
    ],
    ids=["a fault of ours", "postgres away", "lease lost"],
)
async def test_one_return_that_fails_does_not_stop_the_others(fault: Exception) -> None:
    claims, works = Claims(), Works()
    claims.due = ["a", "b"]
    works.faults["a"] = fault
    async with running(Deliveries(claims, works, lease_s=30)):
        await until(lambda: works.ended == ["b"])


async def test_what_could_not_be_noted_is_given_back_once_postgres_is_there() -> None:
    claims, works = Claims(), Works()
    claims.due = ["a"]
    works.faults["a"] = TryLater("away", reason="postgres_down")
    works.go.clear()
    async with running(Deliveries(claims, works, lease_s=30)):
        await until(lambda: works.began == ["a"])
        claims.away = True
        works.go.set()
        await asyncio.sleep(0.05)
        assert claims.given_back == []
        claims.away = False
        await until(lambda: claims.given_back == ["a"])
    assert claims.given_back == ["a"]


async def test_what_met_a_fault_of_ours_in_noting_it_waits_no_longer_than_it_must() -> None:
    claims, works = Claims(), Works()
    claims.due = ["a"]
    works.faults["a"] = ZeroDivisionError("ours")
    async with running(Deliveries(claims, works, lease_s=30)):
        await until(lambda: claims.given_back == ["a"])
    assert claims.due_again_in_s == [AFTER_FAULT_S]


async def test_a_claim_whose_answer_was_lost_is_soon_made_again() -> None:
    claims, works = Claims(), Works()
    claims.answer_lost = "a"
    async with running(Deliveries(claims, works, lease_s=30)):
        await until(lambda: works.ended == ["a"])


async def test_whoever_lost_the_lease_stops_at_once() -> None:
    claims, works = Claims(), Works()
    claims.due, claims.lost = ["a"], {"a"}
    works.go.clear()
    async with running(Deliveries(claims, works, lease_s=0.03)):
        await until(lambda: works.cancelled == ["a"])


async def test_postgres_being_away_is_waited_out() -> None:
    claims, works = Claims(), Works()
    claims.away = True
    deliveries = Deliveries(claims, works, lease_s=30)
    async with running(deliveries):
        await asyncio.sleep(0.02)
        claims.away = False
        claims.due = ["a"]
        await until(lambda: works.ended == ["a"])
