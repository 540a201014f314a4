"""From Procore's event to Part3: how long a change takes to be seen, also beside a loud project.

A delay counts from the moment a change is made in Procore until Part3 has been given it. The sides
answer at once, so what is left is the look delay and our own time.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

from bench.mirror import Mirror, running_mirror, with_projects
from bench.sides import Kind, Project
from deploy.local.servers import LocalServers

PROJECTS = 50
RECORDS = 10
PER_S = 20.0
LOUDER = 50
LOOK_DELAY_S = 1.5
LATE_S = 20.0
KINDS: tuple[Kind, ...] = ("rfi", "submittal")


@dataclass
class Watched:
    """The changes that were made, and how long each took to be seen."""

    made_at: dict[tuple[str, str, str, str], float] = field(default_factory=dict)
    took_s: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def shown(self, project_id: str, kind: str, record_id: str, title: str) -> None:
        made_at = self.made_at.pop((project_id, kind, record_id, title), None)
        if made_at is not None:
            self.took_s.setdefault((project_id, kind), []).append(time.monotonic() - made_at)

    def of(self, *projects: Project, kind: Kind | None = None) -> list[float]:
        ids = {one.part3_id for one in projects}
        return sorted(
            seconds
            for (project_id, of), all_s in self.took_s.items()
            if project_id in ids and kind in (None, of)
            for seconds in all_s
        )


async def measure(servers: LocalServers, *, seconds: float = 45.0) -> dict[str, Any]:
    """Return the percentiles of both scenes, in seconds."""
    async with running_mirror(servers, {"LOOK_DELAY_S": str(LOOK_DELAY_S)}) as mirror:
        projects = await with_projects(mirror, PROJECTS, RECORDS)
        even = await _scene(mirror, projects, [PER_S / PROJECTS] * PROJECTS, seconds)
        quiet = PER_S / PROJECTS
        loud = await _scene(mirror, projects, [LOUDER * quiet, *[quiet] * (PROJECTS - 1)], seconds)
        return {
            "look_delay_s": LOOK_DELAY_S,
            "projects": PROJECTS,
            "per_s": PER_S,
            "even": _told(even.of(*projects)),
            "even_rfis": _told(even.of(*projects, kind="rfi")),
            "even_submittals": _told(even.of(*projects, kind="submittal")),
            "others_beside_a_loud_one": _told(loud.of(*projects[1:])),
            "the_loud_one": _told(loud.of(projects[0])),
            "not_seen": len(even.made_at) + len(loud.made_at),
            "worker_mib": mirror.resident_mib,
        }


async def _scene(
    mirror: Mirror, projects: list[Project], per_s: list[float], seconds: float
) -> Watched:
    """Change records at random moments, as often a second in each project as is said."""
    watched = Watched()
    mirror.sides.shown = watched.shown
    ends_at = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for project, rate in zip(projects, per_s, strict=True):
            group.create_task(_changes(mirror, project, rate, ends_at, watched))
    late_at = time.monotonic() + LATE_S
    while watched.made_at and time.monotonic() < late_at:
        await asyncio.sleep(0.1)
    return watched


async def _changes(
    mirror: Mirror, project: Project, rate: float, ends_at: float, watched: Watched
) -> None:
    chance = random.Random(project.number)
    number = 0
    due = time.monotonic() + chance.expovariate(rate)
    async with asyncio.TaskGroup() as group:
        while due < ends_at:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            kind = KINDS[number % 2]
            record_id = str(number // 2 % project.records + 1)
            title = f"Changed at {time.monotonic_ns()}"
            number += 1
            at = mirror.sides.change(project, kind, record_id, title)
            watched.made_at[project.part3_id, kind, record_id, title] = time.monotonic()
            # a record that is changed again before it was looked at is seen in its last state
            for key in [
                key
                for key in watched.made_at
                if key[:3] == (project.part3_id, kind, record_id) and key[3] != title
            ]:
                del watched.made_at[key]
            group.create_task(mirror.deliver(project, kind, record_id, at))
            due += chance.expovariate(rate)


def _told(took_s: list[float]) -> dict[str, float]:
    if not took_s:
        raise RuntimeError("no change was seen")
    return {
        "changes": len(took_s),
        "p50_s": took_s[len(took_s) // 2],
        "p95_s": took_s[len(took_s) * 95 // 100],
        "p99_s": took_s[len(took_s) * 99 // 100],
        "longest_s": took_s[-1],
    }
