"""Kafka, Postgres, the token service and both sides: killed, stopped, cut, slow, halved."""

import asyncio
from functools import partial
from typing import Any

from tests.faults.lab import WORKERS
from tests.faults.proxy import BlackHole, Cut, CutAfter, Delay, Duplicate, Mode, Proxy
from tests.faults.scenarios import Scenario, add, scenario
from tests.faults.senders import post_procore_event
from tests.faults.workload import Item, Work

OUTAGE_S = 8.0
"""Longer than a worker's Kafka session, a write's deadline and the quiet period."""

AN_HOUR_S = 20.0
"""Of an outage whose back-off is capped at 2 s instead of 900: the same number of tries."""


async def _four(work: Work, name: str) -> list[Item]:
    return [await make(f"{name} {one}") for one in range(2) for make in (work.rfi, work.submittal)]


async def _meanwhile(work: Work, items: list[Item]) -> None:
    """What people do while something is away: two records change, two others are answered.

    A question that changes before its answer goes would hold that answer, and rightly so.
    """
    for renamed, answered in zip(items[:2], items[2:], strict=True):
        await work.rename(renamed)
        _ = await work.answer(answered, files=1)


async def _server_killed(work: Work, *, which: str) -> None:
    lab = work.lab
    program = (lab.kafka if which == "kafka" else lab.postgres).program
    items = await _four(work, f"{which} is killed")
    await asyncio.gather(_meanwhile(work, items), lab.kill(program))
    await asyncio.sleep(work.chance.uniform(1, OUTAGE_S))
    await lab.start(program)
    await work.settled()


async def _server_paused(work: Work, *, which: str) -> None:
    lab = work.lab
    program = (lab.kafka if which == "kafka" else lab.postgres).program
    items = await _four(work, f"{which} stands still")
    posting = asyncio.create_task(_meanwhile(work, items))
    lab.pause(program)
    await asyncio.sleep(OUTAGE_S)
    lab.resume(program)
    await posting
    await work.settled()


for _which, _killed, _paused in (
    ("kafka", (11,), (12, 13)),
    ("postgres", (17, 18), (19,)),
):
    add(
        Scenario(
            name=f"{_which}-killed",
            rows=_killed,
            play=partial(_server_killed, which=_which),
            must=("kill",),
        )
    )
    add(
        Scenario(
            name=f"{_which}-paused",
            rows=_paused,
            play=partial(_server_paused, which=_which),
            must=("paused",),
        )
    )


@scenario(17)
async def postgres_restarted(work: Work) -> None:
    """A fast restart, as for an upgrade, while returns are on their way."""
    lab = work.lab
    items = await _four(work, "Postgres is restarted")
    posting = asyncio.create_task(_meanwhile(work, items))
    for _ in range(3):
        await asyncio.sleep(work.chance.uniform(0.2, 1.0))
        await lab.postgres.program.stop()
        await lab.start(lab.postgres.program)
    await posting
    await work.settled()


@scenario(3, must=("gateway said 503",))
async def kafka_hangs_and_has_it_all_the_same(work: Work) -> None:
    """The gateway must refuse what Kafka did not acknowledge, and Kafka may write it later."""
    lab = work.lab
    item = await work.rfi("Kafka hangs")
    await work.rename(item)
    await work.settled()
    lab.pause(lab.kafka.program)
    answers = await asyncio.gather(*(post_procore_event(work, item) for _ in range(5)))
    lab.reached["gateway said 503"] += sum(status == 503 for status in answers)
    lab.resume(lab.kafka.program)
    await work.rename(item)
    await work.settled()


@scenario(45, must=("kill",))
async def token_service_killed(work: Work) -> None:
    """Workers go on with the access tokens they hold, and everything goes on afterwards."""
    lab = work.lab
    items = await _four(work, "The token service is killed")
    await lab.kill(lab.stack.program("token-service"))
    await _meanwhile(work, items)
    await asyncio.sleep(OUTAGE_S)
    await lab.start(lab.stack.program("token-service"))
    await work.settled()


# ---------------------------------------------------------------------- wires


def _proxy(work: Work, name: str) -> Proxy:
    found: Proxy = getattr(work.lab.proxies, name)
    return found


async def _wire(work: Work, *, name: str, mode: Mode, lasts_s: float) -> None:
    lab, proxy = work.lab, _proxy(work, name)
    items = await _four(work, f"{proxy.name} is {type(mode).__name__}")
    before = proxy.strikes.copy()
    lab.history.note("fault", "wire", between=proxy.name, mode=str(mode))
    proxy.set(mode)
    await _meanwhile(work, items)
    await asyncio.sleep(lasts_s)
    proxy.mend()
    for word, times in (proxy.strikes - before).items():
        lab.reached[f"wire {word}"] += times
    await work.settled()


WIRES: dict[str, tuple[tuple[int, ...], str, Mode, float, str]] = {
    "gateway-cut": ((1,), "gateway", Cut(), 4.0, "cut"),
    "gateway-requests-halved": ((1,), "gateway", CutAfter(300, "up"), 4.0, "halved"),
    "gateway-answers-lost": ((2,), "gateway", CutAfter(1, "down"), 4.0, "halved"),
    "gateway-requests-repeated": ((35,), "gateway", Duplicate(), 2.0, "repeated"),
    "gateway-slow": ((25,), "gateway", Delay(1.5), 6.0, "delayed"),
    "kafka-cut": ((11, 13), "kafka", Cut(), OUTAGE_S, "cut"),
    "kafka-slow": ((12,), "kafka", Delay(0.2), 6.0, "delayed"),
    "kafka-black-hole": ((12,), "kafka", BlackHole(), OUTAGE_S, "swallowed"),
    "postgres-cut": ((17,), "postgres", Cut(), 4.0, "cut"),
    "postgres-answers-halved": ((9,), "postgres", CutAfter(3_000, "down"), 4.0, "halved"),
    "postgres-black-hole": ((19, 21), "postgres", BlackHole(), OUTAGE_S, "swallowed"),
    "procore-cut": ((26,), "procore", Cut(), 4.0, "cut"),
    "procore-answers-halved": ((26,), "procore", CutAfter(200, "down"), 4.0, "halved"),
    "procore-requests-halved": ((26,), "procore", CutAfter(100, "up"), 4.0, "halved"),
    "procore-slow": ((25,), "procore", Delay(1.0), 6.0, "delayed"),
    "procore-down-for-an-hour": ((29,), "procore", BlackHole(), AN_HOUR_S, "swallowed"),
    "part3-answers-lost": ((29,), "part3", CutAfter(1, "down"), 4.0, "halved"),
    "part3-down-for-an-hour": ((29,), "part3", Cut(), AN_HOUR_S, "cut"),
    "part3-black-hole": ((29,), "part3", BlackHole(), OUTAGE_S, "swallowed"),
    "tokens-cut": ((45,), "tokens", Cut(), 4.0, "cut"),
}
for _name, (_rows, _between, _mode, _lasts_s, _word) in WIRES.items():
    add(
        Scenario(
            name=_name,
            rows=_rows,
            play=partial(_wire, name=_between, mode=_mode, lasts_s=_lasts_s),
            must=(f"wire {_word}",) if _between != "tokens" else (),
            short=_name == "postgres-answers-halved",
        )
    )


# ---------------------------------------------------------------------- the create in doubt


def _writing(item: Item, row_id: str) -> bytes:
    if item.kind == "rfi":
        return f"/rfis/{item.procore_id}/replies".encode()
    return f"/submittal_approvers/{row_id}".encode()


async def _row_id(work: Work, item: Item) -> str:
    if item.kind == "rfi":
        return ""
    site = work.lab.site
    rows = (await site.submittal(item.procore_id))["approvers"]
    maya = site.procore_id_of(site.maya)
    return str(next(row["id"] for row in rows if row["user"]["id"] == maya))


async def _item(work: Work, name: str) -> tuple[Item, bytes, str]:
    make = work.chance.choice([work.rfi, work.submittal])
    item = await make(name)
    method = "POST" if item.kind == "rfi" else "PATCH"
    return item, _writing(item, await _row_id(work, item)), method


async def _held(work: Work, *, up: bool, kill: bool, late_s: float) -> None:
    """Keep the write or its answer back, kill its worker or not, and let go of it late."""
    lab = work.lab
    item, path, method = await _item(work, "Held on its way" if up else "Its answer is held")
    hold = lab.proxies.procore.hold(f"{method} ".encode(), path, way="up" if up else "down")
    _ = await work.answer(item, files=1)
    await asyncio.wait_for(hold.caught.wait(), 40)
    lab.history.note("fault", "held", way=hold.way, path=path.decode())
    lab.reached["w3 held" if up else "w4 held"] += 1
    if kill:
        for name in WORKERS:
            await lab.kill(lab.stack.program(name))
    # Later than the write's deadline or its worker's life, and sooner than the quiet period ends.
    await asyncio.sleep(late_s)
    hold.released.set()
    await lab.revive()
    await work.settled()


for _name, _up, _kill, _late_s, _rows, _short in (
    ("w3-kill", True, True, 1.5, (6,), True),
    ("w3-late", True, False, 4.0, (6, 25), False),
    ("w4-kill", False, True, 1.5, (7,), False),
    ("w4-late", False, False, 5.0, (25,), False),
):
    add(
        Scenario(
            name=_name,
            rows=_rows,
            play=partial(_held, up=_up, kill=_kill, late_s=_late_s),
            must=("w3 held" if _up else "w4 held", "log return.adopted"),
            short=_short,
        )
    )


async def _ambiguous(work: Work, *, rules: list[dict[str, Any]]) -> None:
    lab = work.lab
    item, path, method = await _item(work, f"Procore: {rules[0]['kind']}")
    pattern = f"{path.decode()}$"
    await lab.site.procore_faults(*({**rule, "method": method, "path": pattern} for rule in rules))
    lab.history.note("fault", "procore", rules=rules, path=pattern)
    _ = await work.answer(item, files=1)
    await work.settled()
    answer = await lab.site.http.get(f"{lab.stack.procore}/_sandbox/faults")
    lab.reached["procore struck"] += sum(rule["hits"] for rule in answer.json()["rules"])


for _name, _rules, _rows, _more in (
    ("create-cut-before", [{"kind": "cut_before", "count": 1}], (26,), ("sent twice",)),
    ("create-cut-after", [{"kind": "cut_after", "count": 1}], (26,), ("log return.adopted",)),
    ("create-half-answered", [{"kind": "half_body", "count": 1}], (26,), ("log return.adopted",)),
    (
        "create-500",
        [{"kind": "status", "status": 500, "count": 1}],
        (24,),
        ("sent twice",),
    ),
    ("create-502-html", [{"kind": "status", "status": 502, "body": "html", "count": 1}], (24,), ()),
    ("create-429", [{"kind": "status", "status": 429, "retry_after_s": 2, "count": 2}], (22,), ()),
):
    add(
        Scenario(
            name=_name,
            rows=_rows,
            play=partial(_ambiguous, rules=_rules),
            must=("procore struck", *_more),
            short=_name == "create-cut-after",
        )
    )


async def _all_reads(work: Work, *, rule: dict[str, Any]) -> None:
    lab = work.lab
    items = await _four(work, "Reads fail")
    await lab.site.procore_faults({**rule, "method": "GET", "path": "/rest/"})
    await _meanwhile(work, items)
    await work.settled()
    answer = await lab.site.http.get(f"{lab.stack.procore}/_sandbox/faults")
    lab.reached["procore struck"] += sum(one["hits"] for one in answer.json()["rules"])


for _name, _rule, _rows in (
    ("reads-503", {"kind": "status", "status": 503, "rate": 0.5, "count": 20}, (23,)),
    ("reads-200-html", {"kind": "status", "status": 200, "body": "html", "count": 4}, (23,)),
    ("reads-429", {"kind": "status", "status": 429, "retry_after_s": 1, "count": 4}, (22,)),
    ("reads-halved", {"kind": "half_body", "rate": 0.5, "count": 8}, (26,)),
):
    add(
        Scenario(
            name=_name, rows=_rows, play=partial(_all_reads, rule=_rule), must=("procore struck",)
        )
    )
