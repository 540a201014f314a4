"""Notices become rows of work in a real PostgreSQL, whatever their number, order and content."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from services.errors import TryLater
from services.postgres import Postgres, Queries, migrate, open_postgres
from sync_worker.inbound.look_store import Looks, Room
from tests.inbound.intake_bench import (
    ADD_PROJECT,
    ADD_SWEEP,
    NOW,
    Bench,
    from_part3,
    from_procore,
    record_of,
)

pytestmark = pytest.mark.postgres


@pytest_asyncio.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database, max_size=4) as postgres:
        await postgres.execute(ADD_PROJECT, "prj_1", "active")
        await postgres.executemany(ADD_SWEEP, [("rfi",), ("submittal",)])
        yield Bench(postgres)


async def test_the_same_notice_twenty_times_is_one_look(bench: Bench) -> None:
    notice = record_of(from_procore())
    await bench.intake.handle([notice] * 12)
    (before,) = await bench.rows("looks")
    for _ in range(8):
        await bench.intake.handle([notice])
    (look,) = await bench.rows("looks")
    assert (look["kind"], look["procore_id"], look["priority"]) == ("rfi", "101", 1)
    assert look["asked"] == 20
    assert look["due_at"] == before["due_at"]  # a stream of notices puts no look off
    assert set(bench.woken) == {"looks", "deliveries", "sweeps"}


async def test_the_order_of_notices_does_not_matter(bench: Bench) -> None:
    notices = [
        record_of(from_procore(record_id=str(n % 4), reason=reason, notice_id=f"n-{n}"))
        for n, reason in enumerate(["create", "update", "delete", "a new word"] * 4)
    ]
    random.Random(7).shuffle(notices)
    await bench.intake.handle(notices)
    assert sorted(row["procore_id"] for row in await bench.rows("looks")) == ["0", "1", "2", "3"]


async def test_a_look_that_waits_long_is_brought_forward_by_a_notice(bench: Bench) -> None:
    await bench.postgres.execute(
        "INSERT INTO mirror.looks (project_id, kind, procore_id, due_at, priority)"
        " VALUES ('prj_1', 'rfi', '101', now() + interval '1 hour', 3)"
    )
    await bench.intake.handle([record_of(from_procore())])
    row = await bench.postgres.fetchrow(
        "SELECT due_at < now() + interval '10 s' AS soon, priority FROM mirror.looks"
    )
    assert row is not None
    assert (row["soon"], row["priority"]) == (True, 1)


async def test_a_submittals_notice_wants_its_look_and_no_listing(bench: Bench) -> None:
    await bench.intake.handle([record_of(from_procore(resource="submittal"))])
    (look,) = await bench.rows("looks")
    assert look["kind"] == "submittal"
    assert await bench.due_soon("submittal") == (False, False)
    assert await bench.due_soon("rfi") == (False, False)


async def test_a_replys_notice_names_no_rfi_so_changed_rfis_are_listed(bench: Bench) -> None:
    await bench.intake.handle([record_of(from_procore(resource="rfi_reply", record_id="9202"))])
    assert await bench.rows("looks") == []
    assert await bench.due_soon("rfi") == (True, False)


async def test_the_echo_of_a_reply_that_we_delivered_lists_nothing(bench: Bench) -> None:
    await bench.postgres.execute(
        "INSERT INTO mirror.deliveries (return_id, project_id, state, remote_id)"
        " VALUES ('ret_1', 'prj_1', 'delivered', '9202')"
    )
    echo = from_procore(resource="rfi_reply", record_id="9202", reason="create")
    await bench.intake.handle([record_of(echo)])
    assert await bench.due_soon("rfi") == (False, False)


async def test_a_notice_of_what_a_look_has_surely_shown_is_no_work(bench: Bench) -> None:
    await bench.postgres.execute(
        "INSERT INTO mirror.records (project_id, kind, procore_id, fresh_until)"
        " VALUES ('prj_1', 'rfi', '101', $1)",
        NOW,
    )
    for at in (NOW, NOW - timedelta(minutes=5)):  # sent again, and late
        await bench.intake.handle([record_of(from_procore(occurred_at=at))])
    assert await bench.rows("looks") == []
    for newer in (NOW + timedelta(microseconds=1), None):
        await bench.intake.handle([record_of(from_procore(occurred_at=newer))])
        (look,) = await bench.rows("looks")
        await bench.postgres.execute("DELETE FROM mirror.looks")
        assert look["last_moment"] == newer


async def test_looks_at_one_record_keep_a_distance_that_the_first_does_not_wait_for(
    bench: Bench,
) -> None:
    await bench.postgres.execute(
        "INSERT INTO mirror.records (project_id, kind, procore_id, looked_at)"
        " VALUES ('prj_1', 'rfi', '101', now()), ('prj_1', 'rfi', '102', now() - interval '1 min')"
    )
    notices = [record_of(from_procore(record_id=one)) for one in ("101", "102")]
    await bench.intake.handle(notices)
    due = await bench.postgres.fetch(
        "SELECT round(extract(epoch FROM due_at - first_asked_at)::numeric, 1)::float8 AS wait_s"
        " FROM mirror.looks ORDER BY procore_id"
    )
    assert [round(row["wait_s"]) for row in due] in ([4, 2], [5, 2])


async def test_a_repeat_asks_for_nothing_more_of_a_look_under_way(bench: Bench) -> None:
    first = from_procore(occurred_at=NOW)
    await bench.intake.handle([record_of(first)])
    await bench.postgres.execute("UPDATE mirror.looks SET claimed_by = 'w-1'")
    await bench.intake.handle([record_of(first)])
    (look,) = await bench.rows("looks")
    assert look["asked"] == 1
    later = from_procore(notice_id="n-2", occurred_at=NOW + timedelta(seconds=1))
    await bench.intake.handle([record_of(later)])
    (look,) = await bench.rows("looks")
    assert (look["asked"], look["first_moment"], look["last_moment"]) == (
        2,
        NOW,
        NOW + timedelta(seconds=1),
    )


@pytest.mark.parametrize(
    "fields",
    [{"procore_project_id": "502"}, {"procore_company_id": "78"}, {"procore_project_id": ""}],
)
async def test_a_notice_of_another_procore_project_is_no_work(
    bench: Bench, fields: dict[str, Any]
) -> None:
    await bench.intake.handle([record_of(from_procore(**fields))])
    assert await bench.rows("looks") == []
    assert await bench.due_soon("rfi") == (False, False)


async def test_an_older_payload_that_names_no_company_is_work(bench: Bench) -> None:
    await bench.intake.handle([record_of(from_procore(procore_company_id=None))])
    assert len(await bench.rows("looks")) == 1


@pytest.mark.parametrize("event", ["return.created", "return.confirmed", "return.withdrawn"])
async def test_a_return_becomes_one_delivery(bench: Bench, event: str) -> None:
    notice = from_part3(event, return_id="ret_1", kind="rfi", procore_id="101", user_id="amy")
    for _ in range(3):
        await bench.intake.handle([record_of(notice)])
    (delivery,) = await bench.rows("deliveries")
    assert (delivery["return_id"], delivery["project_id"]) == ("ret_1", "prj_1")
    assert (delivery["procore_id"], delivery["author_user_id"]) == ("101", "amy")
    assert delivery["due_at"] is not None


async def test_a_record_changed_in_part3_is_looked_at(bench: Bench) -> None:
    changed = from_part3("record.changed", kind="submittal", procore_id="41")
    odd = from_part3("record.changed", kind="drawing", procore_id="42")
    await bench.intake.handle([record_of(changed), record_of(odd)])
    assert [row["procore_id"] for row in await bench.rows("looks")] == ["41"]


async def test_a_changed_member_brings_held_returns_forward(bench: Bench) -> None:
    created = from_part3("return.created", return_id="ret_1", kind="rfi", procore_id="101")
    await bench.intake.handle([record_of(created)])
    await bench.postgres.execute(
        "UPDATE mirror.deliveries SET state = 'held', due_at = now() + interval '1 hour'"
    )
    await bench.intake.handle([record_of(from_part3("member.changed", user_id="amy"))])
    row = await bench.postgres.fetchrow("SELECT due_at <= now() AS due FROM mirror.deliveries")
    assert row is not None
    assert row["due"]


@pytest.mark.parametrize(
    "more",
    [
        {"value": b"{"},
        {"value": None},
        {"value": b"[]"},
        {"value": b"[" * 100_000},
        {"value": b'{"project_id": 5}'},
        {"value": msgspec.json.encode(from_procore(record_id="1\0"))},
        {"key": b"prj_2"},
        {"key": None},
    ],
    ids=["cut", "none", "list", "deep", "fields", "nul", "other key", "no key"],
)
async def test_what_cannot_be_read_is_buried_and_stops_nothing(
    bench: Bench, more: dict[str, Any]
) -> None:
    await bench.intake.handle([record_of(from_procore(), **more), record_of(from_procore())])
    assert len(bench.buried) == 1
    assert len(await bench.rows("looks")) == 1


@pytest.mark.parametrize("said", [None, b"\xff", b"00-1\0", b"x", b""])
async def test_a_broken_trace_costs_no_notice(bench: Bench, said: Any) -> None:
    await bench.intake.handle([record_of(from_procore(), headers={"traceparent": said})])
    (look,) = await bench.rows("looks")
    assert (look["traceparent"], bench.buried) == (None, [])


async def test_a_trace_goes_on_with_the_look(bench: Bench) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"traceparent": trace.encode()}
    await bench.intake.handle([record_of(from_procore(), headers=headers)])
    (look,) = await bench.rows("looks")
    assert (look["traceparent"], look["notice_id"]) == (trace, "n-1")


async def test_an_unknown_project_is_learned_of_and_its_notice_kept(bench: Bench) -> None:
    bench.connects = {"prj_new"}
    await bench.intake.handle([record_of(from_procore(project_id="prj_new"))])
    assert bench.learned == ["prj_new"]
    assert [row["project_id"] for row in await bench.rows("looks")] == ["prj_new"]


async def test_a_project_that_is_not_connected_is_no_work(bench: Bench) -> None:
    await bench.postgres.execute(ADD_PROJECT, "prj_gone", "disconnected")
    notices = [from_procore(project_id=one) for one in ("prj_gone", "prj_never", "prj_1")]
    await bench.intake.handle([record_of(one) for one in notices])
    assert sorted(bench.learned) == ["prj_gone", "prj_never"]
    assert [row["project_id"] for row in await bench.rows("looks")] == ["prj_1"]


async def test_a_project_that_is_not_connected_is_asked_for_once_a_minute(bench: Bench) -> None:
    clock = [100.0]
    bench.intake.monotonic = lambda: clock[0]
    notice = record_of(from_procore(project_id="prj_never"))
    for _ in range(5):
        await bench.intake.handle([notice])
    assert bench.learned == ["prj_never"]
    clock[0] += 61
    await bench.intake.handle([notice])
    assert bench.learned == ["prj_never"] * 2


async def test_the_notices_of_others_do_not_wait_for_an_unknown_project(bench: Bench) -> None:
    async def away(project_id: str) -> None:
        raise TryLater("away", reason="token_service_down")

    bench.intake.learn = away
    unknown = record_of(from_procore(project_id="prj_new"))
    await bench.intake.handle([unknown, record_of(from_procore())])
    assert [row["project_id"] for row in await bench.rows("looks")] == ["prj_1"]
    bench.intake.learn, bench.connects = bench.learn, {"prj_new"}
    await bench.intake.handle([unknown])
    assert len(await bench.rows("looks")) == 2


async def test_a_notice_leaves_the_claim_of_a_look_under_way_and_asks_for_another(
    bench: Bench,
) -> None:
    looks = Looks(bench.postgres, "w-1", retry_max_s=60)
    await bench.intake.handle([record_of(from_procore())])
    await bench.postgres.execute("UPDATE mirror.looks SET due_at = now()")
    (look,) = await looks.claim(Room())
    newer = from_procore(notice_id="n-2", occurred_at=NOW + timedelta(seconds=1))
    await bench.intake.handle([record_of(newer)])
    row = await bench.postgres.fetchrow(
        "SELECT claimed_by, due_at > now() + interval '20 seconds' AS kept FROM mirror.looks"
    )
    assert row is not None
    assert (row["claimed_by"], row["kept"]) == ("w-1", True)
    await looks.done(look)
    (again,) = await bench.rows("looks")
    assert (again["claimed_by"], again["asked"], again["notice_id"]) == (None, 2, "n-2")


async def test_whom_the_newest_notice_names_is_kept_for_the_look(bench: Bench) -> None:
    await bench.intake.handle([record_of(from_procore(procore_user_id="9001"))])
    (look,) = await bench.rows("looks")
    assert look["changed_by"] == "9001"
    newer = from_procore(procore_user_id="9009", notice_id="n-2")
    await bench.intake.handle([record_of(newer)])
    unnamed = from_procore(procore_user_id=None, notice_id="n-3")
    await bench.intake.handle([record_of(unnamed)])
    (look,) = await bench.rows("looks")
    assert look["changed_by"] == "9009"


async def test_a_batch_locks_its_looks_for_one_statement_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    transaction = Postgres.transaction

    class Counted:
        def __init__(self, queries: Queries) -> None:
            self.queries = queries

        async def execute(self, sql: str, *args: Any) -> None:
            asked.append(sql)
            await self.queries.execute(sql, *args)

    @asynccontextmanager
    async def counted(postgres: Postgres) -> AsyncIterator[Counted]:
        async with transaction(postgres) as queries:
            yield Counted(queries)

    monkeypatch.setattr(Postgres, "transaction", counted)
    await bench.intake.handle([record_of(from_procore(record_id=str(n % 5))) for n in range(50)])
    assert len(asked) == 1
    assert [row["asked"] for row in await bench.rows("looks")] == [10] * 5


async def test_notices_of_one_batch_say_together_what_they_say_alone(bench: Bench) -> None:
    await bench.postgres.execute(
        "INSERT INTO mirror.records (project_id, kind, procore_id, fresh_until)"
        " VALUES ('prj_1', 'rfi', '101', $1)",
        NOW,
    )
    said: list[dict[str, Any]] = [
        {"notice_id": "shown", "occurred_at": NOW - timedelta(minutes=1), "reason": "delete"},
        {"notice_id": "last", "occurred_at": NOW + timedelta(minutes=3)},
        {"notice_id": "first", "occurred_at": NOW + timedelta(minutes=2), "procore_user_id": "9"},
        {"notice_id": "timeless", "occurred_at": None, "procore_user_id": None},
    ]
    await bench.intake.handle([record_of(from_procore(**one)) for one in said])
    (look,) = await bench.rows("looks")
    assert (look["notice_id"], look["gone"], look["changed_by"]) == ("timeless", False, "9")
    assert look["first_moment"] == NOW + timedelta(minutes=2)
    assert look["last_moment"] == NOW + timedelta(minutes=3)


async def test_a_notices_minutes_begin_with_it_and_not_with_a_listing_before_it(
    bench: Bench,
) -> None:
    await bench.postgres.execute(
        "INSERT INTO mirror.looks (project_id, kind, procore_id, due_at, priority, minutes)"
        " VALUES ('prj_1', 'rfi', '101', now() + interval '1 hour', 3,"
        " jsonb_build_object('since', now() - interval '5 hours'))"
    )
    await bench.intake.handle([record_of(from_procore())])
    (look,) = await bench.rows("looks")
    assert look["minutes"] is None
    kept = {"since": "2026-11-24T08:00:00Z"}
    await bench.postgres.execute("UPDATE mirror.looks SET minutes = $1", kept)
    await bench.intake.handle([record_of(from_procore(notice_id="n-2"))])
    (look,) = await bench.rows("looks")
    assert look["minutes"] == kept  # those of the notice before it go on
