"""Thirteen hours without our gateway: Procore gives its events up, and all is equal again.

Hours pass on the stand-in's clock, which stays ahead from here on. The next listing of the schedule
is an hour of ours away: the audit of the hook has to find that something was given up (Procore's
behaviours 22 and 23, docs/stand-ins.md).
"""

from functools import partial
from typing import Any

import pytest

from tests.stack.fault_stacks import Site

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

HOUR_S = 3_600.0
HOURS = 13
AUDIT_NOW = "UPDATE mirror.projects SET hook_due_at = now() RETURNING 1"  # then each HOOK_AUDIT_S
LISTING = """
SELECT 1 FROM mirror.sweeps WHERE lease_owner IS NOT NULL OR next_page IS NOT NULL
  OR LEAST(due_at, settle_at, wanted_at) <= now() + interval '1 minute'
UNION ALL SELECT 1 FROM mirror.looks
"""
NOTED = "SELECT 1 FROM mirror.activity WHERE event = $1"


@pytest.mark.parametrize(
    ("disabled_after", "noted"),
    [(0, "hook.missed"), (1, "hook.repaired")],
    ids=["given up", "given up and the hook disabled"],
)
async def test_after_13_hours_without_us_all_is_equal_again_without_a_person(
    site: Site, disabled_after: int, noted: str
) -> None:
    rfi_id, submittal_id = await _shown_records(site, noted)
    known = await site.rows(NOTED, noted)
    await site.procore_switches(disable_hook_after_discards=disabled_after)
    site.stack.program("gateway").kill()

    await site.rename_rfi(rfi_id, f"Louvre, {noted}, edited in the first hour")
    asked_id = await site.ask_rfi(f"Soffit, {noted}, asked in the first hour")
    await site.until("Procore tried in vain", lambda: _deliveries(site, rfi_id, "retrying"))
    for hour in range(HOURS):
        if hour == HOURS // 2:
            await site.rename_submittal(submittal_id, f"Grilles, {noted}, edited in the seventh")
        await site.advance_procore(HOUR_S)
    given_up = {rfi_id: "update", asked_id: "create", submittal_id: "update"}
    for record_id, event in given_up.items():
        found = await site.until(
            f"what {record_id} became is given up",
            partial(_deliveries, site, record_id, "discarded"),
        )
        assert [one["event_type"] for one in found] == [event]
    await site.stack.program("gateway").start()
    # of our own hours none has passed: the hourly audit is due again, as it is after thirteen
    assert await site.rows(AUDIT_NOW)

    await site.until_titled("rfi", rfi_id, f"Louvre, {noted}, edited in the first hour")
    await site.until_titled("rfi", asked_id, f"Soffit, {noted}, asked in the first hour")
    await site.until_titled("submittal", submittal_id, f"Grilles, {noted}, edited in the seventh")
    assert len(await site.rows(NOTED, noted)) == len(known) + 1
    for record_id, event in given_up.items():  # none of them came by an event after all
        found = await _deliveries(site, record_id, "discarded")
        assert [one["event_type"] for one in found] == [event]
    assert await _in_part3(site) == await _in_procore(site)

    await site.rename_rfi(rfi_id, f"Louvre, {noted}, edited afterwards")
    await site.until("events come again", lambda: _delivered_last(site, rfi_id))
    await site.until_titled("rfi", rfi_id, f"Louvre, {noted}, edited afterwards")


async def _shown_records(site: Site, named: str) -> tuple[str, str]:
    """Return an RFI and a submittal that Part3 shows, once no listing is due that could help."""
    rfi_id = await site.ask_rfi(f"Louvre, {named}")
    submittal_id = await site.send_submittal(f"Grilles, {named}")
    await site.until_titled("rfi", rfi_id, f"Louvre, {named}")
    await site.until_titled("submittal", submittal_id, f"Grilles, {named}")
    assert await site.rows(AUDIT_NOW)

    async def at_rest() -> bool:
        return not await site.rows(LISTING)

    await site.until("no listing is due", at_rest)
    return rfi_id, submittal_id


async def _deliveries(site: Site, record_id: str, status: str) -> list[dict[str, Any]]:
    deliveries = (await site.procore_ledger())["deliveries"]
    return [one for one in deliveries if record_id in one["payload"] and one["status"] == status]


async def _delivered_last(site: Site, record_id: str) -> bool:
    deliveries = (await site.procore_ledger())["deliveries"]
    ours = [one for one in deliveries if record_id in one["payload"]]
    return bool(ours[-1]["status"] == "delivered")


Titles = dict[tuple[str, str], tuple[str, str | None]]
"""(kind, Procore id) -> title and due date."""


async def _in_procore(site: Site) -> Titles:
    base = f"/projects/{site.procore_project}"
    rfis = await site.procore(f"/rest/v1.0{base}/rfis?per_page=100")
    submittals = await site.procore(f"/rest/v1.1{base}/submittals?per_page=100")
    return {
        **{("rfi", str(one["id"])): (one["subject"], one["due_date"]) for one in rfis},
        **{("submittal", str(one["id"])): (one["title"], one["due_date"]) for one in submittals},
    }


async def _in_part3(site: Site) -> Titles:
    return {
        (kind, record_id): (one["title"], one["due_on"])
        for kind in ("rfi", "submittal")
        for record_id, one in (await site.records(kind)).items()
        if one["status"] != "removed"
    }
