"""What is minded for whole projects: returns whose event never came, and hooks."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.returns import Return
from services.errors import TryLater
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, START, member, rfi_json, submittal_json

pytestmark = pytest.mark.postgres


def a_return(return_id: str) -> Return:
    return Return(
        id=return_id,
        project_id=PROJECT,
        kind="rfi",
        procore_id="1",
        author=member("usr_amy", "Amy Chen", role="prime_consultant"),
        returned_at=START,
        seen_content_version="v1",
        state="pending",
    )


async def test_a_return_whose_event_never_came_is_taken_up(bench: Bench) -> None:
    await bench.connect()
    bench.part3.pending = [a_return("ret_1")]
    assert not await bench.worker.duties.ask_for_returns()
    assert [row["return_id"] for row in await bench.rows("deliveries")] == ["ret_1"]
    assert bench.worker.deliveries_woken == 1


async def test_a_hook_in_order_lists_nothing(bench: Bench) -> None:
    await bench.backfilled()
    await bench.swept()
    await bench.postgres.execute("UPDATE mirror.projects SET hook_due_at = now()")
    assert await bench.worker.duties.mind_a_hook()
    assert not await bench.worker.duties.mind_a_hook()
    assert await bench.is_idle()
    project = await bench.row("projects")
    assert (project["hook_state"], project["hook_message"]) == ("ok", None)
    assert project["hook_checked_at"] is not None


@pytest.mark.parametrize("state", ["created", "repaired", "missed"])
async def test_a_mended_hook_lists_what_was_missed(bench: Bench, state: str) -> None:
    await bench.backfilled()
    await bench.swept()
    bench.procore.hold("rfi", rfi_json(1, updated_at=datetime.now(UTC).isoformat()))
    bench.tokens.hooks[PROJECT] = state
    await bench.postgres.execute("UPDATE mirror.projects SET hook_due_at = now()")
    async with bench.worker.running():
        assert await bench.worker.duties.mind_a_hook()

        async def came() -> bool:
            return bench.shown("rfi", "1") is not None

        await bench.until(came)
    assert (await bench.row("projects"))["hook_state"] == state
    assert ("hook.missed" if state == "missed" else "hook.repaired") in await bench.events()


async def test_a_hook_that_cannot_be_checked_is_soon_tried_again(bench: Bench) -> None:
    await bench.connect()
    await bench.postgres.execute("UPDATE mirror.projects SET hook_due_at = now()")
    bench.tokens.away = True
    assert await bench.worker.duties.mind_a_hook()
    soon = "SELECT hook_due_at < now() + interval '10 min' FROM mirror.projects"
    assert await bench.postgres.fetchval(soon)
    project = await bench.row("projects")
    assert (project["hook_state"], project["hook_message"]) == ("unchecked", "away")


async def test_no_duty_waits_for_another(bench: Bench) -> None:
    await bench.connect()
    await bench.postgres.execute("UPDATE mirror.projects SET hook_due_at = now()")
    asked = asyncio.Event()
    bench.part3.on["pending"] = lambda *_: asked.set()

    async def never(_project_id: str) -> str:
        await asyncio.Event().wait()
        return "ok"

    duties = bench.worker.duties
    object.__setattr__(duties, "ensure_hook", never)
    task = asyncio.create_task(duties.run(asyncio.Event()))
    async with asyncio.timeout(20):
        await asked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_duty_that_fails_is_tried_again_and_stops_nothing(bench: Bench) -> None:
    await bench.connect()
    asked: list[int] = []

    def fail(*_: Any) -> None:
        asked.append(1)
        message = "away"
        if len(asked) == 1:
            raise TryLater(message, reason="part3_down")
        raise ValueError(message)

    bench.part3.on["pending"] = fail
    stopping = asyncio.Event()
    task = asyncio.create_task(bench.worker.duties.run(stopping))
    for _ in range(2):
        await bench.postgres.execute("UPDATE mirror.projects SET returns_due_at = now()")
        await asyncio.sleep(1.2)
    assert len(asked) >= 2
    assert not task.done()
    stopping.set()
    async with asyncio.timeout(20):
        await task


async def test_after_13_hours_without_a_notice_everything_is_equal_by_itself(bench: Bench) -> None:
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 5)))
    bench.procore.hold("submittal", submittal_json(1), submittal_json(2))
    await bench.backfilled()
    await bench.swept()
    await bench.postgres.execute(
        "UPDATE mirror.sweeps SET settled_until = now() - interval '13 hours', "
        "audited_at = now() - interval '13 hours'"
    )
    began = datetime.now(UTC) - timedelta(hours=13)
    edited = [(began + timedelta(hours=hour)).isoformat() for hour in (1, 6, 12)]
    bench.procore.hold("rfi", rfi_json(1, subject="Edited early", updated_at=edited[0]))
    bench.procore.hold("rfi", rfi_json(9, subject="Asked meanwhile", updated_at=edited[1]))
    bench.procore.hold("submittal", submittal_json(1, title="Edited late", updated_at=edited[2]))
    bench.procore.recycle("rfi", "2")
    bench.tokens.hooks[PROJECT] = "missed"  # Procore threw its queue away after 12 hours
    await bench.postgres.execute("UPDATE mirror.projects SET hook_due_at = now()")
    async with bench.worker.running():
        assert await bench.worker.duties.mind_a_hook()
        await bench.until(bench.is_idle)
    titles = {key: one.title for key, one in bench.part3.held.items() if one.status != "removed"}
    assert titles == {
        key: raw.get("subject") or raw.get("title") for key, raw in bench.procore.held.items()
    }
    assert bench.shown("rfi", "2").status == "removed"
