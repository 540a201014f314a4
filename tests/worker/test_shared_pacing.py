"""Workers that use one grant keep its limits together, through a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import pytest_asyncio

from schemas.connections import AccessToken
from services.errors import TryLater
from services.http_client import Answer, HttpClient
from services.postgres import Postgres, migrate, open_postgres
from services.procore.call import Caller
from services.procore.models import Place
from services.procore.pacer import Priority
from services.procore.pacing import PostgresPace
from services.procore.sharing import Window
from services.procore.turns import Turns

pytestmark = pytest.mark.postgres

PLACE = Place(company_id="77", project_id="501")
LOOK, SWEEP = Priority.LOOK, Priority.SWEEP


@pytest_asyncio.fixture
async def postgres(database: str) -> AsyncIterator[Postgres]:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database, max_size=8) as pool:
        yield pool


class OneToken:
    async def access_token(self, user_id: str) -> AccessToken:
        lasts = datetime.now(UTC) + timedelta(hours=1)
        return AccessToken(access_token=user_id, expires_at=lasts, procore_user_id="1")

    async def replacement_for(self, user_id: str, rejected: AccessToken) -> AccessToken:
        raise AssertionError


class Procore(HttpClient):
    """One window for everybody; refuses what is beyond, and counts that."""

    def __init__(self, limit: int, *, ends_in_s: int = 60) -> None:
        super().__init__("Procore")
        self.limit, self.used, self.refused = limit, 0, 0
        self.ends_at = int(datetime.now(UTC).timestamp()) + ends_in_s

    async def send(self, *_: object, **__: object) -> Answer:
        taken = self.used < self.limit
        self.used += taken
        self.refused += not taken
        left = self.limit - self.used
        await asyncio.sleep(0.01)  # what was answered is older than what is true by now
        headers = {
            "x-rate-limit-limit": str(self.limit),
            "x-rate-limit-remaining": str(left),
            "x-rate-limit-reset": str(self.ends_at),
        }
        return Answer(200 if taken else 429, httpx2.Headers(headers), b"{}")


def worker_at(procore: Procore, postgres: Postgres) -> Caller:
    return Caller(procore, "", OneToken(), turns=Turns(PostgresPace(postgres)))


async def read_often(caller: Caller, times: int, whose: str = "amy") -> int:
    """Read as often as it may; return how often that was."""
    done = 0
    for _ in range(times):
        try:
            _answer = await caller.read(PLACE, "/x", whose=whose, priority=LOOK)
        except TryLater:
            break
        done += 1
    return done


async def read_by_all_at_once(postgres: Postgres, procore: Procore) -> int:
    """Have three workers, two calls each at a time, read more than there is; return how often."""
    workers = [worker_at(procore, postgres) for _ in range(3)]
    reads = (read_often(worker, 15) for worker in workers for _ in range(2))
    return sum(await asyncio.gather(*reads))


async def test_workers_spend_a_window_that_is_known_to_its_last_call(postgres: Postgres) -> None:
    procore = Procore(20)
    assert await read_often(worker_at(procore, postgres), 1) == 1
    done = await read_by_all_at_once(postgres, procore)
    assert (1 + done, procore.used, procore.refused) == (20, 20, 0)


async def test_workers_never_spend_more_than_a_window_that_none_knew(postgres: Postgres) -> None:
    procore = Procore(20)
    done = await read_by_all_at_once(postgres, procore)
    assert (done, procore.refused) == (procore.used, 0)
    # the first answer may count the five calls beside it once more than it must, and never less
    assert 15 <= done <= 20


async def test_after_one_workers_429_no_other_calls_before_the_reset(postgres: Postgres) -> None:
    procore = Procore(0)
    first, second = (worker_at(procore, postgres) for _ in range(2))
    assert await read_often(first, 1) == 0
    assert procore.refused == 1
    assert await read_often(second, 3) == 0
    assert procore.refused == 1
    procore.limit = 100  # another person's grant has limits of its own
    assert await read_often(second, 3, whose="ben") == 3


async def test_the_other_window_is_minded_while_headers_speak_of_one(postgres: Postgres) -> None:
    pace = PostgresPace(postgres)
    assert await pace.take("amy", LOOK) is None
    await pace.note("amy", Window(25, 2, 9), 0)
    for _ in range(2):
        assert await pace.take("amy", LOOK) is None
        await pace.note("amy", Window(600, 300, 2_000), 0)
    wait_s = await pace.take("amy", LOOK)
    assert wait_s is not None
    assert 0 < wait_s <= 9


async def test_the_last_fifth_is_for_returns_and_looks_of_whichever_worker(
    postgres: Postgres,
) -> None:
    pace = PostgresPace(postgres)
    assert await pace.take("amy", LOOK) is None
    await pace.note("amy", Window(100, 20, 9), 0)
    assert await pace.take("amy", SWEEP) is not None
    assert await pace.take("amy", LOOK) is None


async def test_a_late_answer_brings_no_call_back_and_a_new_window_does(postgres: Postgres) -> None:
    pace = PostgresPace(postgres)
    for _ in range(2):
        assert await pace.take("amy", LOOK) is None
    await pace.note("amy", Window(25, 0, 9), 0)
    await pace.note("amy", Window(25, 1, 9), 0)  # answered before the one above
    assert await pace.take("amy", LOOK) is not None
    await postgres.execute("UPDATE mirror.pacing SET spike_reset_at = now()")
    assert await pace.take("amy", LOOK) is None
    await pace.note("amy", Window(25, 24, 9), 0)
    assert await pace.take("amy", LOOK) is None


async def test_calls_of_a_dead_worker_are_forgotten(postgres: Postgres) -> None:
    pace = PostgresPace(postgres)
    for _ in range(3):
        assert await pace.take("amy", LOOK) is None
    await postgres.execute("UPDATE mirror.pacing SET last_begun_at = now() - interval '2 minutes'")
    assert await pace.take("amy", LOOK) is None
    assert await postgres.fetchval("SELECT under_way FROM mirror.pacing") == 1


async def test_a_refusal_without_rate_headers_closes_to_the_part_of_a_second(
    postgres: Postgres,
) -> None:
    pace = PostgresPace(postgres)
    assert await pace.take("amy", LOOK) is None
    await pace.note("amy", None, 99.75)
    closed = "SELECT extract(epoch FROM closed_until - now())::float8 FROM mirror.pacing"
    before_s = await postgres.fetchval(closed)
    again = "SELECT extract(epoch FROM closed_until - last_begun_at)::float8 FROM mirror.pacing"
    assert await postgres.fetchval(again) >= 99.75 > before_s
    assert await pace.take("amy", LOOK) is not None


async def test_a_lost_answer_gives_its_place_back(postgres: Postgres) -> None:
    pace = PostgresPace(postgres)
    assert await pace.take("amy", LOOK) is None
    await pace.note("amy", None, 0)
    assert await postgres.fetchval("SELECT under_way FROM mirror.pacing") == 0
