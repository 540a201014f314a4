"""`Intents`, in memory and in Postgres: both keep the same promises."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
import pytest_asyncio

from services.postgres import Postgres, migrate, open_postgres
from sync_worker.outbound.intent_store import Intents, LeaseLost, PostgresIntents, ServerIsNew
from sync_worker.outbound.intents import Intent
from tests.outbound.fakes import Clock, FakeIntents
from tests.outbound.samples import AS_NOTED

QUIET_S = 0.2


class Bench(Protocol):
    intents: Intents

    async def lease(self, fence: int) -> None: ...
    async def wait_out_the_quiet_period(self) -> None: ...
    async def move_to_another_server(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.clock = Clock()
        self.fake = FakeIntents(self.clock)
        self.intents: Intents = self.fake

    async def lease(self, fence: int) -> None:
        self.fake.lease = fence

    async def wait_out_the_quiet_period(self) -> None:
        self.clock.forward(QUIET_S)

    async def move_to_another_server(self) -> None:
        self.fake.server_since = self.clock()


class InPostgres:
    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.intents: Intents = PostgresIntents(postgres)

    async def lease(self, fence: int) -> None:
        await self.postgres.execute(
            "INSERT INTO mirror.deliveries (return_id, project_id, state, fence, lease_owner,"
            " lease_until) VALUES ('ret_1', 'p3-100', 'new', $1, 'w', now() + interval '1 min')"
            " ON CONFLICT (return_id) DO UPDATE SET fence = excluded.fence",
            fence,
        )

    async def wait_out_the_quiet_period(self) -> None:
        await asyncio.sleep(QUIET_S + 0.05)

    async def move_to_another_server(self) -> None:
        await self.postgres.execute("UPDATE mirror.servers SET server = 'the one before'")


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str | None:
    """The database, where the fake is not meant; asked for outside of a running loop."""
    return None if request.param == "memory" else str(request.getfixturevalue("database"))


@pytest_asyncio.fixture
async def bench(url: str | None) -> AsyncIterator[Bench]:
    if url is None:
        yield InMemory()
        return
    await migrate(url, ["sync_worker"])
    async with open_postgres(url, max_size=2) as postgres:
        yield InPostgres(postgres)


PLANNED = Intent(
    op_key="key-1",
    marker="P3-7KQ2M9XR4T",
    return_id="ret_1",
    operation="submittal_response",
    state="planned",
)


async def plan(bench: Bench) -> Intent:
    intent, _ = await bench.intents.plan(PLANNED, "hash")
    return intent


async def test_planning_twice_is_one_intent(bench: Bench) -> None:
    await bench.lease(1)
    await plan(bench)
    await bench.intents.arm(await plan(bench), 1, QUIET_S, AS_NOTED)
    again = await plan(bench)
    assert (again.state, again.sends, again.response) == ("sending", 1, AS_NOTED)
    assert [known.op_key for known in await bench.intents.of_return("ret_1")] == ["key-1"]


async def test_arming_needs_the_lease_that_stands(bench: Bench) -> None:
    await bench.lease(2)
    with pytest.raises(LeaseLost):
        await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    assert (await plan(bench)).state == "planned"


async def test_what_is_armed_is_not_armed_again_in_its_quiet_period(bench: Bench) -> None:
    await bench.lease(1)
    await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    with pytest.raises(LeaseLost):
        await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    await bench.wait_out_the_quiet_period()
    await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    assert (await plan(bench)).sends == 2


async def test_whoever_knows_an_older_state_cannot_arm(bench: Bench) -> None:
    await bench.lease(1)
    old = await plan(bench)
    await bench.intents.arm(old, 1, QUIET_S, None)
    await bench.wait_out_the_quiet_period()
    with pytest.raises(LeaseLost):
        await bench.intents.arm(old, 1, QUIET_S, None)


async def test_on_a_new_server_nothing_is_armed_until_the_quiet_period_is_over(
    bench: Bench,
) -> None:
    await bench.lease(1)
    intent = await plan(bench)
    await bench.move_to_another_server()
    for _ in range(2):
        with pytest.raises(ServerIsNew):
            await bench.intents.arm(intent, 1, QUIET_S, None)
        assert (await plan(bench)).state == "planned"
    await bench.wait_out_the_quiet_period()
    await bench.intents.arm(intent, 1, QUIET_S, None)
    assert (await plan(bench)).state == "sending"


async def test_what_surely_did_not_happen_is_as_if_it_was_never_armed(bench: Bench) -> None:
    await bench.lease(1)
    await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    await bench.intents.disarm(PLANNED, 1, "429")
    intent = await plan(bench)
    assert (intent.state, intent.sends, intent.has_begun) == ("planned", 0, False)
    await bench.intents.arm(intent, 1, QUIET_S, None)


async def test_a_late_worker_takes_no_other_workers_arming_back(bench: Bench) -> None:
    await bench.lease(1)
    await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    await bench.wait_out_the_quiet_period()
    await bench.lease(2)
    await bench.intents.arm(await plan(bench), 2, QUIET_S, None)
    await bench.intents.disarm(PLANNED, 1, "late")
    await bench.intents.leave_unknown(PLANNED, 1, "late")
    assert (await plan(bench)).state == "sending"


async def test_a_late_worker_may_still_bring_the_truth(bench: Bench) -> None:
    await bench.lease(1)
    await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    await bench.lease(2)
    await bench.intents.confirm(PLANNED, "41")
    intent = await plan(bench)
    assert (intent.state, intent.remote_id) == ("confirmed", "41")
    await bench.intents.confirm(PLANNED, "42")
    assert (await plan(bench)).remote_id == "41"


async def test_only_what_has_not_begun_can_be_abandoned(bench: Bench) -> None:
    await bench.lease(1)
    assert await bench.intents.abandon("ret_1")
    await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    assert not await bench.intents.abandon("ret_1")
    await bench.intents.disarm(PLANNED, 1, "429")
    assert await bench.intents.abandon("ret_1")
    with pytest.raises(LeaseLost):
        await bench.intents.arm(await plan(bench), 1, QUIET_S, None)


async def test_a_person_is_asked_and_may_have_it_sent_again(bench: Bench) -> None:
    await bench.lease(1)
    await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    await bench.intents.leave_unknown(PLANNED, 1, "no answer")
    await bench.intents.ask_person(PLANNED)
    await bench.wait_out_the_quiet_period()
    await bench.intents.arm(await plan(bench), 1, QUIET_S, None)
    assert (await plan(bench)).state == "sending"
