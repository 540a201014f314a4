"""C38: work at which workers end each time rests, and keeps nothing else from being done."""

import pytest

from services.errors import TryLater
from sync_worker.backoff import CRASH_REST_S, MOST_CRASHES
from sync_worker.inbound.look_store import Look, Looks, Room
from sync_worker.outbound.delivery_store import PostgresDeliveries, ask_delivery
from sync_worker.outbound.standing import Standing
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, rfi_json

pytestmark = pytest.mark.postgres
DUE_IN = """
SELECT extract(epoch FROM due_at - now())::float8 FROM mirror.looks WHERE procore_id = $1
"""


async def claimed(looks: Looks) -> set[str]:
    """Claim all that is due, as a worker does before it looks."""
    batches: list[list[Look]] = []
    while batch := await looks.claim(Room()):
        batches.append(batch)
    return {look.procore_id for batch in batches for look in batch}


async def end_at(bench: Bench, *records: str, times: int) -> None:
    """Let lives of the worker end while it has these in hands."""
    for _ in range(times):
        assert await claimed(bench.worker.looks) == set(records)
        await bench.worker.looks.free_after_crash()


async def test_c38_a_record_at_which_workers_end_rests_and_the_others_are_mirrored(
    bench: Bench,
) -> None:
    await bench.connect()
    for number in (1, 2):
        bench.procore.hold("rfi", rfi_json(number))
    await bench.want("rfi", "1")
    await end_at(bench, "1", times=MOST_CRASHES - 1)
    await bench.want("rfi", "2")
    await end_at(bench, "1", "2", times=1)
    assert await bench.postgres.fetchval(DUE_IN, "1") > CRASH_REST_S - 5
    assert (await bench.rows("looks"))[0]["message"].startswith("a worker ended each time")
    async with bench.worker.running(sweeping=False):

        async def only_that_is_left() -> bool:
            return [look["procore_id"] for look in await bench.rows("looks")] == ["1"]

        await bench.until(only_that_is_left)
    assert bench.procore.asked("rfi") == ["2"]
    assert bench.shown("rfi", "2") is not None


async def test_c38_each_further_end_lets_it_rest_longer_and_comes_alone(bench: Bench) -> None:
    await bench.connect()
    await bench.want("rfi", "1")
    await bench.want("rfi", "2")
    await end_at(bench, "1", "2", times=MOST_CRASHES)
    apart = await bench.postgres.fetchval(DUE_IN, "2") - await bench.postgres.fetchval(DUE_IN, "1")
    assert apart == pytest.approx(5, abs=0.1)
    await bench.postgres.execute("UPDATE mirror.looks SET due_at = now() WHERE procore_id = '1'")
    await end_at(bench, "1", times=1)
    assert await bench.postgres.fetchval(DUE_IN, "1") > 2 * CRASH_REST_S - 5


async def test_c38_a_worker_that_lives_on_has_not_ended_at_it(bench: Bench) -> None:
    await bench.connect()
    await bench.want("rfi", "1")
    await end_at(bench, "1", times=MOST_CRASHES - 1)
    (look,) = await bench.worker.looks.claim(Room())
    await bench.worker.looks.try_again(look, TryLater("away", reason="procore_down"))
    await bench.postgres.execute("UPDATE mirror.looks SET due_at = now()")
    await end_at(bench, "1", times=MOST_CRASHES - 1)
    assert await claimed(bench.worker.looks) == {"1"}


async def test_c38_a_return_at_which_workers_end_rests_and_the_others_go(bench: Bench) -> None:
    postgres = bench.postgres
    await ask_delivery(postgres, project_id=PROJECT, return_id="ret_1")
    deliveries = PostgresDeliveries(postgres, worker_id="w-1", lease_s=30)
    for _ in range(MOST_CRASHES):
        task = await deliveries.claim()
        assert task is not None
        await deliveries.free_own()
    await ask_delivery(postgres, project_id=PROJECT, return_id="ret_2")
    task = await deliveries.claim()
    assert task is not None
    assert task.return_id == "ret_2"
    assert await deliveries.claim() is None
    await postgres.execute("UPDATE mirror.deliveries SET due_at = now()")
    task = await deliveries.claim()
    assert task is not None
    await deliveries.release(task, Standing(state="waiting", again_in_s=0), None)
    assert await postgres.fetchval("SELECT max(crashes) FROM mirror.deliveries") == 0
