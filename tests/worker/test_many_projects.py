"""What falls due is found without walking through all connected projects."""

from typing import Any

import pytest

from bench.mirror import OTHER_PROJECTS
from sync_worker import duties, sweep_store
from sync_worker.inbound import look_store
from sync_worker.outbound import missed, readiness_loop
from tests.worker.bench import Bench

pytestmark = pytest.mark.postgres

ROOM: tuple[Any, ...] = ([], [], True, 1.5)
STATEMENTS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "the next look": (look_store.CLAIM, (*ROOM, "w-1", 40.0, 50, [])),
    "when the next look is due": (look_store.NEXT_DUE, ROOM),
    "the next sweep": (sweep_store.CLAIM, ("w-1", 90.0, 2.0, 90.0, 86_400.0, False, 60.0, 300.0)),
    "the next hook": (duties.TAKE_HOOK, (60.0,)),
    "missed returns": (missed.TAKE_DUE, (60.0,)),
    "the next team": (readiness_loop.TAKE_PROJECT, (60.0,)),
    "the next check": (readiness_loop.TAKE_CHECK, (60.0,)),
}


async def test_no_search_for_work_reads_all_projects(bench: Bench) -> None:
    await bench.postgres.execute(OTHER_PROJECTS, 3_000)
    await bench.postgres.execute("ANALYZE mirror.projects, mirror.sweeps")
    await bench.connect()
    await bench.want("rfi", "1")
    for what, (sql, arguments) in STATEMENTS.items():
        rows = await bench.postgres.fetch(f"EXPLAIN {sql}", *arguments)
        plan = "\n".join(row["QUERY PLAN"] for row in rows)
        assert "Seq Scan on projects" not in plan, f"{what}:\n{plan}"
        assert "Seq Scan on sweeps" not in plan, f"{what}:\n{plan}"
