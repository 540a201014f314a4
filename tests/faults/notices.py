"""Events that come often, late, in another order, not at all, or that nobody can read."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx2

from tests.faults.lab import Lab
from tests.faults.scenarios import scenario
from tests.faults.senders import post_procore_event
from tests.faults.workload import Item, Work

TWO_HOURS_S = 7_200.0
THIRTEEN_HOURS_S = 46_800.0


async def advance(lab: Lab, seconds: float) -> None:
    """Move Procore's clock, and keep that it was."""
    await lab.site.advance_procore(seconds)
    lab.history.note("fault", "clock", advanced_s=seconds)


async def _list_now(lab: Lab) -> None:
    """Make the sweeps due, as after SWEEP_S."""
    await lab.site.execute("UPDATE mirror.sweeps SET due_at = now()")


@scenario(35, 36, must=("two hours later",))
async def events_tripled_shuffled_and_two_hours_late(work: Work) -> None:
    """Each comes three times under other ids, out of order, and some two hours after the rest."""
    lab = work.lab
    await lab.site.procore_faults(
        {"kind": "delay", "delay_s": TWO_HOURS_S, "rate": 0.3},
        {"kind": "duplicate", "copies": 3, "different_ids": True},
        {"kind": "reorder", "delay_s": 2.0},
        seed=work.chance.getrandbits(16),
    )
    items = [
        await (work.rfi if one % 2 else work.submittal)(f"Shuffled {one}", shown=False)
        for one in range(4)
    ]
    for _ in range(3):
        for item in items:
            await work.rename(item)
        await asyncio.sleep(0.5)
    await lab.site.procore_faults()  # or the echoes of what follows would be late for hours
    await advance(lab, TWO_HOURS_S + 60)
    lab.reached["two hours later"] += 1
    await work.settled()
    for item in items:
        _ = await work.answer(item)
    await work.settled()


@scenario(27, must=("procore struck",))
async def reads_are_stale(work: Work) -> None:
    """Half of all reads show what was two seconds ago; the listing that follows mends it."""
    lab = work.lab
    items = [await work.rfi("Stale"), await work.submittal("Stale")]
    await lab.site.procore_faults(
        {"kind": "stale", "method": "GET", "path": "/(rfis|submittals)", "lag_s": 2, "rate": 0.5},
        seed=work.chance.getrandbits(16),
    )
    for _ in range(4):
        for item in items:
            await work.rename(item)
        await asyncio.sleep(0.4)
    answer = await lab.site.http.get(f"{lab.stack.procore}/_sandbox/faults")
    await asyncio.sleep(2.5)
    lab.reached["procore struck"] += sum(rule["hits"] for rule in answer.json()["rules"])
    await lab.site.procore_faults()
    await _list_now(lab)
    await work.settled()


@scenario(50, must=("procore struck",))
async def a_fifth_of_the_events_is_dropped(work: Work) -> None:
    """The sender loses them; the next listing brings what they would have said."""
    lab = work.lab
    items = [await (work.rfi if one % 2 else work.submittal)(f"Dropped {one}") for one in range(4)]
    await lab.site.procore_faults({"kind": "drop", "rate": 0.5}, seed=work.chance.getrandbits(16))
    for _ in range(3):
        for item in items:
            await work.rename(item)
    answer = await lab.site.http.get(f"{lab.stack.procore}/_sandbox/faults")
    lab.reached["procore struck"] += sum(rule["hits"] for rule in answer.json()["rules"])
    await lab.site.procore_faults()
    await _list_now(lab)
    await work.settled()


@scenario(29, 30, 50, must=("queue thrown away",))
async def the_queue_is_thrown_away_after_twelve_hours(work: Work) -> None:
    """The gateway is away so long that Procore discards what waits; a listing brings it all."""
    lab = work.lab
    items = [await work.rfi("Discarded"), await work.submittal("Discarded")]
    await lab.kill(lab.stack.program("gateway"))
    for item in items:
        await work.rename(item)
    await asyncio.sleep(2)  # the first attempt fails
    for _ in range(16):
        await advance(lab, THIRTEEN_HOURS_S / 13)
        await asyncio.sleep(0.2)
    effects = (await lab.site.procore_ledger())["effects"]
    lab.reached["queue thrown away"] += sum(
        one["effect"] == "deliveries.discarded" for one in effects
    )
    await lab.revive()
    await _list_now(lab)
    await work.settled()


@scenario(51)
async def listings_race_with_events(work: Work) -> None:
    """The whole project is listed again and again while its records change."""
    lab = work.lab
    items = [await (work.rfi if one % 2 else work.submittal)(f"Raced {one}") for one in range(4)]
    for _ in range(8):
        await _list_now(lab)
        for item in items:
            await work.rename(item)
        await asyncio.sleep(0.3)
    await work.settled()
    for item in items:
        _ = await work.answer(item)
    await work.settled()


@scenario(37)
async def a_late_update_after_a_removal(work: Work) -> None:
    """A removed record stays removed whatever old event still comes; restored, it is back."""
    site = work.lab.site
    item = await work.rfi("Removed")
    await work.rename(item)
    await work.settled()
    path = f"/rest/v1.0/projects/{site.procore_project}/rfis/{item.procore_id}"
    await site.procore_as_dana("PATCH", f"{path}/recycle")

    async def removed() -> bool:
        record = await site.record("rfi", item.procore_id)
        return bool(record["status"] == "removed")

    await site.until("Part3 shows that it was removed", removed)
    for _ in range(3):
        assert await post_procore_event(work, item) == httpx2.codes.NO_CONTENT
    await asyncio.sleep(2)
    if not await removed():
        raise AssertionError("I3 a removed record came back through an old event")
    await site.procore_as_dana("PATCH", f"{path}/retrieve")
    await site.until("it is back", lambda: _is_open(work, item))


async def _is_open(work: Work, item: Item) -> bool:
    record = await work.lab.site.record(item.kind, item.procore_id)
    return bool(record["status"] != "removed")


@scenario(49, must=("gateway said 401",))
async def hook_keys_are_rotated_on_one_side_only(work: Work) -> None:
    """Procore still sends the old secret: refused, kept by Procore, and taken once both are known.

    A refusal makes Procore hold back everything, so nothing is lost while somebody looks.
    """
    lab = work.lab
    item = await work.rfi("Rotated")
    gateway = lab.stack.program("gateway")
    both = gateway.environment["WEBHOOK_SECRET_KEYS"]
    gateway.environment["WEBHOOK_SECRET_KEYS"] = "w2:" + "A" * 43 + "="
    await gateway.restart()
    await work.rename(item)
    lab.reached["gateway said 401"] += (
        await post_procore_event(work, item) == httpx2.codes.UNAUTHORIZED
    )
    gateway.environment["WEBHOOK_SECRET_KEYS"] = both
    await gateway.restart()
    await work.settled()


@scenario(50, must=("log hook.created",))
async def the_hook_is_deleted_in_procore(work: Work) -> None:
    """The hourly audit makes it again and has the project listed."""
    site = work.lab.site
    item = await work.rfi("Unhooked")
    base = f"/rest/v2.0/companies/{site.procore_company}/projects/{site.procore_project}"
    hooks = (await site.procore(f"{base}/webhooks/hooks"))["data"]
    for hook in hooks:
        await site.procore_as_dana("DELETE", f"{base}/webhooks/hooks/{hook['id']}")
    await work.rename(item)
    await site.execute("UPDATE mirror.projects SET hook_due_at = now()")
    await work.settled()
    await work.rename(item)
    await work.settled()


@scenario(47)
async def procores_clock_is_ten_minutes_ahead(work: Work) -> None:
    """Windows, leases and quiet periods are of our own clocks; Procore's stamps only order."""
    await advance(work.lab, 600)
    items = [await work.rfi("Ahead"), await work.submittal("Ahead")]
    for item in items:
        await work.rename(item)
    await work.settled()
    for item in items:
        _ = await work.answer(item, files=1)
    await work.settled()


@scenario(47, must=("gateway said 401",))
async def part3s_clock_is_ten_minutes_off(work: Work) -> None:
    """A signature older than five minutes is refused; the return is found all the same."""
    lab, site = work.lab, work.lab.site
    item = await work.rfi("Signed late")
    await site.part3_faults({"on": "event", "fault": "drop", "event": "return.created"})
    _ = await work.answer(item)
    (event,) = [
        one
        for one in await site.part3_ledger(what="event.queued")
        if one.get("return_id") == work.answers[0].return_id
    ]
    status = await site.post_part3_event(event, at=datetime.now(UTC) - timedelta(minutes=10))
    lab.reached["gateway said 401"] += status == httpx2.codes.UNAUTHORIZED
    await work.settled()
