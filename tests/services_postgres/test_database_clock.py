import asyncio

import pytest

from services.database_clock import READ_TIME, DatabaseClock
from services.errors import TryLater
from services.postgres import open_postgres

DAY_S = 86_400.0
TRUE = 1_800_000_000.0


class Passing:
    """A host whose clock is off, a database whose clock is right, and time that passes."""

    def __init__(self, off_s: float) -> None:
        self.passed_s = 0.0
        self.off_s = off_s
        self.takes_s = 0.0
        self.away = False
        self.clock = DatabaseClock(
            self, host_now=lambda: TRUE + self.passed_s + off_s, monotonic=lambda: self.passed_s
        )

    async def fetchval(self, sql: str) -> float:
        assert sql == READ_TIME
        if self.away:
            raise TryLater("gone", reason="postgres_down")
        self.passed_s += self.takes_s / 2
        theirs = TRUE + self.passed_s
        self.passed_s += self.takes_s / 2
        return theirs


@pytest.mark.parametrize("off_s", [-DAY_S, 0.0, DAY_S])
async def test_b76_the_databases_time_counts_however_far_the_host_is_off(off_s: float) -> None:
    passing = Passing(off_s)
    await passing.clock.read()
    passing.passed_s += 50
    assert passing.clock() == TRUE + 50


async def test_the_way_to_the_database_and_back_is_taken_into_account() -> None:
    passing = Passing(DAY_S)
    passing.takes_s = 4.0
    await passing.clock.read()
    assert passing.clock() == TRUE + 4


async def test_before_the_database_was_asked_it_is_the_hosts_time() -> None:
    assert Passing(7.0).clock() == TRUE + 7


async def test_while_the_database_is_away_its_time_goes_on() -> None:
    passing = Passing(DAY_S)
    await passing.clock.read()
    passing.away = True
    passing.passed_s += 3_600
    stopping = asyncio.Event()
    kept = asyncio.create_task(passing.clock.keep(stopping))
    await asyncio.sleep(0)
    stopping.set()
    await kept
    assert passing.clock() == TRUE + 3_600


@pytest.mark.postgres
async def test_postgres_tells_unix_seconds(database: str) -> None:
    async with open_postgres(database, max_size=1) as postgres:
        clock = DatabaseClock(postgres, host_now=lambda: 0.0)
        await clock.read()
        told = await postgres.fetchval("SELECT now() > to_timestamp($1::float8)", clock() - 30)
        assert told
        assert not await postgres.fetchval("SELECT now() > to_timestamp($1::float8)", clock() + 30)
