"""What the operators pause rests in its rows, is late for nobody, and goes on in its order."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.pausing import Order, let_finish, let_go_on, let_rest
from connector.scopes import BOTH, Scope
from services.metrics import Metrics
from services.pauses import read_pauses
from sync_worker.inbound.look_store import Room
from sync_worker.measures import Measures
from sync_worker.outbound.delivery_store import PostgresDeliveries, ask_delivery
from sync_worker.outbound.standing import Standing
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, later, rfi_json

pytestmark = pytest.mark.postgres
OTHER = "prj_2"
NOTHING_DUE = """
SELECT NOT EXISTS (SELECT 1 FROM mirror.looks WHERE project_id = $1) AND NOT EXISTS (
  SELECT 1 FROM mirror.sweeps
  WHERE project_id = $1 AND (due_at <= now() OR next_page IS NOT NULL OR lease_owner IS NOT NULL))
"""
THIS, ALL = Scope("project", PROJECT), Scope("everything")


def order(scope: Scope = THIS, *directions: Any) -> Order:
    return Order(scope, directions or BOTH, "Dana", "Procore has an incident")


async def towards_part3(bench: Bench, project_id: str = PROJECT) -> Any:
    return read_pauses(await bench.row("projects", project_id=project_id)).to_part3


async def test_a_paused_project_is_not_read_and_goes_on_where_it_was(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, project_id="501"))
    await bench.connect(OTHER, procore_project_id="502", owner_user_id="usr_other")
    await bench.backfilled()
    await bench.swept()
    await let_rest(bench.postgres, order())
    changed = rfi_json(1, project_id="501", subject="Changed in the pause", updated_at=later(60))
    bench.procore.hold("rfi", changed, rfi_json(2, project_id="502", updated_at=later(60)))
    # what waits of the paused project comes before the other's
    await bench.want("rfi", "1")
    await bench.worker.looks.want(OTHER, "rfi", ["2"], 1)
    await bench.sweep_due()
    await bench.postgres.execute(
        "UPDATE mirror.sweeps SET due_at = due_at - interval '1 minute' WHERE project_id = $1",
        PROJECT,
    )
    bench.procore.readers.clear()
    async with bench.worker.running():
        await bench.until(lambda: bench.postgres.fetchval(NOTHING_DUE, OTHER))
    assert set(bench.procore.readers) == {"usr_other"}
    assert bench.shown("rfi", "1").title == "Question 1"
    assert bench.shown("rfi", "2").title == "Question 2"
    await let_go_on(bench.postgres, THIS, BOTH)
    async with bench.worker.running():
        await bench.until(bench.is_idle)
    assert bench.shown("rfi", "1").title == "Changed in the pause"
    assert [one for one in await bench.events() if "paused" in one or "resumed" in one] == [
        "connection.paused",
        "connection.resumed",
    ]


async def test_a_pause_towards_procore_keeps_nothing_from_part3(bench: Bench) -> None:
    await let_rest(bench.postgres, order(ALL, "procore"))
    bench.procore.hold("rfi", rfi_json(1))
    await bench.backfilled()
    assert bench.shown("rfi", "1") is not None


@pytest.mark.parametrize(
    ("directions", "reason", "probed"),
    [
        (("part3",), "app_not_installed", True),
        (BOTH, "app_not_installed", False),
        (("part3",), "not_permitted", False),
    ],
)
async def test_a_pause_towards_part3_keeps_no_return_waiting_for_an_app_that_is_there_again(
    bench: Bench, directions: tuple[Any, ...], reason: str, probed: bool
) -> None:
    await bench.connect()
    await let_rest(bench.postgres, order(THIS, *directions))
    await bench.postgres.execute("UPDATE mirror.projects SET attention_reason = $1", reason)
    assert await bench.worker.readers.probe() is probed
    left = (await bench.row("projects"))["attention_reason"]
    assert left == (None if probed else reason)


async def test_a_backfill_stops_after_its_page_and_goes_on_there(bench: Bench) -> None:
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 8)))
    await bench.connect()

    async def pause_meanwhile(page: Any, _whose: str) -> None:
        if page == ("rfi", 2):
            await let_rest(bench.postgres, order(THIS, "part3"))

    bench.procore.on["page"] = pause_meanwhile
    async with bench.worker.running():
        await bench.until(lambda: towards_part3(bench))
        assert await let_finish(bench.postgres, order(THIS, "part3"), at_most_s=20) == ""
    sweep = await bench.row("sweeps", kind="rfi")
    assert (sweep["next_page"], sweep["lease_owner"]) == (3, None)
    await let_go_on(bench.postgres, THIS, BOTH)
    async with bench.worker.running():
        await bench.until(bench.is_backfilled)
    pages = [call for call in bench.procore.calls if call[0] == "page" and call[1][0] == "rfi"]
    # what follows lists what changed since
    assert pages[:4] == [("page", ("rfi", number)) for number in (1, 2, 3, 4)]
    assert set(pages[4:]) <= {("page", ("rfi", 1))}


async def test_a_drain_names_what_is_under_way_when_its_time_is_over(bench: Bench) -> None:
    await bench.connect()
    await bench.want("rfi", "1")
    assert await bench.worker.looks.claim(Room()) != []
    assert await let_finish(bench.postgres, order(), at_most_s=0) == "1 looks"
    assert await towards_part3(bench) is not None  # it stays paused


async def test_a_project_that_is_connected_during_a_pause_rests_too(bench: Bench) -> None:
    await let_rest(bench.postgres, order(ALL))
    await bench.connect("prj_new")
    assert await towards_part3(bench, "prj_new") is not None
    await bench.connect("prj_new", state="disconnected")
    await let_go_on(bench.postgres, ALL, BOTH)
    await bench.connect("prj_new")
    assert await towards_part3(bench, "prj_new") is None


async def test_a_company_s_pause_covers_its_projects_and_no_others(bench: Bench) -> None:
    await bench.connect("prj_1", procore_company_id="562", procore_project_id="1")
    await bench.connect("prj_2", procore_company_id="563", procore_project_id="2")
    assert await let_rest(bench.postgres, order(Scope("company", "562"))) == ["prj_1"]
    assert await towards_part3(bench, "prj_1") is not None
    assert await towards_part3(bench, "prj_2") is None


async def test_what_another_pause_still_covers_stays_paused(bench: Bench) -> None:
    await bench.connect()
    await let_rest(bench.postgres, order(ALL, "part3"))
    await let_rest(bench.postgres, order(THIS))
    said, still = await let_go_on(bench.postgres, THIS, BOTH)
    assert said.startswith("Resumed project")
    assert PROJECT in still
    assert "Dana" in still
    assert await towards_part3(bench) is not None


async def test_a_pause_is_in_no_figure_that_wakes_anybody(bench: Bench) -> None:
    await bench.connect()
    await bench.want("rfi", "1")
    await bench.postgres.execute(
        "UPDATE mirror.looks SET attempts = 1, first_asked_at = now() - interval '1 day'"
    )
    await bench.postgres.execute(
        "UPDATE mirror.sweeps SET settled_until = now() - interval '1 day'"
    )
    measures = Measures(Metrics(), bench.postgres)
    before = await measures._read()
    assert (before.retries_due, before.sweep_age_s > 80_000) == (1, True)
    await let_rest(bench.postgres, order(THIS, "part3"))
    paused = await measures._read()
    assert (paused.retries_due, paused.sweep_age_s) == (0, 0)
    resumed_at = datetime.now(UTC)
    await let_go_on(bench.postgres, THIS, BOTH)
    assert (await measures._read()).sweep_age_s < 80_000
    assert (await bench.row("looks"))["first_asked_at"] > resumed_at  # its age counts from here


async def test_paused_returns_go_on_oldest_first(bench: Bench) -> None:
    await bench.connect()
    # not by name: ret_c came first
    for name, record, author in (
        ("ret_c", "1", "amy"),
        ("ret_b", "2", "tom"),
        ("ret_a", "1", "amy"),
    ):
        await ask_delivery(
            bench.postgres,
            project_id=PROJECT,
            return_id=name,
            kind="rfi",
            procore_id=record,
            author_user_id=author,
        )
        await asyncio.sleep(0.01)
    await let_rest(bench.postgres, order())
    await bench.postgres.execute(
        "UPDATE mirror.deliveries SET state = 'held', reason = 'paused', "
        "due_at = now() + interval '1 hour'"
    )
    deliveries = PostgresDeliveries(bench.postgres, worker_id="w-1", lease_s=30)
    assert await deliveries.claim() is None
    await let_go_on(bench.postgres, THIS, BOTH)
    claimed = [await deliveries.claim() for _ in range(3)]
    # the later one of the same author waits until the earlier one is done
    assert [task and task.return_id for task in claimed] == ["ret_c", "ret_b", None]


async def test_an_attempt_that_had_read_the_pause_is_made_again_at_once(bench: Bench) -> None:
    await bench.connect()
    await ask_delivery(
        bench.postgres,
        project_id=PROJECT,
        return_id="ret_1",
        kind="rfi",
        procore_id="1",
        author_user_id="amy",
    )
    deliveries = PostgresDeliveries(bench.postgres, worker_id="w-1", lease_s=30)
    task = await deliveries.claim()
    assert task is not None
    await let_rest(bench.postgres, order())
    await let_go_on(bench.postgres, THIS, BOTH)
    held = Standing(state="held", reason="paused", again_in_s=3_600)
    await deliveries.settle(task, held, None)
    await deliveries.release(task, held, None)
    again = await deliveries.claim()
    assert again is not None
    assert again.return_id == "ret_1"
