"""The other side of switches, and orders to a running stand-in, where nothing else holds them."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from sandbox.procore.domain.people import Project
from sandbox.procore.domain.submittal_model import Submittal
from sandbox.procore.switches import Switches
from tests.sandbox.procore.site import (
    ARCHITECT,
    CLIENT_ID,
    CLIENT_SECRET,
    ENGINEER,
    MANAGER,
    TRADE,
    Json,
    Site,
)
from tests.sandbox.procore.test_procore_submittals import answered, ball, closed_status, ids
from tests.sandbox.procore.webhook_receiver import (
    Receiver,
    base,
    dispatching,
    new_hook,
    statuses,
    subscribed,
)


def switch(site: Site, **changes: Any) -> None:
    site.world.set_switches(replace(site.world.switches, **changes))


def next_door(site: Site) -> Project:
    """The manager's other project, of another company."""
    [other] = [p for p in site.world.store.every(Project) if p.id != site.project.id]
    return other


async def order(site: Site, path: str, body: Json) -> Json:
    answer = await site.http.post(f"/_sandbox/{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_b06_either_token_of_a_pair_ends_both(site: Site, kind: str) -> None:
    pair = site.tokens(ARCHITECT)
    secrets = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    revoked = await site.http.post("/oauth/revoke", data={**secrets, "token": pair[kind]})
    assert revoked.status_code == 200
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    assert (await site.http.get("/rest/v1.0/me", headers=bearer)).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    again = await site.http.post("/oauth/token", data={**secrets, **form})
    assert again.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("status", [400, 401])
async def test_b07_an_unknown_client_answers_400_or_401(site: Site, status: int) -> None:
    switch(site, invalid_client_status=status)
    form = {"grant_type": "client_credentials", "client_id": "another", "client_secret": "x"}
    answer = await site.http.post("/oauth/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_client")


async def test_b10_an_app_is_disconnected_at_runtime_and_its_tokens_live_on(site: Site) -> None:
    manager, pair = site.as_(MANAGER), site.tokens(MANAGER)
    install = {"company_id": site.company_id, "client_id": CLIENT_ID}
    shown = await order(site, "installs", {**install, "installed": False})
    assert shown["installed_apps"] == []
    assert (await manager.call("GET", manager.rfis)).status_code == 403
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    secrets = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert (await site.http.post("/oauth/token", data={**secrets, **form})).status_code == 200
    await order(site, "installs", {**install, "installed": True})
    assert (await manager.call("GET", manager.rfis)).status_code == 200


async def test_b12_another_project_may_use_the_same_namespace(site: Site) -> None:
    manager = site.as_(MANAGER)
    first = await new_hook(manager)
    other = next_door(site)
    path = f"/rest/v2.0/companies/{other.company_id}/projects/{other.id}/webhooks/hooks"
    body = {
        "payload_version": "v4.0",
        "namespace": first["namespace"],
        "destination_url": "https://example.com/x",
    }
    headers = {"Procore-Company-Id": str(other.company_id)}
    assert (await manager.call("POST", path, json=body, headers=headers)).status_code == 201


@pytest.mark.parametrize("repeated", ["same", "different"])
async def test_b18_every_event_may_be_repeated_within_seven_seconds(
    site: Site, receiver: Receiver, repeated: str
) -> None:
    switch(site, event_repeats=5, event_repeat_ids=repeated)
    site.world.clock.freeze()
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    await manager.new_rfi()
    async with dispatching(site):
        await receiver.until(lambda: statuses(site) == ["delivered"] + ["enqueued"] * 4)
        site.world.clock.advance(7)
        await receiver.until(lambda: len(receiver.got) == 5)
    assert len({p["id"] for p in receiver.payloads}) == (1 if repeated == "same" else 5)
    assert len({p["timestamp"] for p in receiver.payloads}) == 1


async def test_b20_events_may_be_shuffled_by_a_seed(site: Site, receiver: Receiver) -> None:
    site.world.clock.freeze()
    manager = site.as_(MANAGER)
    await subscribed(manager, receiver)
    site.world.faults.set(3, [{"kind": "reorder", "delay_s": 30}])
    made = [str((await manager.new_rfi())["id"]) for _ in range(6)]
    async with dispatching(site):
        site.world.clock.advance(30)
        await receiver.until(lambda: len(receiver.got) == 6)
    arrived = [p["resource_id"] for p in receiver.payloads]
    assert arrived != made
    assert sorted(arrived) == sorted(made)


@pytest.mark.parametrize(("most", "status"), [(2, "disabled"), (0, "active")])
async def test_b23_so_many_discarded_queues_in_a_row_disable_a_hook_or_none_does(
    site: Site, receiver: Receiver, most: int, status: str
) -> None:
    assert site.world.switches.disable_hook_after_discards == 3
    switch(site, disable_hook_after_discards=most)
    site.world.clock.freeze()
    receiver.status = 503
    manager = site.as_(MANAGER)
    path = f"{base(site)}/{(await subscribed(manager, receiver))['id']}"
    async with dispatching(site):
        for times in (1, 2):
            assert (await site.as_(MANAGER).ok("GET", path))["data"]["status"] == "active"
            await site.as_(MANAGER).new_rfi()
            await receiver.until(lambda: "retrying" in statuses(site))
            site.world.clock.advance(12 * 3600 + 1)
            await receiver.until(lambda times=times: statuses(site) == ["discarded"] * times)  # type: ignore[misc]
    assert (await site.as_(MANAGER).ok("GET", path))["data"]["status"] == status


@pytest.mark.parametrize(("switched", "at"), [("assignees", ARCHITECT), ("manager", MANAGER)])
async def test_b32_a_reopened_rfi_is_with_its_assignees_or_its_manager(
    site: Site, switched: str, at: str
) -> None:
    switch(site, rfi_reopen_ball=switched)
    manager = site.as_(MANAGER)
    path = f"{manager.rfis}/{(await manager.new_rfi())['id']}"
    await manager.ok("PATCH", path, json={"rfi": {"accepted": True}})
    reopened = await manager.ok("PATCH", path, json={"rfi": {"accepted": False}})
    assert [u["id"] for u in reopened["ball_in_courts"]] == [site.person(at).id]


async def test_b36_a_response_of_the_project_next_door_is_a_bad_request(site: Site) -> None:
    submittal = await site.as_(MANAGER).new_submittal([ARCHITECT])
    approved = next(r.id for r in next_door(site).responses if r.considered == "approved")
    assert approved not in {r.id for r in site.project.responses}
    architect = site.as_(ARCHITECT)
    foreign = await architect.respond(submittal, ARCHITECT, submittal_response_id=approved)
    assert foreign.status_code == 400


async def test_b36_an_admin_may_be_refused_to_answer_for_somebody_else(site: Site) -> None:
    switch(site, admin_answers_for_others=False)
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT])
    assert (await manager.respond(submittal, ARCHITECT)).status_code == 403


async def test_b37_or_a_step_moves_with_its_first_answer(site: Site) -> None:
    switch(site, parallel_step="moves_with_first")
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT, ENGINEER], [TRADE])
    moved = await answered(site, manager, submittal, ARCHITECT)
    assert ball(moved) == ids(site, TRADE)


async def test_b38_the_setting_is_turned_at_runtime(site: Site) -> None:
    manager = site.as_(MANAGER)
    for on, at in ((True, MANAGER), (False, ENGINEER)):
        body = {"project_id": site.project.id, "settings": {"reject_workflow": on}}
        await order(site, "projects", body)
        submittal = await manager.new_submittal([ARCHITECT], [ENGINEER])
        stopped = await answered(site, manager, submittal, ARCHITECT, "rejected")
        assert ball(stopped) == ids(site, at)


@pytest.mark.parametrize("two", [True, False])
async def test_b45_the_ball_leaves_in_a_second_event_or_with_the_status(
    site: Site, *, two: bool
) -> None:
    switch(site, close_in_two_events=two)
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT])
    path = f"{manager.submittals}/{submittal['id']}"
    status_id = await closed_status(site, manager)
    before = len(site.world.store.rows("SELECT id FROM events"))
    await manager.ok("PATCH", path, json={"status_id": status_id})
    assert len(site.world.store.rows("SELECT id FROM events")) - before == (2 if two else 1)
    rows = site.world.store.rows("SELECT doc FROM past WHERE doc IS NOT NULL ORDER BY rowid")
    past = [msgspec.json.decode(row["doc"], type=Submittal) for row in rows]
    half = [one for one in past if one.status_id == status_id]
    assert [set(one.ball_ids) for one in half] == ([ids(site, ARCHITECT)] if two else [])
    assert (await manager.submittal(submittal["id"]))["ball_in_court"] == []


async def test_b48_levels_and_tools_are_taken_away_at_runtime(site: Site) -> None:
    trade, project = site.as_(TRADE), site.project.id
    person = {"project_id": project, "user_id": site.person(TRADE).id}
    await site.as_(MANAGER).new_rfi()
    assert len(await trade.ok("GET", trade.rfis)) == 1
    await order(site, "levels", {**person, "levels": {"rfi": "None"}})
    assert await trade.ok("GET", trade.rfis) == []
    await order(site, "projects", {"project_id": project, "disabled_tools": ["submittal_log"]})
    assert (await trade.call("GET", trade.submittals)).status_code == 403
    await order(site, "projects", {"project_id": project, "disabled_tools": []})
    assert (await trade.call("GET", trade.submittals)).status_code == 200
    assert await order(site, "levels", {**person, "levels": None}) == {"member": False}
    assert (await trade.call("GET", trade.submittals)).status_code == 404


async def test_b50_the_hourly_window_refuses_until_its_hour_is_over(site: Site) -> None:
    site.world.clock.freeze()
    switch(site, rate_limit_hourly=2, rate_limit_spike=5)
    manager = site.as_(MANAGER)
    for _ in range(2):
        await manager.ok("GET", manager.rfis)
    site.world.clock.advance(11)  # the spike's window is over
    refused = await manager.call("GET", manager.rfis)
    assert (refused.status_code, refused.headers["X-Rate-Limit-Limit"]) == (429, "2")
    assert int(refused.headers["Retry-After"]) > 3500
    site.world.clock.advance(int(refused.headers["Retry-After"]))
    assert (await manager.call("GET", manager.rfis)).status_code == 200


@pytest.mark.parametrize(("key", "left"), [("app_and_user", 4), ("app", 3), ("company", 3)])
async def test_b50_calls_are_counted_by_person_by_app_or_by_company(
    site: Site, key: str, left: int
) -> None:
    site.world.clock.freeze()
    switch(site, rate_limit_spike=5, rate_limit_key=key)
    manager, architect = site.as_(MANAGER), site.as_(ARCHITECT)
    await manager.ok("GET", manager.rfis)
    second = await architect.call("GET", architect.rfis)
    assert second.headers["X-Rate-Limit-Remaining"] == str(left)


async def test_b52_a_refusal_in_v2_names_each_field_and_any_may_be_html(site: Site) -> None:
    manager = site.as_(MANAGER)
    refused = await manager.call("POST", base(site), json={"payload_version": "v4.0"})
    assert refused.status_code == 400
    [detail] = refused.json()["error"]["details"]
    assert (detail["source"], detail["reason_code"]) == ("namespace", "INVALID_PARAMETER")
    switch(site, error_bodies="html")
    page = await manager.call("GET", f"{manager.rfis}/1")
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (404, "text/html")


async def test_b57_names_may_come_without_their_company(site: Site) -> None:
    switch(site, names_with_company=False)
    submittal = await site.as_(MANAGER).new_submittal([ARCHITECT])
    assert submittal["approvers"][0]["user"]["name"] == "Elena Marsh"


async def test_a_running_stand_in_tells_its_world_and_ends_a_persons_tokens(site: Site) -> None:
    health = (await site.http.get("/_sandbox/health")).json()
    assert (health["status"], health["deliveries_waiting"]) == ("ok", 0)
    world = (await site.http.get("/_sandbox/world")).json()
    assert site.project.id in {project["id"] for project in world["projects"]}
    assert {MANAGER, ARCHITECT} <= {person["email"] for person in world["people"]}
    manager, architect = site.as_(MANAGER), site.as_(ARCHITECT)
    person = site.person(ARCHITECT).id
    assert await order(site, "revocations", {"user_id": person}) == {"revoked": 1}
    assert (await architect.call("GET", architect.rfis)).status_code == 401
    assert (await manager.call("GET", manager.rfis)).status_code == 200


async def test_a_second_app_is_registered_where_it_is_to_be_installed(site: Site) -> None:
    told = {"client_id": "second", "client_secret": "x", "install_in": [site.company_id]}
    shown = await order(site, "apps", told)
    assert {app["client_id"] for app in shown["apps"]} == {CLIENT_ID, "second"}
    assert CLIENT_SECRET not in str(shown)
    companies = (await site.http.get("/_sandbox/world")).json()["companies"]
    installed = {c["id"]: "second" in c["installed_apps"] for c in companies}
    assert installed == {site.company_id: True, next_door(site).company_id: False}


async def test_hooks_may_be_for_admins_of_the_admin_tool_alone(site: Site) -> None:
    person = {"project_id": site.project.id, "user_id": site.person(ARCHITECT).id}
    await order(site, "levels", {**person, "levels": {"rfi": "Admin"}})
    architect = site.as_(ARCHITECT)
    assert (await architect.call("GET", base(site))).status_code == 200
    switch(site, hook_permission="project_admin")
    assert (await architect.call("GET", base(site))).status_code == 403
    assert (await site.as_(MANAGER).call("GET", base(site))).status_code == 200


async def test_the_switches_and_the_faults_are_put_back(site: Site) -> None:
    manager = site.as_(MANAGER)
    await order(site, "switches", {"tool_names": "plural"})
    await order(site, "faults", {"seed": 7, "rules": [{"kind": "status", "path": "/rfis"}]})
    assert (await manager.call("GET", manager.rfis)).status_code == 503
    told = (await site.http.get("/_sandbox/faults")).json()
    assert (told["seed"], [rule["hits"] for rule in told["rules"]]) == (7, [1])
    assert (await site.http.get("/_sandbox/switches")).json()["tool_names"] == "plural"
    assert (await site.http.delete("/_sandbox/faults")).json()["rules"] == []
    back = (await site.http.delete("/_sandbox/switches")).json()
    assert (back["tool_names"], site.world.switches) == ("singular", Switches())
    assert (await manager.call("GET", manager.rfis)).status_code == 200


async def test_the_ledger_begins_anew(site: Site) -> None:
    manager = site.as_(MANAGER)
    await manager.new_rfi()
    assert (await site.http.delete("/_sandbox/ledger")).status_code == 204
    await manager.ok("GET", manager.rfis)
    ledger = (await site.http.get("/_sandbox/ledger")).json()
    assert [(c["method"], c["path"]) for c in ledger["calls"]] == [("GET", manager.rfis)]
    assert ledger["effects"] == []
