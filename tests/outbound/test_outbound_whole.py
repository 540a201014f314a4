"""The outbound half as the worker runs it: on a real PostgreSQL, killed and doubled."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
import pytest_asyncio

from services.errors import OutcomeUnknown
from services.postgres import Postgres, migrate, open_postgres
from services.procore.models import ResponseOption
from sync_worker.outbound.assembly import deliveries_of
from sync_worker.outbound.deliveries import Deliveries
from sync_worker.outbound.delivery_store import ask_delivery
from sync_worker.outbound.put_notes import note_put
from sync_worker.settings import Timing
from tests.outbound.fake_procore import FakeProcore
from tests.outbound.fakes import FakeGrants, FakePart3
from tests.outbound.samples import OPTIONS, PROJECT, answer_to, file_of, rfi, submittal
from tests.outbound.test_project_codes import agreed, proposal

pytestmark = pytest.mark.postgres

CONNECT = """
INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
    reader_user_id, state, connection_updated_at)
VALUES ($1, '10', '20', 'u-owner', 'u-owner', 'active', now())
"""
TIMING = Timing(
    look_delay_s=0,
    settle_s=1,
    sweep_s=60,
    audit_s=60,
    write_deadline_s=0.2,
    quiet_s=0.6,
    recheck_s=0.2,
    retry_max_s=1,
    hook_audit_s=60,
    kafka_session_timeout_s=6,
)
DRAWING = b"%PDF drawing"


class Hall:
    """A database, both sides, and any number of workers."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.procore = FakeProcore(rfi())
        answer = answer_to(rfi(), files=(file_of(DRAWING, "a.pdf"),))
        self.part3 = FakePart3({answer.id: answer})
        self.part3.store(DRAWING)
        self.grants = FakeGrants()
        self.looks_wanted = 0
        self.timing = TIMING

    def worker(self, worker_id: str) -> Deliveries:
        return deliveries_of(
            self.postgres,
            self.procore,
            self.part3,
            self.grants,
            worker_id=worker_id,
            timing=self.timing,
            wake_looks=self.want_look,
        )

    def want_look(self) -> None:
        self.looks_wanted += 1

    async def begin(self) -> None:
        await self.postgres.execute(CONNECT, PROJECT)
        async with self.postgres.transaction() as queries:
            await note_put(queries, PROJECT, "v1", rfi())
        await self.ask()

    async def ask(self) -> None:
        await ask_delivery(self.postgres, project_id=PROJECT, return_id="ret_1")

    async def state(self) -> str:
        found: str = await self.postgres.fetchval("SELECT state FROM mirror.deliveries")
        return found

    async def until(self, state: str) -> None:
        async with asyncio.timeout(20):
            while await self.state() != state:
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def hall(database: str) -> AsyncIterator[Hall]:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database, max_size=6) as pool:
        hall = Hall(pool)
        await hall.begin()
        yield hall


class Running:
    """A worker's loop, to be stopped in order or killed."""

    def __init__(self, deliveries: Deliveries) -> None:
        self.deliveries = deliveries
        self.task = asyncio.create_task(deliveries.run())

    async def stop(self) -> None:
        self.deliveries.stop()
        async with asyncio.timeout(10):
            await self.task

    async def kill(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


def dying(running: list[Running], at: str) -> Callable[[str], None]:
    """Cancel the worker at a step, as a kill does: what was sent was sent."""
    left = [at]

    def fault(step: str) -> None:
        if left and step == left[0]:
            left.pop()
            running[0].task.cancel()
            raise asyncio.CancelledError

    return fault


async def test_a_return_goes_from_its_event_to_its_receipt(hall: Hall) -> None:
    running = Running(hall.worker("w-1"))
    await hall.until("delivered")
    await running.stop()
    assert hall.part3.states("ret_1") == ["sending", "delivered"]
    assert hall.looks_wanted == 1
    row = await hall.postgres.fetchrow("SELECT * FROM mirror.deliveries")
    assert row is not None
    assert (row["author_name"], row["remote_id"], row["due_at"]) == ("Amy Chen", "5000", None)
    assert row["receipt"]["files"][0]["name"] == "a.pdf"
    intent = await hall.postgres.fetchrow("SELECT * FROM mirror.write_intents")
    assert intent is not None
    assert (intent["state"], intent["sends"]) == ("confirmed", 1)


@pytest.mark.parametrize("step", ["read", "upload", "reply", "write.lost", "write.answer"])
async def test_a_worker_killed_at_any_step_leaves_one_reply(hall: Hall, step: str) -> None:
    running: list[Running] = []
    hall.procore.fault = dying(running, step)
    running.append(Running(hall.worker("w-1")))
    await asyncio.wait([running[0].task], timeout=10)
    assert running[0].task.cancelled()
    again = Running(hall.worker("w-1"))
    await hall.until("delivered")
    await again.stop()
    assert hall.procore.executed == 1


async def test_the_same_event_twenty_times_and_three_workers_make_one_reply(hall: Hall) -> None:
    workers = [Running(hall.worker(f"w-{n}")) for n in range(3)]
    for _ in range(20):
        await hall.ask()
        workers[0].deliveries.wake()
    await hall.until("delivered")
    for worker in workers:
        await worker.stop()
    assert hall.procore.executed == 1
    assert hall.part3.states("ret_1").count("delivered") == 1


async def test_a_lost_request_goes_again_once_it_is_surely_absent(hall: Hall) -> None:
    left = [OutcomeUnknown("cut")]

    def lose(step: str) -> None:
        if step == "write.lost" and left:
            raise left.pop()

    hall.procore.fault = lose
    running = Running(hall.worker("w-1"))
    await hall.until("delivered")
    await running.stop()
    assert hall.procore.executed == 1
    sends = await hall.postgres.fetchval("SELECT sends FROM mirror.write_intents")
    assert sends == 2


async def test_a_held_return_goes_by_itself_when_its_author_authorizes(hall: Hall) -> None:
    ids, hall.grants.ids = hall.grants.ids, {}
    running = Running(hall.worker("w-1"))
    await hall.until("held")
    hall.grants.ids = ids
    await hall.until("delivered")
    await running.stop()
    events = await hall.postgres.fetch("SELECT event, words FROM mirror.activity ORDER BY id")
    assert [row["event"] for row in events] == ["return.held", "return.delivered"]
    assert events[0]["words"].startswith("Amy Chen's return to this RFI is held. Amy Chen has not")


async def test_a_held_response_goes_by_itself_once_both_parties_confirmed_it(hall: Hall) -> None:
    no_action = ResponseOption(id="9", name="No Action Taken", considered="for record only")
    hall.procore.record = submittal()
    hall.procore.options = (*OPTIONS, no_action)
    hall.part3.returns = {"ret_1": answer_to(submittal(), disposition="not_reviewed", stamp=None)}
    hall.grants.agreed = agreed(proposal(prime_consultant=None))
    async with hall.postgres.transaction() as queries:
        await note_put(queries, PROJECT, "v1", submittal())
    running = Running(hall.worker("w-1"))
    await hall.until("held")
    assert await hall.postgres.fetchval("SELECT reason FROM mirror.deliveries") == "code_unmapped"
    hall.grants.agreed = agreed(proposal())
    await hall.until("delivered")
    await running.stop()
    row = await hall.postgres.fetchrow("SELECT receipt FROM mirror.deliveries")
    assert row is not None
    assert row["receipt"]["response"] == "No Action Taken"
