"""`make soak`: the real system under load with restarts; ends with a line of figures.

One worker, the gateway and the token service run through, so that their memory and descriptors
tell; the second worker is asked to end, or killed, again and again.
"""

import asyncio
import os
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from connector.demo.worlds import PROJECT_ID
from deploy.local.processes import Program
from deploy.local.runs import DATA_FOLDER
from services.hook_secrets import hook_secret
from services.settings import Reader
from tests.faults.checker import check, until_quiet
from tests.faults.lab import open_lab
from tests.faults.offsets import Offsets
from tests.faults.senders import ANSWER_WITHIN_S, event_of
from tests.faults.workload import Item, Work

RUN_THROUGH = ("gateway", "token-service", "worker-1")
RECORDS = 10
AT_ONCE = 30
SAMPLE_EVERY_S = 5.0
RENAME_EVERY_S = 2.0
RESTART_EVERY_S = 45.0
RETURN_EVERY_S = 20.0
WARM_UP, WARM_UP_RATE = 0.25, 4.0
"""The share of the time after which what grows is counted, and how many times the rate the load is
until then: caches and the allocator fill by events, and not by minutes."""

MOST_GROWTH = 0.02
"""Of its memory, in an hour. A run of less than half an hour cannot tell, and only says."""

MOST_MORE_DESCRIPTORS = 10
GRACE_S = 25.0


@dataclass(slots=True)
class Samples:
    """Memory in bytes and descriptors of a program over time."""

    at_s: list[float] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def take(self, program: Program, at_s: float) -> None:
        """Add one, of the program and what it started."""
        if program.pid is None:
            return
        one = psutil.Process(program.pid)
        family = [one, *one.children(recursive=True)]
        self.at_s.append(at_s)
        self.rss.append(float(sum(process.memory_info().rss for process in family)))
        self.descriptors.append(sum(process.num_fds() for process in family))

    def growth_an_hour(self, lasted_s: float) -> float:
        """Return the slope of the memory after the warm-up, as a share of it an hour."""
        late = [(t, r) for t, r in zip(self.at_s, self.rss, strict=True) if t > lasted_s * WARM_UP]
        slope, _ = statistics.linear_regression(*zip(*late, strict=True))
        return slope * 3600 / statistics.fmean(rss for _, rss in late)

    def more_descriptors(self) -> int:
        """Return how many more there were at most in the last third than in the second."""
        third = len(self.descriptors) // 3
        return max(self.descriptors[2 * third :]) - max(self.descriptors[third : 2 * third])


class Soak:
    """One run."""

    def __init__(self, work: Work, *, minutes: float, rate: float) -> None:
        self.work = work
        self.lab = work.lab
        self.lasts_s = minutes * 60
        self.rate = rate
        self.samples = {name: Samples() for name in RUN_THROUGH}
        self.answers: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        self.restarts = 0
        self._began = time.monotonic()

    def is_over(self) -> bool:
        """Tell whether the time is up."""
        return time.monotonic() - self._began > self.lasts_s

    async def run(self) -> float:
        """Load it for the time; return the seconds until nothing was on its way afterwards."""
        items = [
            await (self.work.rfi if one % 2 else self.work.submittal)(f"Soaked {one}")
            for one in range(RECORDS)
        ]
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for doing in (self._events, self._renames, self._returns):
                _ = group.create_task(doing(items))
            for beside in (self._restarts, self._sample):
                _ = group.create_task(beside())
        ended = time.monotonic()
        await self.lab.mend()
        await self.work.settled()
        await until_quiet(self.lab, self.work.offsets)
        return time.monotonic() - ended

    async def _events(self, items: list[Item]) -> None:
        """Post events as Procore does, so many a second, each with an id of its own."""
        lab, chance = self.lab, self.work.chance
        payloads = [await event_of(self.work, item) for item in items]
        key = Reader(lab.stack.environment).key_ring("WEBHOOK_SECRET_KEYS").first.secret
        places = asyncio.Semaphore(AT_ONCE)
        sent = 0
        async with asyncio.TaskGroup() as group:
            while not self.is_over():
                payload, url = chance.choice(payloads)
                ulid = f"{sent:08d}{chance.getrandbits(80):018x}".upper()[:26]
                headers = {
                    "authorization": hook_secret(key, PROJECT_ID, int(url.rsplit("/", 1)[1]))
                }
                _ = await places.acquire()
                posting = group.create_task(self._post(url, {**payload, "ulid": ulid}, headers))
                posting.add_done_callback(lambda _: places.release())
                sent += 1
                await asyncio.sleep(max(0.0, self._began + self._due_s(sent) - time.monotonic()))

    def _due_s(self, number: int) -> float:
        """Return when the event of this number is due, in seconds from the beginning."""
        warm_s = self.lasts_s * WARM_UP
        while_warm = warm_s * self.rate * WARM_UP_RATE
        if number <= while_warm:
            return number / (self.rate * WARM_UP_RATE)
        return warm_s + (number - while_warm) / self.rate

    async def _post(self, url: str, payload: dict[str, object], headers: dict[str, str]) -> None:
        began = time.monotonic()
        try:
            answer = await self.lab.site.http.post(
                url, json=payload, headers=headers, timeout=ANSWER_WITHIN_S
            )
        except httpx2.HTTPError as error:
            self.answers["unknown"] += 1
            self.lab.history.note("unknown", "event", cause=type(error).__name__)
            return
        self.answers[str(answer.status_code)] += 1
        self.latencies_s.append(time.monotonic() - began)

    async def _renames(self, items: list[Item]) -> None:
        while not self.is_over():
            await self.work.rename(self.work.chance.choice(items))
            await asyncio.sleep(RENAME_EVERY_S)

    async def _returns(self, _items: list[Item]) -> None:
        while not self.is_over():
            item = await self.work.rfi("Soaked and answered")
            _ = await self.work.answer(item, files=1)
            await asyncio.sleep(RETURN_EVERY_S)

    async def _restarts(self) -> None:
        program = self.lab.stack.program("worker-2")
        while not self.is_over():
            await asyncio.sleep(min(RESTART_EVERY_S, self.lasts_s / 4))
            if self.restarts % 2:
                await self.lab.kill(program)
            else:
                await program.stop(GRACE_S)
            await self.lab.start(program)
            self.restarts += 1

    async def _sample(self) -> None:
        while not self.is_over():
            for name, samples in self.samples.items():
                samples.take(self.lab.stack.program(name), time.monotonic() - self._began)
            await asyncio.sleep(SAMPLE_EVERY_S)

    def wrong(self) -> list[str]:
        """Return what grew that must not."""
        found: list[str] = []
        for name, samples in self.samples.items():
            growth = samples.growth_an_hour(self.lasts_s)
            if growth > MOST_GROWTH and self.lasts_s >= 30 * 60:
                found.append(f"{name} grows by {growth:.1%} an hour")
            if samples.more_descriptors() > MOST_MORE_DESCRIPTORS:
                found.append(f"{name} has {samples.more_descriptors()} more descriptors")
        return found

    def figures(self, quiet_after_s: float) -> str:
        """Return the run in one line."""
        took = sorted(self.latencies_s)
        p50, p99 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
        grown = ", ".join(
            f"{name} {samples.rss[-1] / 2**20:.0f} MiB"
            f" ({samples.growth_an_hour(self.lasts_s):+.1%}/h,"
            f" {samples.more_descriptors():+d} descriptors)"
            for name, samples in self.samples.items()
        )
        return (
            f"soak: {self.lasts_s / 60:g} min, {sum(self.answers.values())} events"
            f" ({self.rate:g}/s after a warm-up of {self.lasts_s * WARM_UP / 60:g} min at"
            f" {self.rate * WARM_UP_RATE:g}/s; {dict(self.answers)};"
            f" p50 {p50:.0f} ms, p99 {p99:.0f} ms), {self.restarts} restarts,"
            f" {len(self.work.answers)} returns; {grown}; lag 0 after {quiet_after_s:.0f} s"
        )


async def main() -> int:
    """Run it, and return the exit code."""
    minutes = float(os.environ.get("MINUTES") or 30)
    rate = float(os.environ.get("RATE") or 50)
    folder = Path(DATA_FOLDER) / "faults" / f"{time.strftime('%Y%m%d-%H%M%S')}-soak"
    print(f"{minutes:g} minutes at {rate:g} events a second; history in {folder}", flush=True)
    async with open_lab(folder) as lab:
        work = Work(lab, random.Random(int(os.environ.get("SEED") or 1)), Offsets(lab))
        soak = Soak(work, minutes=minutes, rate=rate)
        async with work.offsets.watched():
            quiet_after_s = await soak.run()
        wrong = [*await check(work, work.offsets), *soak.wrong(), *lab.count_logs()]
        line = soak.figures(quiet_after_s)
        lab.history.note("figures", "soak", line=line, wrong=wrong)
    for one in wrong:
        print(f"  BROKEN {one[:600]}")
    print(f"{line}; lost and doubled {sum(one.startswith(('I1', 'I2')) for one in wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
