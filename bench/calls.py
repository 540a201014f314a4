"""`make bench-calls`: what the mirror costs in calls on Procore, as five ratios of counts.

A whole system with two workers, on a real Kafka and a real PostgreSQL, mirrors from the stand-in
for Procore; what was called is read from the stand-in's own ledger. Counts, not times: they are the
same on any machine, and tests/stack/test_calls_counted.py holds them. What a return costs is apart.

A backfill has six calls besides pages, RFIs and files, the same for any project: both totals on the
page where the connection is reviewed, and once it is through, both kinds' changes meanwhile and
both recycle bins. A project of fewer than 60 pages, RFIs and files is therefore above 1.1. Others
are in proportion to the files: submittals that have some are read by id, many with one call.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from deploy.local.runs import DATA_FOLDER
from deploy.local.servers import local_servers
from tests.stack.fault_stacks import Site, site_on
from tests.stack.stacks import running_stack

WITHIN_S = 480.0
IDLE_WITHIN_S = 180.0
QUIET_FOR_S = 3.0
SETTLE_S = 4.0
PACE = {
    # as it runs in earnest, but for a settling that nobody has to wait a minute for
    "LOOK_DELAY_S": "1.0",
    "SETTLE_S": str(SETTLE_S),
    "SWEEP_S": "3600",
    "HOOK_AUDIT_S": "3600",
    "RECHECK_S": "60",
}
COUNTED, BINNED, SETTLED, BY_ID = (
    "totals for the review",
    "recycle bins",
    "listings of what changed meanwhile",
    "reads of submittals by id",
)
RECORD = re.compile(r"/rest/v1\.\d/projects/\d+/(rfis|submittals)(/[^/]+)?")
OPEN_WINDOW = {"rate_limit_spike": 100_000, "rate_limit_hourly": 1_000_000}
AT_ONCE = 8

Calls = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Calls beside what they were made for, and how many may be made at most."""

    name: str
    calls: int
    per: float
    limit: float
    beside: str = ""
    """What is among the calls and not in `per`, in words."""

    @property
    def value(self) -> float:
        return self.calls / self.per

    @property
    def holds(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        word = "ok" if self.holds else "TOO MANY"
        return f"{self.name:54} {self.calls:5d} / {self.per:<5g} = {self.value:5.2f}"[:78] + (
            f"  at most {self.limit:<5g} {word}" + (f"\n  {self.beside}" if self.beside else "")
        )


async def backfill(site: Site, pages: int) -> Ratio:
    """Connect, and count what brings everything over: pages, one read an RFI, files.

    Each RFI counts, as a list names neither its replies nor its files.

    Args:
        site: not connected yet.
        pages: of 100 records each, how many both lists have.
    """
    await site.connect()
    await site.until_backfilled()
    await until_idle(site)
    calls = await reads(site)
    rfis = {call["path"] for call in calls if is_record(call)}
    files = {call["path"] for call in calls if "/fas/" in call["path"]}
    expected = pages + len(rfis) + len(files)
    beside = "beside: " + ", ".join(f"{n} {word}" for word, n in beside_the_floor(calls).items())
    return Ratio("backfill, per page, RFI and file", len(calls), expected, 1.1, beside)


def beside_the_floor(calls: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Count the calls of a backfill that are neither a page nor an RFI nor a file, by what for."""
    return Counter(
        word
        for call in calls
        for word, mark in (
            (COUNTED, "per_page=1&"),
            (BINNED, "/recycle_bin?"),
            (SETTLED, "filters%5Bupdated_at%5D="),
            (BY_ID, "filters%5Bid%5D"),
        )
        if mark in f"{call['path']}?{call['query']}&"
    )


async def single_changes(site: Site, changes: int, apart_s: float) -> Ratio:
    """Change one record after the other, and let it settle."""
    rfis, submittals = await ids_of(site, "rfi"), await ids_of(site, "submittal")

    async def change() -> None:
        for number in range(changes):
            kind, ids = (("rfi", rfis), ("submittal", submittals))[number % 2]
            await retitle(site, kind, ids[number // 2], f"Changed alone {number}")
            await asyncio.sleep(apart_s)

    calls = await counted(site, change)
    return Ratio("single changes, per change", len(calls), changes, 1.05)


async def burst(site: Site, events: int) -> Ratio:
    """Change one record again and again."""
    (rfi_id, *_) = await ids_of(site, "rfi")

    async def change() -> None:
        for number in range(events):
            await retitle(site, "rfi", rfi_id, f"Changed again {number}")

    calls = await counted(site, change)
    return Ratio("a burst on one RFI, per event", len(calls), events, 0.2)


async def at_once(site: Site, most: int) -> Ratio:
    """Change many submittals at once."""
    ids = (await ids_of(site, "submittal"))[:most]
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(submittal_id: str) -> None:
        async with turns:
            await retitle(site, "submittal", submittal_id, f"Changed with others {submittal_id}")

    async def change() -> None:
        await asyncio.gather(*map(one, ids))

    calls = await counted(site, change)
    return Ratio("many submittals at once, per submittal", len(calls), len(ids), 0.05)


async def despite_refusal(site: Site, changes: int) -> Ratio:
    """Let Procore answer one look with a 429, and count calls before it may be asked again."""
    wait_s = 6
    rule = {"kind": "status", "status": 429, "retry_after_s": wait_s, "count": 1}
    await site.procore_faults({**rule, "path": "/rfis/", "method": "GET"})
    rfis = await ids_of(site, "rfi")

    async def change() -> None:
        for number, rfi_id in enumerate(rfis[:changes]):
            await retitle(site, "rfi", rfi_id, f"Changed under a limit {number}")

    calls = await counted(site, change)
    await site.procore_faults()
    refused = next(call for call in calls if call["status"] == 429)
    # answered within a moment of being begun; what is under way by then is not held against us
    answered = moment(refused) + timedelta(milliseconds=refused["took_ms"] + 50)
    again = moment(refused) + timedelta(seconds=wait_s)
    early = [call for call in calls if answered < moment(call) < again]
    return Ratio("between a 429 and its reset, calls", len(early), 1, 0)


# ------------------------------------------------------------------------- counting


async def reads(site: Site) -> Calls:
    """Return the calls on RFIs, submittals and files; only we read them in these scenes."""
    ledger = await site.procore_ledger()
    return [call for call in ledger["calls"] if call["method"] == "GET" and is_ours(call)]


def is_ours(call: Mapping[str, Any]) -> bool:
    return bool(RECORD.match(call["path"])) or "/fas/" in call["path"]


def is_record(call: Mapping[str, Any]) -> bool:
    found = RECORD.fullmatch(call["path"])
    return found is not None and found[1] == "rfis" and found[2] not in (None, "/recycle_bin")


def is_page(call: Mapping[str, Any]) -> bool:
    """Tell a page of a list of everything."""
    found = RECORD.fullmatch(call["path"])
    return found is not None and found[2] is None and not beside_the_floor([call])


def moment(call: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(call["at"])


async def counted(site: Site, change: Callable[[], Awaitable[None]]) -> Calls:
    """Return what was called for a change, all that follows it included."""
    before = len(await reads(site))
    await change()
    await until_idle(site)
    return (await reads(site))[before:]


async def until_idle(site: Site) -> None:
    """Wait until nothing is to be done, settling included, and nothing more comes of it."""
    waiting = """
    SELECT (SELECT count(*) FROM mirror.looks)
      + (SELECT count(*) FROM mirror.awaited_replies)
      + (SELECT count(*) FROM mirror.sweeps WHERE settle_at IS NOT NULL OR wanted_at IS NOT NULL
          OR next_page IS NOT NULL OR due_at <= now()) AS waiting
    """
    quiet_since = asyncio.get_running_loop().time()

    async def idle() -> bool:
        nonlocal quiet_since
        now = asyncio.get_running_loop().time()
        rows = await site.rows(waiting)
        undelivered = [
            one
            for one in (await site.procore_ledger())["deliveries"]
            if one["status"] in ("enqueued", "retrying")
        ]
        if rows[0]["waiting"] or undelivered:
            quiet_since = now
        return now - quiet_since > QUIET_FOR_S

    await site.until("all is done", idle, patience_s=IDLE_WITHIN_S)


async def ids_of(site: Site, kind: str) -> list[str]:
    """Return the Procore ids of what Part3 shows, oldest first."""
    return sorted(
        (one for one, record in (await site.records(kind)).items() if record["status"] == "open"),
        key=int,
    )


async def retitle(site: Site, kind: str, record_id: str, title: str) -> None:
    """Change a record as the general contractor, over Procore's API."""
    path, field = {
        "rfi": (f"/rest/v1.0/projects/{site.procore_project}/rfis/{record_id}", "subject"),
        "submittal": (
            f"/rest/v1.1/projects/{site.procore_project}/submittals/{record_id}",
            "title",
        ),
    }[kind]
    await site.procore_change(path, {kind: {field: title}})


async def wide_open(site: Site) -> None:
    """Let what is changed here by hand use up no window of the grant."""
    answer = await site.http.post(f"{site.stack.procore}/_sandbox/switches", json=OPEN_WINDOW)
    answer.raise_for_status()


async def all_ratios(
    site: Site, pages: int, *, changes: int = 20, apart_s: float = 2.5
) -> list[Ratio]:
    """Play all scenes on one system; `pages` as `backfill` takes it."""
    await wide_open(site)
    return [
        await backfill(site, pages),
        await single_changes(site, changes, apart_s),
        await burst(site, 20),
        await at_once(site, 100),
        await despite_refusal(site, 6),
    ]


async def main() -> int:
    async with asyncio.timeout(WITHIN_S), AsyncExitStack() as opened:
        servers = await opened.enter_async_context(local_servers(DATA_FOLDER))
        stack = await opened.enter_async_context(
            running_stack(servers.kafka_bootstrap, servers.database_url, workers=2, overrides=PACE)
        )
        site = await opened.enter_async_context(site_on(stack, rfis=60, submittals=170))
        ratios = await all_ratios(site, pages=3)
    for ratio in ratios:
        print(ratio)
    report = {one.name: {"calls": one.calls, "per": one.per, "ratio": one.value} for one in ratios}
    folder = DATA_FOLDER / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calls.json").write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(ratio.holds for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
