"""One writer a record at a time, held by a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.errors import TryLater
from services.postgres import Postgres, migrate, open_postgres
from sync_worker.inbound.stored import FenceLost, Records
from sync_worker.leases import Key, Leases

pytestmark = pytest.mark.postgres

RFI = Key("prj_1", "rfi", "101")


@pytest_asyncio.fixture
async def postgres(database: str) -> AsyncIterator[Postgres]:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database, max_size=4) as pool:
        yield pool


def leases(postgres: Postgres, worker_id: str = "w-1", lease_s: float = 60) -> Leases:
    return Leases(postgres, worker_id, lease_s=lease_s)


async def test_a_record_has_one_writer_at_a_time(postgres: Postgres) -> None:
    await leases(postgres).take(RFI)
    with pytest.raises(TryLater, match="101") as caught:
        await leases(postgres, "w-2").take(RFI)
    assert caught.value.reason == "busy"


async def test_of_many_who_ask_at_once_one_gets_it(postgres: Postgres) -> None:
    asked = [leases(postgres, f"w-{n}").take(RFI) for n in range(12)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, int) for one in answers) == 1
    assert sum(isinstance(one, TryLater) for one in answers) == 11


async def test_a_worker_does_not_get_its_own_lease_twice(postgres: Postgres) -> None:
    own = leases(postgres)
    await own.take(RFI)
    with pytest.raises(TryLater):
        await own.take(RFI)


async def test_another_record_is_free(postgres: Postgres) -> None:
    await leases(postgres).take(RFI)
    for other in (
        Key("prj_2", "rfi", "101"),
        Key("prj_1", "submittal", "101"),
        Key("prj_1", "rfi", "102"),
    ):
        assert await leases(postgres, "w-2").take(other) == 1


async def test_the_fence_only_grows(postgres: Postgres) -> None:
    fences = []
    for n in range(5):
        async with leases(postgres, f"w-{n % 2}").held(RFI) as fence:
            fences.append(fence)
    assert fences == sorted(set(fences))


async def test_a_lease_is_given_back_when_its_work_fails(postgres: Postgres) -> None:
    with pytest.raises(ZeroDivisionError):
        async with leases(postgres).held(RFI):
            raise ZeroDivisionError
    assert await leases(postgres, "w-2").take(RFI) == 2


async def test_a_lapsed_lease_goes_to_whoever_asks(postgres: Postgres) -> None:
    slept = await leases(postgres, lease_s=-1).take(RFI)
    assert await leases(postgres, "w-2").take(RFI) > slept


async def test_an_old_fence_gives_nothing_back(postgres: Postgres) -> None:
    sleeper = leases(postgres, lease_s=-1)
    old = await sleeper.take(RFI)
    await leases(postgres, "w-2").take(RFI)
    await sleeper.give_back(RFI, old)
    with pytest.raises(TryLater):
        await leases(postgres, "w-3").take(RFI)


async def test_an_old_fence_writes_nothing(postgres: Postgres) -> None:
    old = await leases(postgres, lease_s=-1).take(RFI)
    new = await leases(postgres, "w-2").take(RFI)
    records = Records(postgres)
    with pytest.raises(FenceLost):
        await records.looked(RFI, old, None, "seen by the one that slept")
    await records.looked(RFI, new, None, "seen by the one that has it")
    row = await postgres.fetchrow("SELECT not_mirrored_because FROM mirror.records")
    assert row is not None
    assert row["not_mirrored_because"] == "seen by the one that has it"


async def test_a_worker_that_starts_again_frees_what_it_held_and_nothing_else(
    postgres: Postgres,
) -> None:
    other = Key("prj_1", "rfi", "102")
    await leases(postgres, "w-1").take(RFI)
    await leases(postgres, "w-2").take(other)
    await leases(postgres, "w-1").free_own()
    assert await leases(postgres, "w-3").take(RFI) == 2
    with pytest.raises(TryLater):
        await leases(postgres, "w-3").take(other)


async def test_what_an_earlier_life_held_cannot_be_written_by_it(postgres: Postgres) -> None:
    earlier = await leases(postgres).take(RFI)
    again = leases(postgres)
    await again.free_own()
    await again.take(RFI)
    with pytest.raises(FenceLost):
        await Records(postgres).looked(RFI, earlier, None, None)
