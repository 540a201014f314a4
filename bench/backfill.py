"""A first listing of a large project: what it calls, what memory it takes, and whether it resumes.

In the middle the worker is killed and started again. The floor of the calls on Procore is a page of
each list and one read of each RFI, as a list shows neither its replies nor its files.
"""

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import Any

from bench.mirror import WORKER, Mirror, running_mirror
from bench.sides import PER_PAGE, Project
from deploy.local.servers import LocalServers

READS = ("rfi page", "submittal page", "rfi read", "submittal read", "rfi bin", "submittal bin")
SAMPLE_S = 1.0
SHARE_BEFORE_KILL = 0.4
BACKFILLED = "SELECT bool_and(backfilled_at IS NOT NULL) FROM mirror.sweeps"
MIRRORED = """
SELECT count(*)::int FROM mirror.records WHERE record IS NOT NULL AND procore_updated_at IS NOT NULL
"""


@dataclass
class Memory:
    """The worker's memory in MiB over the seconds of the backfill."""

    samples: list[tuple[float, float]] = field(default_factory=list)

    async def watch(self, mirror: Mirror) -> None:
        began = time.monotonic()
        while True:
            if mirror.stack.program(WORKER).is_running:
                self.samples.append((time.monotonic() - began, mirror.resident_mib))
            await asyncio.sleep(SAMPLE_S)

    def growth_mib(self) -> float:
        """Return how much more the last fifth has than the fifth in the middle, on average."""
        fifth = max(1, len(self.samples) // 5)
        last = [mib for _, mib in self.samples[-fifth:]]
        middle = [mib for _, mib in self.samples[2 * fifth : 3 * fifth]] or last
        return sum(last) / len(last) - sum(middle) / len(middle)


async def measure(
    servers: LocalServers, *, records: int = 2_000, within_s: float = 900.0
) -> dict[str, Any]:
    """Backfill so many RFIs and as many submittals, with a kill in the middle."""
    async with running_mirror(servers) as mirror:
        project = Project(1, records)
        mirror.sides.add(project)
        memory = Memory()
        await mirror.stack.add_worker(1)
        watching = asyncio.create_task(memory.watch(mirror))
        try:
            async with asyncio.timeout(within_s):
                return await _backfilled(mirror, project, memory)
        finally:
            watching.cancel()


async def _backfilled(mirror: Mirror, project: Project, memory: Memory) -> dict[str, Any]:
    began = time.monotonic()
    reads = mirror.sides.calls
    while reads["rfi read"] < SHARE_BEFORE_KILL * project.records:
        await asyncio.sleep(0.2)
    before_kill = {name: reads[name] for name in READS}
    program = mirror.stack.program(WORKER)
    program.kill()
    await program.start()
    while not await mirror.ask(BACKFILLED):
        await asyncio.sleep(0.5)
    took_s = time.monotonic() - began
    calls = sum(reads[name] for name in READS)
    floor = 2 * math.ceil(project.records / PER_PAGE) + project.records
    return {
        "rfis": project.records,
        "submittals": project.records,
        "took_s": took_s,
        "records_per_s": 2 * project.records / took_s,
        "calls": calls,
        "floor": floor,
        "ratio": calls / floor,
        "calls_by_kind": {name: reads[name] for name in READS},
        "before_the_kill": before_kill,
        "mirrored": await mirror.ask(MIRRORED),
        "most_mib": max(mib for _, mib in memory.samples),
        "growth_mib": memory.growth_mib(),
        "memory": [[round(at, 1), round(mib, 1)] for at, mib in memory.samples],
    }
