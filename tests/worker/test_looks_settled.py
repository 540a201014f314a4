"""What a look costs beyond its read: a settling listing only where it may have been stale."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.records import Kind
from sync_worker.inbound.look_store import Room
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, START, later, rfi_json, submittal_json

pytestmark = pytest.mark.postgres

ROOM = Room()
MAYA = {"id": 7, "name": "Maya"}
HELD: dict[str, Any] = {"ball_in_courts": [MAYA], "ball_in_court": [MAYA]}


async def noticed(bench: Bench, kind: Kind, *ids: str, at_s: float, gone: bool = False) -> None:
    """Have records looked at as a notice of that moment asks for it."""
    for one in ids:
        await bench.postgres.execute(
            "INSERT INTO mirror.looks (project_id, kind, procore_id, due_at, priority,"
            " first_moment, last_moment, gone) VALUES ($1, $2, $3, now(), 1, $4, $4, $5)",
            PROJECT,
            kind,
            one,
            START + timedelta(seconds=at_s),
            gone,
        )
    bench.worker.looking.wake()


async def test_a_look_that_surely_read_the_change_lists_nothing(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, **HELD))
    await bench.backfilled()
    bench.procore.hold("rfi", rfi_json(1, subject="New", updated_at=later(60), **HELD))
    await noticed(bench, "rfi", "1", at_s=60.5)
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert (await bench.row("sweeps", kind="rfi"))["settle_at"] is None
    row = await bench.row("records", kind="rfi")
    assert row["fresh_until"] == START + timedelta(seconds=60.5)


async def test_a_stale_look_is_listed_and_so_mended(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, **HELD))
    await bench.backfilled()
    await bench.swept()
    await noticed(bench, "rfi", "1", at_s=60)  # Procore still shows the state before
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    row = await bench.row("sweeps", kind="rfi")
    assert row["settle_at"] is not None
    assert (await bench.row("records", kind="rfi"))["fresh_until"] is None
    now = datetime.now(UTC).isoformat()
    bench.procore.hold("rfi", rfi_json(1, subject="New", updated_at=now, **HELD))
    await bench.postgres.execute("UPDATE mirror.sweeps SET settle_at = now()")

    async def mended() -> bool:
        return bool(bench.shown("rfi", "1").title == "New")

    async with bench.worker.running():
        await bench.until(mended)


async def test_a_deleted_record_that_is_still_shown_is_read_until_it_is_not(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, **HELD))
    await bench.backfilled()
    await noticed(bench, "rfi", "1", at_s=60, gone=True)

    async def stale() -> Any:
        return [row for row in await bench.rows("looks") if row["reason"] == "stale"]

    async with bench.worker.running(sweeping=False):
        await bench.until(stale)
        bench.procore.recycle("rfi", "1")
        await bench.until(bench.nothing_to_look_at)
    assert bench.shown("rfi", "1").status == "removed"


async def test_to_see_that_an_rfi_was_deleted_costs_no_404(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, **HELD))
    await bench.backfilled()
    bench.procore.recycle("rfi", "1")
    bench.procore.calls.clear()
    await noticed(bench, "rfi", "1", at_s=60, gone=True)
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert bench.shown("rfi", "1").status == "removed"
    assert [name for name, _ in bench.procore.calls] == ["rfis_listed", "recycled"]


async def test_a_record_that_is_not_shown_yet_is_listed_for(bench: Bench) -> None:
    await bench.backfilled()
    await noticed(bench, "rfi", "9", at_s=60)
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert (await bench.row("sweeps", kind="rfi"))["settle_at"] is not None


async def test_those_who_ask_meanwhile_put_a_settling_off_but_not_for_ever(bench: Bench) -> None:
    await bench.backfilled()
    await bench.swept()  # no listing is left in its middle
    looks = bench.worker.looks
    await noticed(bench, "rfi", "9", at_s=60)
    (look,) = [one for one in await bench.worker.looks.claim(ROOM) if one.procore_id == "9"]
    await looks.judged(look, fresh=False)
    by = (await bench.row("sweeps", kind="rfi"))["settle_by"]
    await bench.postgres.execute(
        "UPDATE mirror.sweeps SET settle_by = now() + interval '5 s' WHERE kind = 'rfi'"
    )
    await looks.judged(look, fresh=False)
    row = await bench.row("sweeps", kind="rfi")
    assert row["settle_at"] == row["settle_by"] < by
    await bench.postgres.execute("UPDATE mirror.sweeps SET due_at = now() + interval '1 hour'")
    await bench.postgres.execute(
        "UPDATE mirror.sweeps SET settle_at = now(), settle_by = now() WHERE kind = 'rfi'"
    )
    sweep = await bench.worker.sweeps.claim(backfill=False)
    assert sweep is not None
    row = await bench.row("sweeps", kind="rfi")
    assert row["started_at"] < row["settle_at"] < row["settle_by"]  # for those who asked last
    await bench.worker.sweeps.listed(sweep)
    await bench.postgres.execute("UPDATE mirror.sweeps SET settle_at = now() WHERE kind = 'rfi'")
    last = await bench.worker.sweeps.claim(backfill=False)
    assert last is not None
    await bench.worker.sweeps.listed(last)
    assert (await bench.row("sweeps", kind="rfi"))["settle_at"] is None  # and not for ever


async def test_submittals_changed_one_after_the_other_are_read_with_one_call(bench: Bench) -> None:
    bench.procore.hold("submittal", *(submittal_json(n) for n in range(1, 31)))
    await bench.backfilled()
    bench.procore.calls.clear()
    looks = type(bench.worker.looks)(bench.postgres, "w-1", retry_max_s=1.0, gather_s=1.5)
    await bench.postgres.executemany(
        "INSERT INTO mirror.looks (project_id, kind, procore_id, due_at, priority)"
        " VALUES ($1, 'submittal', $2, now() + make_interval(secs => $3), 1)",
        [(PROJECT, str(n), n / 20 - 1) for n in range(1, 31)],
    )
    assert await looks.claim(ROOM) == []  # some are due, and the last of them is half a second off
    assert await looks.claim(ROOM) == [] or bench.procore is None
    wait_s = await looks.seconds_to_next(ROOM)
    assert wait_s is not None

    async def claimed() -> Any:
        return await looks.claim(ROOM)

    assert len(await bench.until(claimed)) == 30


async def test_a_reply_that_a_look_shows_lists_nothing(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, **HELD))
    await bench.backfilled()
    await bench.swept()
    await bench.postgres.execute(
        "INSERT INTO mirror.awaited_replies (project_id, reply_id, reason, occurred_at, list_at)"
        " VALUES ($1, '81', 'create', now(), now() + interval '1 hour'),"
        " ($1, '82', 'create', now(), now() + interval '2 hours')",
        PROJECT,
    )
    await bench.postgres.execute(
        "UPDATE mirror.sweeps SET wanted_at = now() + interval '1 hour' WHERE kind = 'rfi'"
    )
    question = {"body": "Why?", "answers": [{"id": 81, "body": "So."}], "attachments": []}
    changed = rfi_json(1, updated_at=later(60), questions=[question], **HELD)
    bench.procore.hold("rfi", changed)
    await bench.looked("rfi", "1")
    (left,) = await bench.rows("awaited_replies")
    assert left["reply_id"] == "82"
    assert (await bench.row("sweeps", kind="rfi"))["wanted_at"] == left["list_at"]


async def test_a_reply_that_no_look_shows_is_listed_for_twice(bench: Bench) -> None:
    await bench.backfilled()
    await bench.swept()
    await bench.postgres.execute(
        "INSERT INTO mirror.awaited_replies (project_id, reply_id, reason, list_at)"
        " VALUES ($1, '81', 'create', now())",
        PROJECT,
    )
    bench.procore.calls.clear()
    for listings in (1, 2):
        await bench.postgres.execute("UPDATE mirror.sweeps SET wanted_at = now() WHERE kind='rfi'")

        async def listed(so_often: int = listings) -> bool:
            row = await bench.row("sweeps", kind="rfi")
            return (
                len(bench.procore.asked("page")) == so_often
                and row["next_page"] is None
                and row["lease_owner"] is None
            )

        async with bench.worker.running():
            await bench.until(listed)
        row = await bench.row("sweeps", kind="rfi")
        if listings == 1:
            (again,) = await bench.rows("awaited_replies")
            assert row["wanted_at"] == again["list_at"]  # once more when reads have settled
            await bench.postgres.execute("UPDATE mirror.awaited_replies SET list_at = now()")
    assert await bench.rows("awaited_replies") == []
    assert (await bench.row("sweeps", kind="rfi"))["wanted_at"] is None
