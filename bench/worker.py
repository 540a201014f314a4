"""What a worker does in a second, what a change costs it, and whether more projects cost more.

All changes are RFIs', as each costs a read of its own. The bare loop beside it makes the same calls
with as many of them under way. Twice: between sides that answer at once, where all is processor
time, and between sides as far away as real ones.
"""

import asyncio
import json
import statistics
import sys
import time
from typing import Any

from bench.mirror import (
    OTHER_PROJECTS,
    WITHOUT_THEM,
    WORKER,
    Mirror,
    running_mirror,
    with_projects,
)
from bench.sides import Project
from deploy.local.runs import ROOT
from deploy.local.servers import LocalServers

PROJECTS = 10
RECORDS = 40
AT_ONCE = 16  # looks of a worker under way, as sync_worker.inbound.looking has it
SENT_AT_ONCE = 8
PROCORE_S, PART3_S = 0.15, 0.03
WITHIN_S = 120.0
IDLE_S = 5.0
REST_S = 2.0


async def measure(
    servers: LocalServers, *, changes: int = 400, repeats: int = 3, others: int = 10_000
) -> dict[str, Any]:
    """Return throughput beside the bare loop's, and the cost of a change by connected projects."""
    async with running_mirror(servers, {"LOOK_DELAY_S": "0.1"}) as mirror:
        projects = await with_projects(mirror, PROJECTS, RECORDS)
        at_once = await _beside_the_loop(mirror, projects, changes, repeats)
        mirror.sides.procore_s, mirror.sides.part3_s = PROCORE_S, PART3_S
        far = await _beside_the_loop(mirror, projects, changes, repeats)
        mirror.sides.procore_s = mirror.sides.part3_s = 0.0
        few, many = await _costs(mirror, projects, changes, repeats, others)
        return {
            "sides_answer_at_once": at_once,
            "sides_are_far": far | {"procore_s": PROCORE_S, "part3_s": PART3_S},
            "connected": {str(PROJECTS): _medians(few), str(others): _medians(many)},
            "cost_ratio": statistics.median(
                much["ms_a_change"] / little["ms_a_change"]
                for much, little in zip(many, few, strict=True)
            ),
            "worker_mib": mirror.resident_mib,
        }


async def _beside_the_loop(
    mirror: Mirror, projects: list[Project], changes: int, repeats: int
) -> dict[str, float]:
    ours, bare = [], []
    for _ in range(repeats):
        bare.append(changes / (await _loop(mirror, changes))["took_s"])
        ours.append(changes / (await _changed(mirror, projects, changes))[0])
    return {
        "worker_per_s": statistics.median(ours),
        "loop_per_s": statistics.median(bare),
        "ratio": statistics.median(one / floor for one, floor in zip(ours, bare, strict=True)),
    }


Cost = dict[str, float]


async def _costs(
    mirror: Mirror, projects: list[Project], changes: int, repeats: int, others: int
) -> tuple[list[Cost], list[Cost]]:
    """Return, in turns, what a change costs with these projects alone and with many others."""
    few, many = [], []
    for _ in range(repeats):
        few.append(await _cost(mirror, projects, changes))
        await mirror.ask(OTHER_PROJECTS, others - PROJECTS)
        await mirror.ask("ANALYZE mirror.projects, mirror.sweeps")
        many.append(await _cost(mirror, projects, changes))
        for statement in WITHOUT_THEM:
            await mirror.ask(statement)
    return few, many


async def _cost(mirror: Mirror, projects: list[Project], changes: int) -> Cost:
    """Return what a change costs the worker and PostgreSQL, and what a second without costs."""
    await asyncio.sleep(REST_S)
    worker_idle, database_idle = await _idle(mirror)
    took_s, worker_s, database_s = await _changed(mirror, projects, changes)
    return {
        "worker_ms_a_change": 1000 * worker_s / changes,
        "database_ms_a_change": 1000 * database_s / changes,
        "ms_a_change": 1000 * (worker_s + database_s) / changes,
        "per_s": changes / took_s,
        "worker_idle_ms_a_second": 1000 * worker_idle,
        "database_idle_ms_a_second": 1000 * database_idle,
    }


def _medians(costs: list[Cost]) -> Cost:
    return {name: statistics.median(cost[name] for cost in costs) for name in costs[0]}


async def _idle(mirror: Mirror) -> tuple[float, float]:
    """Return the processor seconds that a second without changes costs."""
    before = mirror.cpu_s()
    await asyncio.sleep(IDLE_S)
    after = mirror.cpu_s()
    return (after[0] - before[0]) / IDLE_S, (after[1] - before[1]) / IDLE_S


async def _changed(
    mirror: Mirror, projects: list[Project], changes: int
) -> tuple[float, float, float]:
    """Change RFIs while the worker stands still, then let it go on.

    Returns:
        Seconds from then until Part3 has all; the processor seconds of the worker and
        of PostgreSQL meanwhile.
    """
    left: set[tuple[str, str, str]] = set()
    all_shown = asyncio.Event()

    def shown(project_id: str, _kind: str, record_id: str, title: str) -> None:
        left.discard((project_id, record_id, title))
        if not left:
            all_shown.set()

    mirror.sides.shown = shown
    program = mirror.stack.program(WORKER)
    records = [(project, str(n + 1)) for n in range(RECORDS) for project in projects][:changes]
    title = f"Changed at {time.monotonic_ns()}"
    left |= {(project.part3_id, record_id, title) for project, record_id in records}
    program.pause()
    try:
        await _deliver_all(mirror, records, title)
    finally:
        program.resume()
    worker_s, database_s = mirror.cpu_s()
    began = time.perf_counter()
    async with asyncio.timeout(WITHIN_S):
        await all_shown.wait()
    took_s = time.perf_counter() - began
    after = mirror.cpu_s()
    return took_s, after[0] - worker_s, after[1] - database_s


async def _deliver_all(mirror: Mirror, records: list[tuple[Project, str]], title: str) -> None:
    places = asyncio.Semaphore(SENT_AT_ONCE)

    async def one(project: Project, record_id: str) -> None:
        async with places:
            at = mirror.sides.change(project, "rfi", record_id, title)
            await mirror.deliver(project, "rfi", record_id, at)

    async with asyncio.TaskGroup() as group:
        for project, record_id in records:
            group.create_task(one(project, record_id))


async def _loop(mirror: Mirror, changes: int) -> dict[str, float]:
    url = mirror.stack.environment["PROCORE_API_URL"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.bare_loop", url, str(changes), str(AT_ONCE)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    said: dict[str, float] = json.loads(output)
    return said
