"""Webhooks that fail, come late, twice or never, and their listing: behaviours 18 to 26."""

import pytest
from msgspec.structs import replace

from tests.sandbox.procore.site import ARCHITECT, MANAGER, Site
from tests.sandbox.procore.webhook_receiver import (
    Receiver,
    base,
    dispatching,
    paused,
    statuses,
    subscribed,
)


@pytest.mark.parametrize("different", [False, True])
async def test_b18_a_change_may_be_delivered_several_times(
    site: Site, receiver: Receiver, *, different: bool
) -> None:
    rule = {"kind": "duplicate", "copies": 4, "different_ids": different}
    site.world.faults.set(7, [rule])
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    await manager.new_rfi()
    async with dispatching(site):
        site.world.clock.advance(8)
        await receiver.until(lambda: len(receiver.got) == 4)
    assert len({p["id"] for p in receiver.payloads}) == (4 if different else 1)
    assert len({p["timestamp"] for p in receiver.payloads}) == 1


async def test_b20_an_update_may_overtake_its_create(site: Site, receiver: Receiver) -> None:
    site.world.faults.set(1, [{"kind": "delay", "reason": "create", "delay_s": 30}])
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    rfi = await manager.new_rfi()
    await manager.ok("PATCH", f"{manager.rfis}/{rfi['id']}", json={"rfi": {"subject": "New words"}})
    async with dispatching(site):
        await receiver.until(lambda: len(receiver.got) == 1)
        site.world.clock.advance(31)
        await receiver.until(lambda: len(receiver.got) == 2)
    assert [p["reason"] for p in receiver.payloads] == ["update", "create"]


async def test_b20_a_delete_may_overtake_the_update_before_it(
    site: Site, receiver: Receiver
) -> None:
    site.world.faults.set(1, [{"kind": "delay", "reason": "update", "delay_s": 30}])
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    rfi = await manager.new_rfi()
    await manager.ok("PATCH", f"{manager.rfis}/{rfi['id']}", json={"rfi": {"subject": "New words"}})
    await manager.ok("PATCH", f"{manager.rfis}/{rfi['id']}/recycle")
    async with dispatching(site):
        await receiver.until(lambda: len(receiver.got) == 2)
        site.world.clock.advance(31)
        await receiver.until(lambda: len(receiver.got) == 3)
    assert [p["reason"] for p in receiver.payloads] == ["create", "delete", "update"]


async def test_b21_an_event_may_never_be_sent_though_the_object_changed(
    site: Site, receiver: Receiver
) -> None:
    site.world.faults.set(1, [{"kind": "drop", "count": 1}])
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    lost = await manager.new_rfi()
    told = await manager.new_rfi()
    async with dispatching(site):
        await receiver.until(lambda: len(receiver.got) == 1)
    assert receiver.payloads[0]["resource_id"] == str(told["id"])
    assert (await manager.rfi(lost["id"]))["id"] == lost["id"]


async def test_b22_a_failure_pauses_the_whole_queue_and_backs_off_to_an_hour(
    site: Site, receiver: Receiver
) -> None:
    site.world.clock.freeze()
    receiver.status = 500
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    for _ in range(3):
        await manager.new_rfi()
    pauses = []
    async with dispatching(site) as dispatcher:
        for tries in range(1, 15):
            await receiver.until(
                lambda tries=tries: len(receiver.got) == tries and paused(dispatcher, receiver)  # type: ignore[misc]
            )
            pauses.append(dispatcher.endpoint(receiver.url).pause_s)
            site.world.clock.advance(pauses[-1] + 0.001)
        assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]
        assert len({p["id"] for p in receiver.payloads}) == 1
        receiver.status = 200
        site.world.clock.advance(3601)
        await receiver.until(lambda: statuses(site) == ["delivered"] * 3)
        assert dispatcher.endpoint(receiver.url).failing_since is None


async def test_b22_no_answer_in_time_is_a_failure_and_holds_back_what_is_behind(
    site: Site, receiver: Receiver
) -> None:
    assert site.world.switches.delivery_timeout_s == 5.0
    site.world.set_switches(replace(site.world.switches, delivery_timeout_s=0.2))
    site.world.clock.freeze()
    receiver.silent = True
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    for _ in range(2):
        await manager.new_rfi()
    async with dispatching(site) as dispatcher:
        await receiver.until(lambda: paused(dispatcher, receiver))
        assert statuses(site) == ["retrying", "enqueued"]
        [attempt] = site.world.store.rows("SELECT * FROM attempts")
        assert (attempt["success"], attempt["response_status"]) == (0, None)
        receiver.silent = False
        site.world.clock.advance(1.001)
        await receiver.until(lambda: statuses(site) == ["delivered", "delivered"])


async def test_b22_after_twelve_hours_all_is_discarded_and_the_next_event_starts_anew(
    site: Site, receiver: Receiver
) -> None:
    site.world.clock.freeze()
    receiver.status = 0
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    await manager.new_rfi()
    await manager.new_rfi()
    async with dispatching(site):
        await receiver.until(lambda: "retrying" in statuses(site))
        site.world.clock.advance(12 * 3600 + 1)
        await receiver.until(lambda: statuses(site) == ["discarded"] * 2)
        receiver.status = 200
        manager = site.as_(MANAGER)
        await manager.new_rfi()
        await receiver.until(lambda: statuses(site)[-1] == "delivered")
    assert statuses(site) == ["discarded", "discarded", "delivered"]


async def test_b23_a_hook_may_be_disabled_and_revived_and_nothing_is_replayed(
    site: Site, receiver: Receiver
) -> None:
    site.world.clock.freeze()
    site.world.set_switches(replace(site.world.switches, disable_hook_after_discards=1))
    receiver.status = 503
    manager = site.as_(MANAGER)
    hook = await subscribed(manager, receiver)
    path = f"{base(site)}/{hook['id']}"
    await manager.new_rfi()
    async with dispatching(site):
        await receiver.until(lambda: "retrying" in statuses(site))
        site.world.clock.advance(12 * 3600 + 1)
        await receiver.until(lambda: statuses(site) == ["discarded"])
        manager = site.as_(MANAGER)
        assert (await manager.ok("GET", path))["data"]["status"] == "disabled"
        await manager.new_rfi()
        receiver.status = 200
        revived = await manager.ok("PATCH", path, json={"status": "active"})
        assert revived["data"]["status"] == "active"
        await manager.new_rfi()
        await receiver.until(lambda: statuses(site) == ["discarded", "delivered"])


@pytest.mark.parametrize("half", [False, True])
async def test_b24_a_read_soon_after_may_be_stale_or_half_new(site: Site, *, half: bool) -> None:
    manager = site.as_(MANAGER)
    rfi = await manager.new_rfi()
    site.world.clock.advance(60)
    path = f"{manager.rfis}/{rfi['id']}"
    await manager.ok("PATCH", path, json={"rfi": {"accepted": True}})
    site.world.faults.set(1, [{"kind": "stale", "lag_s": 1.5, "half": half, "method": "GET"}])
    seen = await manager.rfi(rfi["id"])
    [listed] = await manager.ok("GET", manager.rfis)
    assert seen["status"] == listed["status"] == ("closed" if half else "open")
    assert seen["ball_in_court"]["id"] == site.person(ARCHITECT).id
    site.world.clock.advance(2)
    after = await manager.rfi(rfi["id"])
    assert (after["status"], after["ball_in_court"]) == ("closed", None)


async def test_b26_the_deliveries_listing(site: Site, receiver: Receiver) -> None:
    manager = site.as_(MANAGER)
    hook = await subscribed(manager, receiver)
    path = f"{base(site)}/{hook['id']}/deliveries"
    assert (await manager.call("GET", path)).status_code == 404
    async with dispatching(site):
        await manager.new_rfi()
        await receiver.until(lambda: statuses(site) == ["delivered"])
    listed = await manager.ok("GET", path, params={"filter[status]": "succeeded"})
    [delivery] = listed["data"]
    assert delivery["status"] == "delivered"
    assert delivery["id"] == delivery["payload"]["id"] == receiver.payloads[0]["id"]
    [attempt] = delivery["delivery_attempts"]
    assert (attempt["success"], attempt["response_status"]) == (True, 204)
    assert (await manager.ok("GET", path, params={"filter[status]": "failed"}))["data"] == []


async def test_b26_every_status_is_listed_under_its_own_name(
    site: Site, receiver: Receiver
) -> None:
    site.world.clock.freeze()
    receiver.status = 500
    manager = site.as_(MANAGER)
    hook = await subscribed(manager, receiver)
    path = f"{base(site)}/{hook['id']}/deliveries"
    for _ in range(2):
        await manager.new_rfi()

    async def count(status: str) -> int:
        listed = await site.as_(MANAGER).ok("GET", path, params={"filter[status]": status})
        assert {d["status"] for d in listed["data"]} <= {status}
        return len(listed["data"])

    assert await count("enqueued") == 2
    async with dispatching(site):
        await receiver.until(lambda: "retrying" in statuses(site))
        assert (await count("retrying"), await count("enqueued")) == (1, 1)
        site.world.clock.advance(12 * 3600 + 1)
        await receiver.until(lambda: statuses(site) == ["discarded"] * 2)
    assert await count("discarded") == 2
