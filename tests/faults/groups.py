"""Workers that come and go, and that stand in each other's way."""

import asyncio
import sys
import time

from deploy.local.ports import free_port
from deploy.local.processes import Program
from deploy.local.readiness import http_ready
from schemas.notices import WORKER_GROUP
from tests.faults.checker import remember_published
from tests.faults.lab import OURS, WORKERS, Lab
from tests.faults.offsets import delete_group, delete_records
from tests.faults.scenarios import scenario
from tests.faults.workload import Item, Work

GRACE_S = 25.0
LEASES_LAPSE_S = 240.0
"""The longest of the leases that a worker holds on work, and some."""


async def _some(work: Work, name: str, times: int) -> list[Item]:
    return [
        await (work.rfi if one % 2 else work.submittal)(f"{name} {one}") for one in range(times)
    ]


async def _keep_busy(work: Work, items: list[Item], until: float) -> None:
    """Have half of the records answered, and the other half renamed again and again."""
    half = len(items) // 2
    for item in items[:half]:
        _ = await work.answer(item, files=1)
    while time.monotonic() < until:
        await work.rename(work.chance.choice(items[half:]))
        await asyncio.sleep(0.2)


@scenario(31, 32, must=("log consumer.assigned",))
async def workers_come_and_go(work: Work) -> None:
    """Rebalances between two and four workers while records change and returns go."""
    lab = work.lab
    items = await _some(work, "Rebalanced", 6)
    busy = asyncio.create_task(_keep_busy(work, items, time.monotonic() + 30))
    for round_ in range(3):
        third = await _extra(lab, 3)
        fourth = await _extra(lab, 4)
        await asyncio.sleep(work.chance.uniform(1, 3))
        await third.stop(GRACE_S)
        if round_ % 2:
            await lab.kill(fourth)
        else:
            await fourth.stop(GRACE_S)
        await asyncio.sleep(work.chance.uniform(1, 2))
    await busy
    await work.settled()


async def _extra(lab: Lab, number: int) -> Program:
    name = f"worker-{number}"
    if name not in lab.stack.run.programs:
        return await lab.stack.add_worker(number)
    await lab.start(lab.stack.program(name))
    return lab.stack.program(name)


@scenario(56, must=("ended in time",))
async def sigterm_at_random_times(work: Work) -> None:
    """Each program is asked to end in the middle of work, again and again."""
    lab = work.lab
    items = await _some(work, "SIGTERM", 4)
    busy = asyncio.create_task(_keep_busy(work, items, time.monotonic() + 30))
    for _ in range(8):
        await asyncio.sleep(work.chance.uniform(0.2, 1.5))
        program = lab.stack.program(work.chance.choice(OURS))
        lab.history.note("fault", "sigterm", program=program.name)
        await program.stop(GRACE_S)
        if program.returncode != 0:
            raise AssertionError(f"{program.name} ended with {program.returncode} after SIGTERM")
        lab.reached["ended in time"] += 1
        await lab.start(program)
    await busy
    await work.settled()


@scenario(4, 7, must=("w5 kill", "taken over"))
async def return_of_a_worker_that_never_comes_back(work: Work) -> None:
    """Its delivery's lease lapses, and another worker finds what it had sent."""
    await _never_comes_back(work, "w5")


@scenario(4, must=("l1 kill", "taken over"))
async def look_of_a_worker_that_never_comes_back(work: Work) -> None:
    """Its claim and its lease on the record lapse, and another worker looks."""
    await _never_comes_back(work, "l1")


async def _never_comes_back(work: Work, point: str) -> None:
    lab = work.lab
    item = await work.rfi(f"Its worker dies at {point}")
    lab.arm(f"{point}=kill")
    if point == "l1":
        await work.rename(item)
    else:
        _ = await work.answer(item, files=1)
    dead = await lab.until_struck()
    dead.kill()  # reaped; nobody starts it
    began = time.monotonic()
    while not await _is_settled(work, item):
        if time.monotonic() - began > LEASES_LAPSE_S:
            raise AssertionError(f"nobody took over what {dead.name} held at {point}")
        await asyncio.sleep(1)
    took_s = round(time.monotonic() - began, 1)
    lab.reached["taken over"] += 1
    lab.history.note("figures", "takeover", point=point, took_s=took_s)
    work.figures[f"another worker took over at {point} after"] = f"{took_s} s"


async def _is_settled(work: Work, item: Item) -> bool:
    site = work.lab.site
    for answer in work.answers:
        if await site.return_state(answer.return_id) != answer.ends:
            return False
    record = await site.record(item.kind, item.procore_id)
    return bool(record and record["title"] == item.title)


@scenario(33, must=("w2 stop", "taken over"))
async def worker_stands_still_before_it_sends(work: Work) -> None:
    """It is armed, sleeps through its lease, and another one is at its return when it wakes."""
    lab = work.lab
    item = await work.rfi("Its worker sleeps")
    lab.arm("w2=stop")
    _ = await work.answer(item, files=1)
    asleep = await lab.until_struck()
    began = time.monotonic()
    while not await _is_settled(work, item):
        if time.monotonic() - began > LEASES_LAPSE_S:
            raise AssertionError(f"nobody took over what {asleep.name} held")
        await asyncio.sleep(1)
    lab.reached["taken over"] += 1
    work.figures["a sleeping worker's return was taken over after"] = (
        f"{time.monotonic() - began:.1f} s"
    )
    lab.resume(asleep)
    await asyncio.sleep(5)  # what it does now must change nothing
    await work.settled()


@scenario(34, must=("twins",))
async def two_workers_of_one_name(work: Work) -> None:
    """Two deployments share the group and the names of their workers; both write to one mirror."""
    lab = work.lab
    items = await _some(work, "Twins", 4)
    busy = asyncio.create_task(_keep_busy(work, items, time.monotonic() + 15))
    twins = [await _twin(lab, name) for name in WORKERS]
    lab.reached["twins"] += 1
    await busy
    for twin in twins:
        await twin.stop(GRACE_S)
    for name in WORKERS:  # whoever was fenced out of the group comes back
        program = lab.stack.program(name)
        program.kill()
        await lab.start(program)
    await work.settled()


async def _twin(lab: Lab, name: str) -> Program:
    original = lab.stack.program(name)
    other = f"worker-twin-of-{name}"
    if other not in lab.stack.run.programs:
        port = free_port()
        twin = lab.stack.run.program(
            other,
            [sys.executable, "-m", "sync_worker"],
            environment={**original.environment, "METRICS_PORT": str(port)},
            ready=http_ready(f"http://127.0.0.1:{port}/livez"),
        )
    else:
        twin = lab.stack.program(other)
    await twin.start()
    return twin


@scenario(16, must=("offsets lost",))
async def offsets_are_lost(work: Work) -> None:
    """The group's offsets are gone: everything is taken again, and nothing happens twice."""
    lab = work.lab
    items = await _some(work, "Offsets lost", 2)
    for item in items:
        _ = await work.answer(item, files=1)
    await work.settled()
    workers = [lab.stack.program(name) for name in WORKERS]
    for program in workers:
        await program.stop(GRACE_S)
    await work.rename(items[0])
    await _forget_the_group(lab)
    work.offsets.forget()
    lab.reached["offsets lost"] += 1
    for program in workers:
        await lab.start(program)
    await work.settled()


async def _forget_the_group(lab: Lab) -> None:
    """Delete the group once its members' sessions are over, as static members stay till then."""
    group = lab.kafka_settings.topic_prefix + WORKER_GROUP

    async def gone() -> bool:
        return await delete_group(lab.kafka_settings, group)

    await lab.site.until("the group is gone", gone)


@scenario(16, 30, must=("log consumer.gap",), allows=("consumer.gap",))
async def records_are_gone_before_they_were_read(work: Work) -> None:
    """Retention passed while no worker ran: what was said is gone, so everything is listed."""
    lab = work.lab
    items = await _some(work, "Retention", 2)
    await work.settled()
    workers = [lab.stack.program(name) for name in WORKERS]
    for program in workers:
        await program.stop(GRACE_S)
    await work.rename(items[0])
    await lab.site.until("its event is in Kafka", lambda: _all_delivered(lab))
    _ = await remember_published(lab)
    await delete_records(lab.kafka_settings)
    for program in workers:
        await lab.start(program)
    await work.rename(items[1])  # the first record after the gap shows it
    await work.settled()


async def _all_delivered(lab: Lab) -> bool:
    health = await lab.site.http.get(f"{lab.stack.procore}/_sandbox/health")
    return bool(health.json()["deliveries_waiting"] == 0)
