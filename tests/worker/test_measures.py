"""What a worker shows of itself on `/metrics`."""

import asyncio
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from schemas.notices import PROCORE_NOTICES, Outcome
from services.errors import TryLater
from services.kafka import ConsumedRecord
from services.metrics import OTHER, Metrics
from services.procore.turns import Turns
from sync_worker.measures import HELD_REASONS, CountedLooks, Measures
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, rfi_json

pytestmark = pytest.mark.postgres


class Consumer:
    def lag(self) -> dict[str, int]:
        return {PROCORE_NOTICES: 7, "part3.notices": 0}

    def partitions(self) -> int:
        return 4


def shown(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def measures_of(bench: Bench) -> tuple[Metrics, Measures]:
    metrics = Metrics()
    return metrics, Measures(metrics, bench.postgres)


async def read_once(measures: Measures) -> None:
    stopping = asyncio.Event()
    reading = asyncio.create_task(measures.run(stopping))
    while math.isnan(measures._backlog.retries_due):
        await asyncio.sleep(0.01)
    stopping.set()
    await reading


async def returns(bench: Bench, *standings: tuple[str, str | None]) -> None:
    await bench.postgres.executemany(
        "INSERT INTO mirror.deliveries (return_id, project_id, state, reason, due_at) "
        "VALUES ($1, $2, $3, $4, now())",
        [(str(n), PROJECT, state, reason) for n, (state, reason) in enumerate(standings)],
    )


async def test_held_returns_are_shown_by_reason_and_unknown_reasons_together(
    bench: Bench,
) -> None:
    metrics, measures = measures_of(bench)
    assert "connector_held{" not in metrics.render().decode()  # nothing is known yet
    one = ("held", "not_your_turn")
    await returns(bench, one, one, ("held", "new_one"), ("held", "newer"), ("waiting", "new_one"))
    await read_once(measures)
    assert shown(metrics, "connector_held", reason="not_your_turn") == 2
    assert shown(metrics, "connector_held", reason=OTHER) == 2
    assert shown(metrics, "connector_held", reason="record_closed") == 0
    assert metrics.render().decode().count("connector_held{") == len(HELD_REASONS) + 1


async def test_retries_that_are_due_are_counted(bench: Bench) -> None:
    metrics, measures = measures_of(bench)
    await bench.connect()
    await returns(bench, ("waiting", "procore_down"), ("held", "not_your_turn"))
    await bench.worker.looks.want(PROJECT, "rfi", ["1", "2", "3"], 1)
    await bench.postgres.execute(
        "UPDATE mirror.looks SET attempts = 1 WHERE procore_id IN ('1', '2')"
    )
    await bench.postgres.execute(
        "UPDATE mirror.looks SET due_at = now() + interval '1 hour' WHERE procore_id = '2'"
    )
    await read_once(measures)
    assert shown(metrics, "connector_retries_due") == 2


async def test_the_sweep_age_is_that_of_the_project_furthest_behind(bench: Bench) -> None:
    metrics, measures = measures_of(bench)
    await bench.connect()
    await bench.connect("prj_2")
    aged = """
    UPDATE mirror.sweeps SET settled_until = now() - make_interval(secs => $2)
    WHERE project_id = $1
    """
    await bench.postgres.execute(aged, PROJECT, 100)
    await bench.postgres.execute(aged, "prj_2", 5_000)
    await read_once(measures)
    age = shown(metrics, "connector_sweep_age_seconds")
    assert age is not None
    assert age >= 5_000
    assert age < 5_000 + 600


async def test_a_project_that_is_read_again_is_as_old_as_its_last_listing(bench: Bench) -> None:
    metrics, measures = measures_of(bench)
    await bench.connect()
    await bench.postgres.execute(
        "UPDATE mirror.projects SET connected_at = now() - interval '90 days'"
    )
    await bench.postgres.execute(
        "UPDATE mirror.sweeps SET settled_until = NULL, finished_at = now() - interval '500 s'"
    )
    await read_once(measures)
    age = shown(metrics, "connector_sweep_age_seconds")
    assert age is not None
    assert 500 <= age < 500 + 600


async def test_looks_are_counted_by_what_came_of_them(bench: Bench) -> None:
    metrics, measures = measures_of(bench)
    worker = bench.worker
    worker.looks = CountedLooks(bench.postgres, "w-1", retry_max_s=1.0, measures=measures)
    worker._begin_anew()
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    failed: list[bool] = []

    def fail_once(*_: object) -> None:
        if not failed:
            failed.append(True)
            raise TryLater("Procore is down", reason="procore_down")

    bench.procore.on["rfi"] = fail_once
    await bench.looked("rfi", "1")
    assert shown(metrics, "connector_looks_total", outcome="procore_down") == 1
    assert shown(metrics, "connector_looks_total", outcome="done") == 1
    assert shown(metrics, "connector_notice_age_seconds_count") == 1


async def test_only_looks_that_a_notice_asked_for_have_an_age(bench: Bench) -> None:
    metrics, measures = measures_of(bench)
    worker = bench.worker
    worker.looks = CountedLooks(bench.postgres, "w-1", retry_max_s=1.0, measures=measures)
    worker._begin_anew()
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.looked("rfi", "1", priority=2)
    assert shown(metrics, "connector_looks_total", outcome="done") == 1
    assert shown(metrics, "connector_notice_age_seconds_count") == 0


async def test_notices_have_an_age_once_they_are_work_and_not_when_that_failed(
    bench: Bench,
) -> None:
    metrics, measures = measures_of(bench)
    taken: list[Sequence[ConsumedRecord]] = []

    async def handle(batch: list[ConsumedRecord]) -> None:
        if not taken:
            taken.append(batch)
            raise TryLater("Postgres is away", reason="postgres_down")

    written_at = datetime.now(UTC) - timedelta(seconds=40)
    record = ConsumedRecord(
        topic=PROCORE_NOTICES,
        partition=0,
        offset=1,
        key=b"k",
        value=b"{}",
        headers={},
        written_at=written_at,
    )
    handled = measures.handled(handle)
    with pytest.raises(TryLater):
        await handled([record])
    assert shown(metrics, "connector_intake_age_seconds_count") == 0
    await handled([record])
    seconds = shown(metrics, "connector_intake_age_seconds_sum")
    assert seconds is not None
    assert seconds >= 40


async def test_puts_and_standings_are_counted_from_the_outcomes(bench: Bench) -> None:
    metrics, measures = measures_of(bench)
    at = datetime.now(UTC)
    for return_id, event, reason in (
        (None, "record.mirrored", None),
        ("ret_1", "return.delivered", None),
        ("ret_2", "return.failed", "withdrawn"),
        ("ret_3", "return.failed", "unknown_return"),
    ):
        measures.note(
            Outcome(
                project_id=PROJECT,
                kind="submittal",
                procore_id="1",
                return_id=return_id,
                outcome=event,
                at=at,
                reason=reason,
            )
        )
    assert shown(metrics, "connector_puts_total", kind="submittal") == 1
    for state in ("delivered", "withdrawn", "failed"):
        assert shown(metrics, "connector_deliveries_total", state=state) == 1


async def test_the_consumer_and_the_scarcest_grant_are_shown(bench: Bench) -> None:
    metrics, measures = measures_of(bench)
    turns = Turns()
    measures.watch(Consumer(), turns.budget_left, lambda: 2.0)
    assert shown(metrics, "connector_procore_budget_left") == math.inf
    for user_id, remaining in (("amy", "80"), ("tom", "12")):
        turns.pacer(user_id).note(200, {"x-rate-limit-remaining": remaining})
    assert shown(metrics, "connector_procore_budget_left") == 12
    assert shown(metrics, "connector_consumer_lag_records", topic=PROCORE_NOTICES) == 7
    assert shown(metrics, "connector_consumer_lag_records", topic="part3.notices") == 0
    assert shown(metrics, "connector_foreign_workers") == 2
    assert shown(metrics, "connector_consumer_partitions") == 4
