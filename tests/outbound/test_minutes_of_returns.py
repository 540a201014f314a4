"""Who took a return's minutes, on a real PostgreSQL: held, failed for now, and delivered."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from services.errors import TryLater
from services.metrics import Metrics
from sync_worker.measures import Measures
from sync_worker.outbound.assembly import deliveries_of
from tests.outbound.samples import AMY
from tests.outbound.test_outbound_whole import TIMING, Hall, Running, hall

__all__ = ["hall"]  # a fixture

pytestmark = pytest.mark.postgres
SLOW_S = 60.0
"""What a slow machine may add to minutes that were made up."""

LET_PASS = """
UPDATE mirror.deliveries SET due_at = now(), minutes = minutes || jsonb_build_object('since',
  (minutes->>'since')::timestamptz - interval '10 minutes', 'until',
  (minutes->>'until')::timestamptz - interval '10 minutes')
"""


class Watched:
    """A hall whose returns are measured; the return has just been written."""

    def __init__(self, hall: Hall) -> None:
        self.hall, self.metrics = hall, Metrics()
        self.measures = Measures(self.metrics, hall.postgres)
        (answer,) = hall.part3.returns.values()
        hall.part3.returns[answer.id] = replace(answer, returned_at=datetime.now(UTC))

    async def until(self, state: str) -> None:
        """Work until the return stands so and its lease is given back."""
        running = Running(
            deliveries_of(
                self.hall.postgres,
                self.hall.procore,
                self.hall.part3,
                self.hall.grants,
                worker_id="w-1",
                timing=TIMING,
                wake_looks=self.hall.want_look,
                measures=self.measures,
            )
        )
        await self.hall.until(state)
        await running.stop()

    async def waited(self) -> dict[str, float]:
        """Return what the log says of who took how long."""
        waited: dict[str, float] = await self.hall.postgres.fetchval(
            "SELECT detail->'waited_s' FROM mirror.activity WHERE event = 'return.delivered'"
        )
        return waited

    def shown(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def watched(hall: Hall) -> Watched:
    return Watched(hall)


async def test_a_return_that_is_held_waits_for_whom_it_is_held_for(watched: Watched) -> None:
    procore_id = watched.hall.grants.ids.pop(AMY.user_id)
    await watched.until("held")
    await watched.hall.postgres.execute(LET_PASS)
    watched.hall.grants.ids[AMY.user_id] = procore_id
    await watched.until("delivered")
    waited = await watched.waited()
    assert waited["authorization"] == pytest.approx(600, abs=SLOW_S)
    assert sum(waited.values()) - waited["authorization"] < SLOW_S
    labels = {"work": "return", "waiting_on": "authorization"}
    assert watched.shown("connector_waited_seconds_total", **labels) == pytest.approx(
        600, abs=SLOW_S
    )


async def test_a_return_waits_for_procore_until_it_is_tried_again_and_then_for_us(
    watched: Watched,
) -> None:
    failing = [TryLater("away", reason="procore_down")]

    def fail_once(step: str) -> None:
        if step == "read" and failing:
            raise failing.pop()

    watched.hall.procore.fault = fail_once
    await watched.until("waiting")
    await watched.hall.postgres.execute(LET_PASS)
    await watched.until("delivered")
    waited = await watched.waited()
    assert waited["queue"] == pytest.approx(600, abs=SLOW_S)
    assert 0 < waited["procore"] < SLOW_S


async def test_what_part3_told_late_of_is_part3s_and_counts_from_the_return(
    watched: Watched,
) -> None:
    (answer,) = watched.hall.part3.returns.values()
    earlier = datetime.fromtimestamp(datetime.now(UTC).timestamp() - 900, UTC)
    watched.hall.part3.returns[answer.id] = replace(answer, returned_at=earlier)
    await watched.until("delivered")
    assert (await watched.waited())["part3"] == pytest.approx(900, abs=SLOW_S)
    assert watched.shown("connector_return_age_seconds_count") == 1
    assert watched.shown("connector_return_age_seconds_sum") == pytest.approx(900, abs=SLOW_S)


async def test_what_an_earlier_life_had_delivered_has_no_time_that_anybody_knows(
    watched: Watched,
) -> None:
    (answer,) = watched.hall.part3.returns.values()
    watched.hall.part3.returns[answer.id] = replace(answer, state="delivered")
    await watched.until("delivered")
    assert watched.shown("connector_return_age_seconds_count") == 0
