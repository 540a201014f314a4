"""Notices that come twenty times, late, out of order, for another project, or with stale reads."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from connector.demo.worlds import PROJECT_ID
from services.hook_secrets import hook_secret
from services.settings import Reader
from tests.stack.fault_stacks import Site

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

TIMES = 20


async def test_the_same_procore_event_twenty_times_is_one_put(site: Site) -> None:
    rfi_id = await _shown_rfi(site, "Door swing at the vestibule")
    await site.rename_rfi(rfi_id, "Door swing at the lobby")
    delivery = await _delivery_of(site, rfi_id, "update")
    await _post_to_gateway(site, delivery["endpoint"], json.loads(delivery["payload"]))
    await site.until_titled("rfi", rfi_id, "Door swing at the lobby")
    await _post_to_gateway(site, delivery["endpoint"], json.loads(delivery["payload"]))
    await _all_is_taken(site)
    titles = [put["title"] for put in await site.puts(rfi_id)]
    assert titles == ["Door swing at the vestibule", "Door swing at the lobby"]


async def test_the_same_part3_event_twenty_times_is_one_reply(site: Site) -> None:
    rfi_id = await _shown_rfi(site, "Guard rail height")
    await site.procore_faults({"kind": "latency", "path": f"{rfi_id}/replies$", "delay_s": 1.0})
    return_id = await site.return_rfi(rfi_id, "1070 mm above the nosing.")
    (event,) = [
        entry
        for entry in await site.part3_ledger(what="event.queued")
        if entry.get("return_id") == return_id
    ]
    await _post_part3_event(site, event)
    await site.until_return(return_id, "delivered")
    await _post_part3_event(site, event)
    await _all_is_taken(site)
    replies = await site.replies(rfi_id)
    assert len(replies) == 1
    assert await site.receipts(return_id) == [str(replies[0]["id"])]
    assert len(await site.calls("POST", f"/rfis/{rfi_id}/replies")) == 1


@pytest.mark.parametrize("foreign", ["project_id", "company_id"])
async def test_a_hook_that_names_another_project_makes_no_work(site: Site, foreign: str) -> None:
    rfi_id = await _shown_rfi(site, f"Corner bead, other {foreign}")
    delivery = await _delivery_of(site, rfi_id, "create")
    path = f"/rfis/{rfi_id}"
    await _all_is_taken(site)
    before = len(await site.calls("GET", path))
    others = {"project_id": site.made["projects"], "company_id": site.made["companies"]}
    other = {foreign: str(others[foreign][1]["id"]), "id": "01FOREIGN0000000000000000A"}
    payload = {**json.loads(delivery["payload"]), **other}
    await _post_to_gateway(site, delivery["endpoint"], payload)
    await _all_is_taken(site)
    assert len(await site.calls("GET", path)) == before


SWEEP_NOW = "UPDATE mirror.sweeps SET due_at = now() WHERE due_at > now() RETURNING 1"


async def test_part3_never_shows_an_older_state_after_a_newer_one(site: Site) -> None:
    rfi_id = await _shown_rfi(site, "Ceiling height 0")
    submittal_id = await site.send_submittal("Lintel schedule 0")
    await site.until_titled("submittal", submittal_id, "Lintel schedule 0")
    await site.procore_faults(
        {"kind": "duplicate", "copies": 4, "different_ids": True},
        {"kind": "reorder", "delay_s": 2.0},
        {"kind": "drop", "rate": 0.2},
        {"kind": "stale", "method": "GET", "path": "/(rfis|submittals)", "lag_s": 2, "rate": 0.5},
        seed=11,
    )
    for turn in range(1, 7):
        await site.rename_rfi(rfi_id, f"Ceiling height {turn}")
        await site.rename_submittal(submittal_id, f"Lintel schedule {turn}")
        await asyncio.sleep(0.4)  # so that looks fall between the changes
    last = {("rfi", rfi_id): "Ceiling height 6", ("submittal", submittal_id): "Lintel schedule 6"}

    async def swept_until_shown() -> bool:
        _ = await site.rows(SWEEP_NOW)  # the last notice of a record may be among the dropped ones
        shown = {key: (await site.record(*key))["title"] for key in last}
        return shown == last

    await site.until("both last titles are shown", swept_until_shown)
    await _all_is_taken(site)
    await site.procore_faults()
    for record_id in (rfi_id, submittal_id):
        turns = [int(put["title"].rsplit(" ", 1)[1]) for put in await site.puts(record_id)]
        assert turns == sorted(turns)
        assert turns[-1] == 6


async def test_a_half_updated_read_is_mended_by_the_look_that_follows(site: Site) -> None:
    rfi_id = await _shown_rfi(site, "Sill flashing")
    half = {"kind": "stale", "method": "GET", "path": f"/rfis/{rfi_id}$", "half": True}
    await site.procore_faults({**half, "lag_s": 3.0, "count": 1})
    await site.dana.open_procore(f"/projects/{site.procore_project}/rfis/{rfi_id}/edit")
    await site.dana.browser.press("Save", {"Assignees": "Tomás Rivera (Rivera Structural)"})
    tomas = [str(site.procore_id_of(site.tomas))]

    async def at_tomas() -> bool:
        record = await site.record("rfi", rfi_id)
        return [one["procore_id"] for one in record["ball_in_court"]] == tomas

    await site.until("the ball is in Tomás's court in Part3", at_tomas)


async def _shown_rfi(site: Site, subject: str) -> str:
    rfi_id = await site.ask_rfi(subject)
    await site.until_titled("rfi", rfi_id, subject)
    return rfi_id


async def _delivery_of(site: Site, record_id: str, reason: str) -> dict[str, Any]:
    """Return what Procore's stand-in sends of a change, with its address and bytes."""

    async def sent() -> dict[str, Any] | None:
        deliveries = (await site.procore_ledger())["deliveries"]
        ours = [d for d in deliveries if record_id in d["payload"] and d["event_type"] == reason]
        return ours[0] if ours else None

    return await site.until(f"record {record_id} has an event", sent)


async def _post_to_gateway(site: Site, endpoint: str, payload: dict[str, Any]) -> None:
    key = Reader(site.stack.environment).key_ring("WEBHOOK_SECRET_KEYS").first.secret
    generation = int(endpoint.rsplit("/", 1)[1])
    headers = {"authorization": hook_secret(key, PROJECT_ID, generation)}
    answers = await asyncio.gather(
        *(site.http.post(endpoint, json=payload, headers=headers) for _ in range(TIMES))
    )
    assert {answer.status_code for answer in answers} == {httpx2.codes.NO_CONTENT}


async def _post_part3_event(site: Site, event: dict[str, Any]) -> None:
    """Send a return's event again as Part3 does: the same id and bytes, signed at that time."""
    names = ("project_id", "kind", "procore_id", "return_id", "user_id")
    data = {name: event[name] for name in names}
    body = json.dumps({"type": event["type"], "timestamp": event["at"], "data": data})
    now, secret = datetime.now(UTC), site.stack.environment["PART3_WEBHOOK_SECRETS"]
    headers = {
        "webhook-id": event["event_id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event["event_id"], now, body),
        "content-type": "application/json",
    }
    url = f"{site.stack.gateway}/part3/events"
    answers = await asyncio.gather(
        *(site.http.post(url, content=body, headers=headers) for _ in range(TIMES))
    )
    assert {answer.status_code for answer in answers} == {httpx2.codes.ACCEPTED}


async def _all_is_taken(site: Site) -> None:
    """Wait until a later change has come through, and no look or delivery is due any more.

    Notices of a project keep their order, so what was sent before it has been taken too.
    """
    later = await site.ask_rfi(f"Later, at {datetime.now(UTC):%H:%M:%S.%f}")

    async def quiet() -> bool:
        if await site.record("rfi", later) is None:
            return False
        due = "SELECT 1 FROM mirror.looks UNION SELECT 1 FROM mirror.deliveries"
        return not await site.rows(f"{due} WHERE due_at IS NOT NULL")

    await site.until("all is taken", quiet)
