"""Leases, order and fairness of deliveries, as only a real PostgreSQL decides them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace

from schemas.records import Person
from schemas.returns import Delivery
from services.postgres import Postgres, migrate, open_postgres
from sync_worker.outbound.delivery_store import (
    Change,
    PostgresDeliveries,
    Task,
    ask_author_deliveries,
    ask_delivery,
    ask_record_deliveries,
)
from sync_worker.outbound.intent_store import LeaseLost
from sync_worker.outbound.marker import install_key
from sync_worker.outbound.memory import PostgresMemory
from sync_worker.outbound.missed import ask_for_missed_returns
from sync_worker.outbound.standing import Standing
from sync_worker.outbound.versions import note_version
from tests.outbound.fakes import FakePart3
from tests.outbound.samples import AMY, NOON, PROJECT, TOM, answer_to, reply, rfi, seen_of

pytestmark = pytest.mark.postgres

HELD = Standing(state="held", reason="record_closed", message="closed", again_in_s=60)
CONNECT = """
INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
    reader_user_id, state, connection_updated_at)
VALUES ($1, '10', '20', 'u-owner', 'u-owner', 'active', now())
"""


@pytest_asyncio.fixture
async def postgres(database: str) -> AsyncIterator[Postgres]:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database, max_size=4) as pool:
        yield pool


def store(postgres: Postgres, worker_id: str = "w-1", lease_s: float = 30) -> PostgresDeliveries:
    return PostgresDeliveries(postgres, worker_id=worker_id, lease_s=lease_s)


async def ask(
    postgres: Postgres,
    return_id: str,
    *,
    record: str = "54321",
    project: str = PROJECT,
    author: str = AMY.user_id,
) -> None:
    await ask_delivery(
        postgres,
        project_id=project,
        return_id=return_id,
        kind="rfi",
        procore_id=record,
        author_user_id=author,
    )


async def claim(deliveries: PostgresDeliveries) -> Task:
    task = await deliveries.claim()
    assert task is not None
    return task


async def test_a_return_is_leased_to_one_worker_only(postgres: Postgres) -> None:
    await ask(postgres, "ret_1")
    workers = [store(postgres, f"w-{n}") for n in range(4)]
    claims = await asyncio.gather(*(worker.claim() for worker in workers))
    assert [task.return_id for task in claims if task] == ["ret_1"]


async def test_many_workers_share_the_work_and_take_nothing_twice(postgres: Postgres) -> None:
    for n in range(20):
        await ask(postgres, f"ret_{n:02}", record=str(n))
    workers = [store(postgres, f"w-{n}") for n in range(4)]
    taken: list[str] = []

    async def work(worker: PostgresDeliveries) -> None:
        while len(taken) < 20:
            if (task := await worker.claim()) is not None:
                taken.append(task.return_id)

    async with asyncio.timeout(20):
        await asyncio.gather(*map(work, workers))
    assert sorted(taken) == [f"ret_{n:02}" for n in range(20)]


async def test_two_returns_of_one_record_are_not_worked_on_at_once(postgres: Postgres) -> None:
    await ask(postgres, "ret_1")
    await ask(postgres, "ret_2", author=TOM.user_id)
    first = await claim(store(postgres))
    assert await store(postgres, "w-2").claim() is None
    await store(postgres).release(first, HELD, None)
    assert (await claim(store(postgres, "w-2"))).return_id == "ret_2"


async def test_even_two_claims_at_the_same_moment_take_only_one_of_a_record(
    postgres: Postgres,
) -> None:
    for n in range(6):
        await ask(postgres, f"ret_{n}", author=f"u-{n}")
    claims = await asyncio.gather(*(store(postgres, f"w-{n}").claim() for n in range(4)))
    assert len([task for task in claims if task]) == 1


async def test_an_earlier_return_of_the_same_author_goes_first_but_a_held_one_blocks_nothing(
    postgres: Postgres,
) -> None:
    await ask(postgres, "ret_1")
    await ask(postgres, "ret_2")
    deliveries = store(postgres)
    first = await claim(deliveries)
    assert first.return_id == "ret_1"
    await deliveries.settle(first, Standing(state="waiting", reason="rate_limited"), None)
    await deliveries.release(first, Standing(state="waiting", again_in_s=60), None)
    assert await deliveries.claim() is None
    await ask(postgres, "ret_1")
    first = await claim(deliveries)
    await deliveries.settle(first, HELD, None)
    await deliveries.release(first, HELD, None)
    assert (await claim(deliveries)).return_id == "ret_2"


async def test_another_authors_return_does_not_wait_for_a_waiting_one(postgres: Postgres) -> None:
    await ask(postgres, "ret_1")
    deliveries = store(postgres)
    first = await claim(deliveries)
    await deliveries.settle(first, Standing(state="waiting", reason="outcome_unknown"), None)
    await deliveries.release(first, Standing(state="waiting", again_in_s=180), None)
    await ask(postgres, "ret_2", author=TOM.user_id)
    assert (await claim(deliveries)).return_id == "ret_2"


async def test_a_busy_project_does_not_keep_another_waiting(postgres: Postgres) -> None:
    for n in range(10):
        await ask(postgres, f"ret_{n}", record=str(n), project="busy")
    await ask(postgres, "ret_quiet", record="99", project="quiet")
    deliveries = store(postgres)
    taken = [(await claim(deliveries)).project_id for _ in range(2)]
    assert sorted(taken) == ["busy", "quiet"]


async def test_what_a_return_is_about_is_learned_when_it_is_read(postgres: Postgres) -> None:
    await ask_delivery(postgres, project_id=PROJECT, return_id="ret_2")
    await ask_delivery(postgres, project_id=PROJECT, return_id="ret_1")
    deliveries = store(postgres)
    later = replace(answer_to(rfi()), id="ret_2", returned_at=NOON + timedelta(seconds=5))
    earlier = replace(answer_to(rfi()), id="ret_1", returned_at=NOON)
    tasks = {task.return_id: task for task in [await claim(deliveries), await claim(deliveries)]}
    assert await deliveries.identify(tasks["ret_1"], earlier)
    assert not await deliveries.identify(tasks["ret_2"], later), "the record is being worked on"


async def test_a_worker_that_slept_through_its_lease_changes_nothing(postgres: Postgres) -> None:
    await ask(postgres, "ret_1")
    sleeper = store(postgres, "w-1", lease_s=0.05)
    slept = await claim(sleeper)
    await asyncio.sleep(0.1)
    taken = await claim(store(postgres, "w-2"))
    assert taken.fence > slept.fence
    assert not await sleeper.renew(slept)
    with pytest.raises(LeaseLost):
        await sleeper.settle(slept, HELD, None)
    await sleeper.release(slept, HELD, None)
    assert await store(postgres, "w-2").renew(taken)


async def test_a_restarted_worker_frees_what_it_held(postgres: Postgres) -> None:
    await ask(postgres, "ret_1")
    await claim(store(postgres, "w-1"))
    assert await store(postgres, "w-1").claim() is None
    await store(postgres, "w-1").free_own()
    assert (await claim(store(postgres, "w-1"))).return_id == "ret_1"


async def test_a_worker_frees_what_it_holds_without_knowing(postgres: Postgres) -> None:
    await ask(postgres, "ret_1")
    await ask(postgres, "ret_2", record="54322")
    worker, other = store(postgres, "w-1"), store(postgres, "w-2")
    lost, known = await claim(worker), await claim(worker)
    await other.free_lost([])
    await worker.free_lost([known.return_id])
    assert (await claim(other)).return_id == lost.return_id
    assert await worker.renew(known)


async def test_a_lease_that_is_given_back_is_free_soon_unless_another_has_it(
    postgres: Postgres,
) -> None:
    await ask(postgres, "ret_1")
    sleeper = store(postgres, lease_s=0.05)
    slept = await claim(sleeper)
    await asyncio.sleep(0.1)
    taken = await claim(store(postgres, "w-2"))
    await sleeper.give_back(slept, after_s=1.0)
    assert await store(postgres, "w-2").renew(taken)
    await store(postgres, "w-2").give_back(taken, after_s=1.0)
    async with asyncio.timeout(10):
        while (again := await store(postgres, "w-3").claim()) is None:
            await asyncio.sleep(0.1)
    assert again.return_id == "ret_1"


async def test_an_event_during_an_attempt_makes_it_due_again_at_once(postgres: Postgres) -> None:
    await ask(postgres, "ret_1")
    deliveries = store(postgres)
    task = await claim(deliveries)
    await ask(postgres, "ret_1")
    await deliveries.settle(task, HELD, None)
    await deliveries.release(task, HELD, None)
    again = await claim(deliveries)
    assert (again.asked, again.state, again.reason) == (2, "held", "record_closed")


async def test_what_is_delivered_and_acknowledged_is_never_due_again(postgres: Postgres) -> None:
    await ask(postgres, "ret_1")
    deliveries = store(postgres)
    task = await claim(deliveries)
    done = Standing(state="delivered", message="arrived")
    await deliveries.settle(task, done, Change(event="return.delivered", words="It arrived."))
    await deliveries.release(task, done, Delivery(state="delivered", as_of=NOON))
    await ask(postgres, "ret_1")
    assert await deliveries.claim() is None
    assert await postgres.fetchval("SELECT words FROM mirror.activity") == "It arrived."
    looks = await postgres.fetch("SELECT kind, procore_id, priority FROM mirror.looks")
    assert [dict(row) for row in looks] == [{"kind": "rfi", "procore_id": "54321", "priority": 1}]


async def test_a_standing_comes_back_as_it_was_noted(postgres: Postgres) -> None:
    await ask(postgres, "ret_1")
    deliveries = store(postgres)
    task = await claim(deliveries)
    gale = Person(name="Gale", procore_id="9009")
    told = replace(HELD, mended_by=gale).report(NOON)
    await deliveries.settle(task, replace(HELD, mended_by=gale), None)
    await deliveries.release(task, replace(HELD, again_in_s=0), told)
    again = await claim(deliveries)
    assert (again.mended_by, again.reported, again.attempts) == (gale, told, 1)


async def test_authorizing_or_a_changed_record_makes_held_returns_due(postgres: Postgres) -> None:
    deliveries = store(postgres)
    for return_id, record in (("ret_1", "1"), ("ret_2", "2")):
        await ask(postgres, return_id, record=record)
        task = await claim(deliveries)
        await deliveries.settle(task, HELD, None)
        await deliveries.release(task, HELD, None)
    await ask_record_deliveries(postgres, PROJECT, "rfi", "2")
    task = await claim(deliveries)
    assert task.return_id == "ret_2"
    await deliveries.release(task, HELD, None)
    await ask_author_deliveries(postgres, AMY.user_id)
    assert {(await claim(deliveries)).return_id for _ in range(2)} == {"ret_1", "ret_2"}


async def test_the_marker_key_is_made_once(postgres: Postgres) -> None:
    keys = await asyncio.gather(*(install_key(postgres) for _ in range(4)))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32


async def test_a_seen_version_comes_back_as_it_was_noted(postgres: Postgres) -> None:
    record = rfi(answers=(reply("1", rfi().manager or rfi().assignees[0].user),))
    async with postgres.transaction() as queries:
        await note_version(queries, PROJECT, "v1", record)
        await note_version(queries, PROJECT, "v1", record)
    memory = PostgresMemory(postgres)
    assert await memory.seen(answer_to(record)) == seen_of(record)
    other = answer_to(record, seen_content_version="v2")
    assert await memory.seen(other) is None


async def test_returns_whose_event_never_came_are_taken_up(postgres: Postgres) -> None:
    await postgres.execute(CONNECT, PROJECT)
    part3 = FakePart3({"ret_1": answer_to(rfi())})
    assert await ask_for_missed_returns(postgres, part3, every_s=60) == 1
    assert await ask_for_missed_returns(postgres, part3, every_s=60) == 0
    task = await claim(store(postgres))
    assert (task.return_id, task.kind, task.procore_id) == ("ret_1", "rfi", "54321")
    tie = await PostgresMemory(postgres).tie(PROJECT)
    assert tie is not None
    assert (tie.state, tie.place.project_id) == ("active", "20")


async def test_part3_being_away_leaves_the_question_for_later(postgres: Postgres) -> None:
    await postgres.execute(CONNECT, PROJECT)
    part3 = FakePart3({"ret_1": answer_to(rfi())}, down=True)
    assert await ask_for_missed_returns(postgres, part3, every_s=0.05) == 0
    part3.down = False
    await asyncio.sleep(0.1)
    assert await ask_for_missed_returns(postgres, part3, every_s=60) == 1


async def test_sends_to_a_record_count_for_ten_minutes(postgres: Postgres) -> None:
    memory, answer = PostgresMemory(postgres), answer_to(rfi())
    for n, minutes in enumerate((1, 9, 11)):
        await ask(postgres, f"ret_{n}")
        await postgres.execute(
            "INSERT INTO mirror.write_intents (op_key, marker, return_id, operation, state, "
            "sends, sent_at) VALUES ($1, $1, $1, 'rfi_reply', 'confirmed', 2, "
            "now() - make_interval(mins => $2))",
            f"ret_{n}",
            minutes,
        )
    assert await memory.writes_lately(answer) == 4
    assert await memory.writes_lately(answer_to(rfi(), procore_id="999")) == 0


async def test_reopened_without_a_word_a_second_reply_is_no_correction(postgres: Postgres) -> None:
    memory, answer = PostgresMemory(postgres), answer_to(rfi(), id="ret_2")
    author = rfi().assignees[0].user
    await ask(postgres, "ret_1")
    await postgres.execute(
        "INSERT INTO mirror.write_intents (op_key, marker, return_id, operation, state, remote_id) "
        "VALUES ('k', 'P3-2222222222', 'ret_1', 'rfi_reply', 'confirmed', '91')"
    )
    await postgres.execute(
        "INSERT INTO mirror.sealed_answers (return_id, project_id, kind, procore_id, remote_id, "
        "author_user_id, seal, sealed_at) "
        "VALUES ('ret_1', $1, 'rfi', '54321', '91', $2, '{}', now())",
        PROJECT,
        AMY.user_id,
    )
    async with postgres.transaction() as queries:
        await note_version(queries, PROJECT, "v1", rfi(answers=(reply("91", author),)))
    assert "2222222222" in (await memory.corrected(answer) or "")
    await postgres.execute(
        "INSERT INTO mirror.records (project_id, kind, procore_id, rounds) "
        "VALUES ($1, 'rfi', '54321', $2)",
        PROJECT,
        [{"because": "opened"}, {"because": "reopened", "before": ["91"]}],
    )
    assert await memory.corrected(answer) is None


async def test_a_new_standing_makes_it_unknown_what_part3_shows(postgres: Postgres) -> None:
    """The report of it may arrive without an answer, or the worker may die while it is sent."""
    deliveries = store(postgres)
    await ask(postgres, "ret_1")
    task = await deliveries.claim()
    assert task is not None
    await deliveries.settle(task, HELD, None)
    await deliveries.release(task, replace(HELD, again_in_s=0.0), HELD.report(NOON))
    task = await deliveries.claim()
    assert task is not None
    assert task.reported == HELD.report(NOON)
    await deliveries.settle(task, HELD, None)
    await deliveries.release(task, replace(HELD, again_in_s=0.0), None)
    task = await deliveries.claim()
    assert task is not None
    assert task.reported == HELD.report(NOON), "the same standing needs no telling"
    waiting = Standing(state="waiting", reason="procore_down", message="away", again_in_s=0.0)
    await deliveries.settle(task, waiting, None)
    await deliveries.release(task, waiting, None)
    task = await deliveries.claim()
    assert task is not None
    assert task.reported is None
