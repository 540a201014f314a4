"""Webhooks: behaviours 11 to 27, delivered for real to a receiver on loopback."""

import json

import pytest
from msgspec.structs import replace

from sandbox.procore.domain import directory
from tests.sandbox.procore.site import ARCHITECT, CLIENT_ID, MANAGER, Site
from tests.sandbox.procore.webhook_receiver import (
    SECRET,
    Receiver,
    base,
    dispatching,
    new_hook,
    statuses,
    subscribed,
)


async def test_b11_rfi_names_are_of_projects_only_and_unknown_names_are_refused(
    site: Site,
) -> None:
    manager = site.as_(MANAGER)
    project = base(site).removesuffix("/hooks")
    listed = await manager.ok("GET", f"{project}/resources", params={"payload_version": "v4.0"})
    offered = {r["name"]: r["actions"] for r in listed["data"]}
    for name in ("RFIs", "RFI Replies", "Submittals"):
        assert offered[name] == ["create", "update", "delete"]
    company = f"/rest/v2.0/companies/{site.company_id}/webhooks"
    names = {r["name"] for r in (await manager.ok("GET", f"{company}/resources"))["data"]}
    assert not names & set(offered)
    hook = await new_hook(manager)
    for name in ("Submittal Approvers", "rfis"):
        body = {"resource_name": name, "event_type": "update"}
        refused = await manager.call("POST", f"{base(site)}/{hook['id']}/triggers", json=body)
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "BAD_REQUEST"


async def test_b11_a_companys_hook_takes_no_rfi_and_no_submittal(site: Site) -> None:
    company = directory.company(site.world, site.company_id)
    site.world.store.put(replace(company, admin_ids=(site.person(MANAGER).id,)))
    owner = site.as_(MANAGER)
    hooks = f"/rest/v2.0/companies/{site.company_id}/webhooks/hooks"
    body = {
        "payload_version": "v4.0",
        "namespace": "part3-connector",
        "destination_url": "https://example.com/x",
    }
    hook = (await owner.ok("POST", hooks, json=body))["data"]
    assert hook["project_id"] is None
    for name in ("RFIs", "RFI Replies", "Submittals"):
        wanted = {"resource_name": name, "event_type": "update"}
        refused = await owner.call("POST", f"{hooks}/{hook['id']}/triggers", json=wanted)
        assert refused.status_code == 400, name
    projects = {"resource_name": "Projects", "event_type": "update"}
    await owner.ok("POST", f"{hooks}/{hook['id']}/triggers", json=projects)


async def test_b12_a_namespace_is_taken_once_in_its_scope(site: Site) -> None:
    manager = site.as_(MANAGER)
    hook = await new_hook(manager)
    body = {
        "payload_version": "v4.0",
        "namespace": "part3-connector",
        "destination_url": "https://example.com/x",
    }
    again = await manager.call("POST", base(site), json=body)
    assert again.status_code == 400
    assert "has already been taken" in again.text
    listed = await manager.ok("GET", base(site), params={"namespace": "part3-connector"})
    assert [h["id"] for h in listed["data"]] == [hook["id"]]
    for wrong in ({"namespace": "Part3"}, {"destination_url": "http://example.com"}):
        refused = await manager.call("POST", base(site), json={**body, **wrong})
        assert refused.status_code == 400


async def test_b13_the_secret_is_masked_in_reads_and_delivered_whole(
    site: Site, receiver: Receiver
) -> None:
    manager = site.as_(MANAGER)
    hook = await subscribed(manager, receiver)
    shown = await manager.ok("GET", f"{base(site)}/{hook['id']}")
    masked = shown["data"]["destination_headers"]["Authorization"]
    assert masked == "*" * (len(SECRET) - 5) + "last5"
    async with dispatching(site):
        await manager.new_rfi()
        await receiver.until(lambda: len(receiver.got) == 1)
    headers = receiver.got[0][0]
    assert headers["authorization"] == SECRET
    assert not [name for name in headers if "signature" in name]


async def test_b14_an_event_type_comes_back_in_upper_case(site: Site) -> None:
    manager = site.as_(MANAGER)
    hook = await new_hook(manager)
    path = f"{base(site)}/{hook['id']}/triggers"
    body = {"resource_name": "RFIs", "event_type": "update"}
    made = await manager.ok("POST", path, json=body)
    assert made["data"]["event_type"] == "UPDATE"
    assert isinstance(made["data"]["id"], str)
    assert (await manager.call("DELETE", f"{path}/{made['data']['id']}")).status_code == 204
    assert (await manager.ok("GET", path))["data"] == []


async def test_b15_bulk_triggers_answer_201_207_or_413(site: Site) -> None:
    manager = site.as_(MANAGER)
    hook = await new_hook(manager)
    path = f"{base(site)}/{hook['id']}/triggers/bulk"
    good = {"resource_name": "RFIs", "event_type": "create"}
    bad = {"resource_name": "Nonsense", "event_type": "create"}
    assert (await manager.call("POST", path, json=[good])).status_code == 201
    other = {"resource_name": "RFIs", "event_type": "delete"}
    some = await manager.call("POST", path, json=[other, bad])
    assert some.status_code == 207
    assert len(some.json()["data"]["failed"]) == 1
    assert (await manager.call("POST", path, json=[good] * 501)).status_code == 413
    ids = [t["id"] for t in (await manager.ok("GET", path.removesuffix("/bulk")))["data"]]
    gone = await manager.call("DELETE", path, json=ids)
    assert (gone.status_code, gone.json()["data"]["succeeded"]) == (200, ids)
    assert (await manager.call("DELETE", path, json=["123"])).status_code == 207


@pytest.mark.parametrize("version", ["v2.0", "v3.0", "v4.0"])
async def test_b16_each_payload_version_has_its_shape(
    site: Site, receiver: Receiver, version: str
) -> None:
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver, payload_version=version)
    async with dispatching(site):
        rfi = await manager.new_rfi()
        await receiver.until(lambda: len(receiver.got) == 1)
    payload = receiver.payloads[0]
    user_id = site.person(MANAGER).id
    if version == "v4.0":
        assert set(payload) == {
            "id",
            "timestamp",
            "reason",
            "company_id",
            "project_id",
            "user_id",
            "resource_type",
            "resource_id",
        }
        assert all(isinstance(value, str) for value in payload.values())
        assert (payload["reason"], payload["resource_id"]) == ("create", str(rfi["id"]))
        assert payload["user_id"] == str(user_id)
        return
    assert (payload["event_type"], payload["resource_id"]) == ("create", rfi["id"])
    assert (payload["api_version"], payload["user_id"]) == (version, user_id)
    assert payload["metadata"]["source_user_id"] == user_id
    assert ("related_resources" in payload) == (version == "v3.0")


async def test_b16_v4_may_carry_unknown_data_and_new_reasons(
    site: Site, receiver: Receiver
) -> None:
    site.world.set_switches(
        replace(site.world.switches, event_data=True, event_reason="status_changed")
    )
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    rfi = await manager.new_rfi()
    await manager.ok("PATCH", f"{manager.rfis}/{rfi['id']}", json={"rfi": {"accepted": True}})
    async with dispatching(site):
        await receiver.until(lambda: len(receiver.got) == 2)
    assert [p["reason"] for p in receiver.payloads] == ["create", "status_changed"]
    assert "data" in receiver.payloads[1]


async def test_b17_the_source_may_be_null(site: Site, receiver: Receiver) -> None:
    site.world.set_switches(replace(site.world.switches, event_source="null"))
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver, payload_version="v2.0")
    await manager.new_rfi()
    async with dispatching(site):
        await receiver.until(lambda: len(receiver.got) == 1)
    assert receiver.payloads[0]["metadata"]["source_user_id"] is None
    assert receiver.payloads[0]["metadata"]["source_application_id"] is None


async def test_b17_the_source_is_now_there_and_now_null(site: Site, receiver: Receiver) -> None:
    site.world.set_switches(replace(site.world.switches, event_source="mixed"))
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver, payload_version="v2.0")
    for _ in range(12):
        await manager.new_rfi()
    async with dispatching(site):
        await receiver.until(lambda: len(receiver.got) == 12)
    sources = {p["metadata"]["source_application_id"] for p in receiver.payloads}
    assert sources == {CLIENT_ID, None}


async def test_b19_what_an_app_writes_comes_back_under_the_name_of_its_user(
    site: Site, receiver: Receiver
) -> None:
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver, payload_version="v2.0")
    rfi = await manager.new_rfi()
    reply = await site.as_(ARCHITECT).reply(rfi["id"])
    async with dispatching(site):
        await receiver.until(lambda: len(receiver.got) == 3)
    told = {
        (p["resource_name"], p["resource_id"]): (
            p["user_id"],
            p["metadata"]["source_user_id"],
            p["metadata"]["source_application_id"],
        )
        for p in receiver.payloads[1:]
    }
    ours = (site.person(ARCHITECT).id, site.person(ARCHITECT).id, CLIENT_ID)
    assert told == {("RFI Replies", reply["id"]): ours, ("RFIs", rfi["id"]): ours}


async def test_b25_a_reply_event_names_the_reply_and_no_rfi(site: Site, receiver: Receiver) -> None:
    site.world.set_switches(replace(site.world.switches, reply_raises_rfi_update="never"))
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver, payload_version="v2.0")
    rfi = await manager.new_rfi()
    reply = await site.as_(ARCHITECT).reply(rfi["id"])
    async with dispatching(site):
        await receiver.until(lambda: len(receiver.got) == 2)
    event = receiver.payloads[1]
    assert (event["resource_name"], event["resource_id"]) == ("RFI Replies", reply["id"])
    assert str(rfi["id"]) not in json.dumps(event)
    assert event["user_id"] == site.person(ARCHITECT).id


async def test_b25_the_rfis_own_event_may_be_lost_though_the_reply_moved_its_updated_at(
    site: Site, receiver: Receiver
) -> None:
    site.world.faults.set(1, [{"kind": "drop", "resource": "RFIs", "reason": "update"}])
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    rfi = await manager.new_rfi()
    site.world.clock.advance(60)
    await site.as_(ARCHITECT).reply(rfi["id"])
    async with dispatching(site):
        await receiver.until(lambda: len(receiver.got) == 2)
    assert [p["resource_type"] for p in receiver.payloads] == ["RFIs", "RFI Replies"]
    window = f"{rfi['updated_at']}...2100-01-01T00:00:00Z"
    changed = await manager.ok("GET", manager.rfis, params={"filters[updated_at]": window})
    assert [r["id"] for r in changed] == [rfi["id"]]
    assert changed[0]["updated_at"] > rfi["updated_at"]


async def test_only_an_admin_may_manage_hooks(site: Site) -> None:
    architect = site.as_(ARCHITECT)
    assert (await architect.call("GET", base(site))).status_code == 403
    site.world.set_switches(replace(site.world.switches, hook_permission="nobody"))
    assert (await site.as_(MANAGER).call("GET", base(site))).status_code == 403


async def test_a_deleted_hook_takes_its_triggers_and_queue_along(
    site: Site, receiver: Receiver
) -> None:
    manager = site.as_(MANAGER)
    hook = await subscribed(manager, receiver)
    await manager.new_rfi()
    assert (await manager.call("DELETE", f"{base(site)}/{hook['id']}")).status_code == 204
    assert (await manager.call("GET", f"{base(site)}/{hook['id']}")).status_code == 404
    assert statuses(site) == ["discarded"]


def probes_noted(site: Site) -> list[str]:
    rows = site.world.store.rows("SELECT detail FROM effects WHERE effect = 'endpoint.probed'")
    return [row["detail"] for row in rows]


async def test_b27_a_new_hooks_address_may_be_probed_with_head(
    site: Site, receiver: Receiver
) -> None:
    site.world.set_switches(replace(site.world.switches, probe_new_hooks=True))
    manager = site.as_(MANAGER)
    async with dispatching(site):
        await subscribed(manager, receiver)
        await manager.new_rfi()
        await receiver.until(lambda: bool(probes_noted(site)) and bool(receiver.got))
    assert receiver.probes == 1
    assert probes_noted(site) == ["204"]


async def test_b27_nothing_signs_a_delivery_and_no_new_address_is_probed_by_itself(
    site: Site, receiver: Receiver
) -> None:
    manager = site.as_(MANAGER)
    async with dispatching(site):
        await subscribed(manager, receiver, destination_headers={"Authorization": "wrong"})
        await manager.new_rfi()
        await receiver.until(lambda: statuses(site) == ["delivered"])
    [(headers, _)] = receiver.got
    ours = {"authorization", "content-type", "user-agent", "content-length"}
    transport = {"host", "accept", "accept-encoding", "connection"}
    assert set(headers) <= ours | transport
    assert headers["authorization"] == "wrong"
    assert (receiver.probes, probes_noted(site)) == (0, [])


async def test_a_secret_that_is_no_header_fails_like_any_delivery(
    site: Site, receiver: Receiver
) -> None:
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver, destination_headers={"Authorization": "B\u00e9\nx"})
    await manager.new_rfi()
    async with dispatching(site):
        await receiver.until(lambda: statuses(site) == ["retrying"])
