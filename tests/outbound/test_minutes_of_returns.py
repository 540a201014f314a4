"""Who took a return's minutes, on a real PostgreSQL: held, failed for now, and delivered."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from services.errors import TryLater
from services.metrics import Metrics
from sync_worker.measures import Measures
from sync_worker.outbound.assembly import deliveries_of
from tests.minutes import SLOW_S, about, charged_to, shown, ten_minutes_pass
from tests.outbound.samples import AMY
from tests.outbound.test_outbound_whole import TIMING, Hall, Running, hall

__all__ = ["hall"]  # a fixture

pytestmark = pytest.mark.postgres


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


@pytest.fixture
def watched(hall: Hall) -> Watched:
    return Watched(hall)


async def test_a_return_that_is_held_waits_for_whom_it_is_held_for(watched: Watched) -> None:
    procore_id = watched.hall.grants.ids.pop(AMY.user_id)
    await watched.until("held")
    await ten_minutes_pass(watched.hall.postgres, "deliveries")
    watched.hall.grants.ids[AMY.user_id] = procore_id
    await watched.until("delivered")
    waited = await watched.waited()
    assert waited["authorization"] == about(600)
    assert sum(waited.values()) - waited["authorization"] < SLOW_S
    assert charged_to(watched.metrics, "return", "authorization") == about(600)


async def test_a_return_waits_for_procore_until_it_is_tried_again_and_then_for_us(
    watched: Watched,
) -> None:
    failing = [TryLater("away", reason="procore_down")]

    def fail_once(step: str) -> None:
        if step == "read" and failing:
            raise failing.pop()

    watched.hall.procore.fault = fail_once
    await watched.until("waiting")
    await ten_minutes_pass(watched.hall.postgres, "deliveries")
    await watched.until("delivered")
    waited = await watched.waited()
    assert waited["queue"] == about(600)
    assert 0 < waited["procore"] < SLOW_S


async def test_what_part3_told_late_of_is_part3s_and_counts_from_the_return(
    watched: Watched,
) -> None:
    (answer,) = watched.hall.part3.returns.values()
    earlier = datetime.fromtimestamp(datetime.now(UTC).timestamp() - 900, UTC)
    watched.hall.part3.returns[answer.id] = replace(answer, returned_at=earlier)
    await watched.until("delivered")
    assert (await watched.waited())["part3"] == about(900)
    assert shown(watched.metrics, "connector_return_age_seconds_count") == 1
    assert shown(watched.metrics, "connector_return_age_seconds_sum") == about(900)


async def test_what_an_earlier_life_had_delivered_has_no_time_that_anybody_knows(
    watched: Watched,
) -> None:
    (answer,) = watched.hall.part3.returns.values()
    watched.hall.part3.returns[answer.id] = replace(answer, state="delivered")
    await watched.until("delivered")
    assert shown(watched.metrics, "connector_return_age_seconds_count") == 0
