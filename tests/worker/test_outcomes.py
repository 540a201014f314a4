"""Outcomes are told after the database has committed, and never hold up or fail the work."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from schemas.notices import OUTCOMES, Outcome
from services.errors import TryLater
from services.metrics import CounterOf, Metrics
from sync_worker.inbound.mirror import Mirror
from sync_worker.outbound.delivery_store import Task, ask_delivery
from sync_worker.outbound.intent_store import LeaseLost
from sync_worker.outbound.standing import Standing
from sync_worker.outcomes import DROPPED, Outcomes, TellingDeliveries, TellingRecords
from tests.outbound.samples import answer_to, rfi
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, later, rfi_json

HELD = Standing(state="held", reason="record_closed", message="closed", again_in_s=60)


class FakeKafka:
    """Remembers what it took, or is away, or never answers."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes | None, bytes, dict[str, bytes]]] = []
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def publish(
        self, topic: str, key: bytes | None, value: bytes, headers: Iterable[tuple[str, bytes]] = ()
    ) -> None:
        await self.answers.wait()
        if self.away:
            raise TryLater("Kafka is away", reason="kafka_down")
        self.taken.append((topic, key, value, dict(headers)))


def outcome(number: int = 1) -> Outcome:
    return Outcome(
        project_id=PROJECT,
        kind="rfi",
        procore_id=str(number),
        return_id=None,
        outcome="record.mirrored",
        at=datetime(2026, 11, 24, 8, tzinfo=UTC),
    )


def counting(metrics: Metrics) -> CounterOf:
    return metrics.counter("dropped", "Dropped.", {"cause": DROPPED})


def dropped(metrics: Metrics, cause: str) -> float | None:
    return metrics.registry.get_sample_value("dropped_total", {"cause": cause})


async def test_an_outcome_becomes_a_cloud_event_under_its_project() -> None:
    kafka = FakeKafka()
    async with Outcomes(kafka, counting(Metrics())) as outcomes:
        outcomes.tell(outcome())
    [(topic, key, value, headers)] = kafka.taken
    assert (topic, key) == (OUTCOMES, PROJECT.encode())
    assert json.loads(value) == {
        "project_id": PROJECT,
        "kind": "rfi",
        "procore_id": "1",
        "return_id": None,
        "outcome": "record.mirrored",
        "at": "2026-11-24T08:00:00Z",
        "reason": None,
    }
    assert headers["ce_type"] == b"record.mirrored"
    assert headers["ce_source"] == b"/sync_worker"


async def test_outcomes_of_a_project_are_published_in_their_order() -> None:
    kafka = FakeKafka()
    async with Outcomes(kafka, counting(Metrics())) as outcomes:
        for number in range(450):
            outcomes.tell(outcome(number))
    told = [json.loads(value)["procore_id"] for _, _, value, _ in kafka.taken]
    assert told == [str(number) for number in range(450)]


async def test_what_kafka_does_not_take_is_counted_and_the_next_one_goes() -> None:
    kafka, metrics = FakeKafka(), Metrics()
    kafka.away = True
    async with Outcomes(kafka, counting(metrics)) as outcomes:
        outcomes.tell(outcome(1))
        while not dropped(metrics, "kafka_down"):
            await asyncio.sleep(0)
        kafka.away = False
        outcomes.tell(outcome(2))
    assert [json.loads(value)["procore_id"] for _, _, value, _ in kafka.taken] == ["2"]
    assert dropped(metrics, "kafka_down") == 1


async def test_a_kafka_that_hangs_fills_the_queue_and_then_nothing_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sync_worker.outcomes.DRAIN_S", 0.05)
    kafka, metrics = FakeKafka(), Metrics()
    kafka.answers.clear()
    async with Outcomes(kafka, counting(metrics), most_waiting=3) as outcomes:
        for number in range(10):
            outcomes.tell(outcome(number))
    assert kafka.taken == []
    assert dropped(metrics, "queue_full") == 7
    assert dropped(metrics, "ended") == 3


@pytest.mark.postgres
async def test_every_put_is_told_and_a_look_that_puts_nothing_is_not(bench: Bench) -> None:
    told: list[Outcome] = []
    worker = bench.worker
    worker.mirror = Mirror(bench.procore, bench.part3, TellingRecords(bench.postgres, told.append))
    worker._begin_anew()
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.looked("rfi", "1")
    await bench.looked("rfi", "1")
    bench.procore.hold("rfi", rfi_json(1, subject="Another", updated_at=later(60)))
    await bench.looked("rfi", "1")
    assert [(one.procore_id, one.outcome, one.return_id) for one in told] == [
        ("1", "record.mirrored", None),
        ("1", "record.mirrored", None),
    ]


async def claimed(bench: Bench, told: list[Outcome]) -> tuple[TellingDeliveries, Task]:
    store = TellingDeliveries(bench.postgres, worker_id="w", lease_s=30, tell=told.append)
    await ask_delivery(bench.postgres, project_id=PROJECT, return_id="ret_1")
    task = await store.claim()
    assert task is not None
    return store, task


@pytest.mark.postgres
async def test_each_new_standing_of_a_return_is_told_once(bench: Bench) -> None:
    told: list[Outcome] = []
    store, task = await claimed(bench, told)
    answer = answer_to(rfi())
    assert await store.identify(task, answer)
    for standing in (Standing(state="sending"), HELD, HELD):
        await store.settle(task, standing, None)
    await store.release(task, HELD, None)
    assert [(one.outcome, one.reason, one.procore_id, one.return_id) for one in told] == [
        ("return.sending", None, answer.procore_id, "ret_1"),
        ("return.held", HELD.reason, answer.procore_id, "ret_1"),
    ]
    assert {one.kind for one in told} == {answer.kind}


@pytest.mark.postgres
async def test_a_standing_that_is_still_the_same_is_not_told_again(bench: Bench) -> None:
    told: list[Outcome] = []
    store, task = await claimed(bench, told)
    assert await store.identify(task, answer_to(rfi()))
    await store.settle(task, HELD, None)
    await store.release(task, HELD, None)
    await bench.postgres.execute("UPDATE mirror.deliveries SET due_at = now()")
    again = await store.claim()
    assert again is not None
    assert again.state == "held"
    await store.settle(again, HELD, None)
    assert len(told) == 1


@pytest.mark.postgres
async def test_what_was_not_committed_is_not_told(bench: Bench) -> None:
    told: list[Outcome] = []
    store, task = await claimed(bench, told)
    assert await store.identify(task, answer_to(rfi()))
    with pytest.raises(LeaseLost):
        await store.settle(replace(task, fence=task.fence - 1), HELD, None)
    assert told == []
