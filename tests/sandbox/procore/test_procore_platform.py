"""The platform: behaviours 48 to 55, people, levels, paging, rates, errors, files."""

import asyncio
import hashlib

import httpx2
import pytest
from msgspec.structs import replace

from sandbox.procore import seeding
from sandbox.procore.domain import directory
from sandbox.procore.wire import ConnectionCut
from tests.sandbox.procore.site import (
    API,
    ARCHITECT,
    ENGINEER,
    MANAGER,
    STORAGE,
    TRADE,
    Json,
    Site,
)


async def test_b48_a_stranger_to_the_project_gets_404_and_no_level_an_empty_list(
    site: Site,
) -> None:
    manager, trade = site.as_(MANAGER), site.as_(TRADE)
    rfi = await manager.new_rfi()
    trade_id, project_id = site.person(TRADE).id, site.project.id
    directory.set_level(site.world, project_id=project_id, user_id=trade_id, levels={"rfi": "None"})
    assert await trade.ok("GET", trade.rfis) == []
    assert (await trade.call("GET", f"{trade.rfis}/{rfi['id']}")).status_code == 404
    directory.remove_member(site.world, project_id=project_id, user_id=trade_id)
    assert (await trade.call("GET", trade.rfis)).status_code == 404


async def test_b48_a_disabled_tool_is_forbidden(site: Site) -> None:
    directory.change_project(site.world, replace(site.project, disabled_tools=("rfi",)))
    manager = site.as_(MANAGER)
    assert (await manager.call("GET", manager.rfis)).status_code == 403
    assert (await manager.call("GET", manager.submittals)).status_code == 200
    tools = await manager.ok("GET", f"/rest/v1.0/projects/{site.project.id}/tools")
    assert {t["engine_name"]: t["is_active"] for t in tools}["rfi"] is False


async def test_b49_lists_are_paged_with_headers_and_truncate_in_silence(site: Site) -> None:
    site.world.set_switches(replace(site.world.switches, default_per_page=3))
    manager = site.as_(MANAGER)
    for _ in range(5):
        await manager.new_rfi()
    cut = await manager.call("GET", manager.rfis)
    assert len(cut.json()) == 3
    assert (cut.headers["Total"], cut.headers["Per-Page"]) == ("5", "3")
    links = cut.headers["Link"]
    assert 'rel="next"' in links
    assert 'rel="prev"' not in links
    last = await manager.call("GET", manager.rfis, params={"page": 2, "per_page": 3})
    assert len(last.json()) == 2
    assert 'rel="next"' not in last.headers["Link"]
    following = links.split('>; rel="next"')[0].rsplit("<", 1)[1]
    assert (await manager.ok("GET", following.removeprefix(API)))[0]["number"] == "4"
    beyond = await manager.call("GET", manager.rfis, params={"page": 9, "per_page": 3})
    assert beyond.json() == []


async def test_b49_v2_lists_come_in_an_envelope_ten_at_a_time_with_ids_as_text(
    site: Site,
) -> None:
    manager = site.as_(MANAGER)
    hooks = f"/rest/v2.0/companies/{site.company_id}/projects/{site.project.id}/webhooks/hooks"
    for number in range(12):
        body = {
            "payload_version": "v4.0",
            "namespace": f"n-{number}",
            "destination_url": "https://example.com/x",
        }
        await manager.ok("POST", hooks, json=body)
    first = await manager.call("GET", hooks)
    assert set(first.json()) == {"data"}
    assert len(first.json()["data"]) == 10
    assert all(isinstance(hook["id"], str) for hook in first.json()["data"])
    assert (first.headers["Total"], first.headers["Per-Page"]) == ("12", "10")
    second = await manager.call("GET", hooks, params={"page": 2})
    assert len(second.json()["data"]) == 2
    assert 'rel="next"' not in second.headers["Link"]


async def test_b49_a_list_may_cap_per_page_lower_than_it_was_asked(site: Site) -> None:
    site.world.set_switches(replace(site.world.switches, max_per_page=2))
    manager = site.as_(MANAGER)
    for _ in range(3):
        await manager.new_rfi()
    capped = await manager.call("GET", manager.rfis, params={"per_page": 300})
    assert (len(capped.json()), capped.headers["Per-Page"]) == (2, "2")
    assert 'rel="next"' in capped.headers["Link"]


async def test_b50_the_rate_headers_name_the_window_nearer_to_its_end(site: Site) -> None:
    site.world.clock.freeze()
    site.world.set_switches(replace(site.world.switches, rate_limit_hourly=8, rate_limit_spike=5))
    manager = site.as_(MANAGER)
    spike = await manager.call("GET", manager.rfis)
    assert spike.headers["X-Rate-Limit-Limit"] == "5"
    assert spike.headers["X-Rate-Limit-Remaining"] == "4"
    for _ in range(4):
        await manager.ok("GET", manager.rfis)
    refused = await manager.call("GET", manager.rfis)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 11
    site.world.clock.advance(11)
    hourly = await manager.call("GET", manager.rfis)
    assert hourly.headers["X-Rate-Limit-Limit"] == "8"
    assert hourly.headers["X-Rate-Limit-Remaining"] == "2"
    others = await site.as_(ARCHITECT).call("GET", manager.rfis)
    assert others.headers["X-Rate-Limit-Remaining"] == "4"


async def test_b50_a_429_may_come_without_retry_after(site: Site) -> None:
    site.world.set_switches(
        replace(site.world.switches, rate_limit_spike=1, retry_after_on_429=False)
    )
    manager = site.as_(MANAGER)
    await manager.ok("GET", manager.rfis)
    refused = await manager.call("GET", manager.rfis)
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers
    assert int(refused.headers["X-Rate-Limit-Reset"]) > site.world.now().timestamp()


async def test_b50_calls_under_way_at_a_429_are_not_held_against_the_client(site: Site) -> None:
    site.world.set_switches(replace(site.world.switches, rate_limit_spike=1))
    slow = {"kind": "latency", "delay_s": 1.5, "path": "/users"}
    site.world.faults.set(1, [slow])
    manager = site.as_(MANAGER)
    users = f"/rest/v1.0/projects/{site.project.id}/users"
    under_way = asyncio.create_task(manager.call("GET", users))
    while not site.world.store.rows("SELECT id FROM calls WHERE path LIKE '%/users'"):
        await asyncio.sleep(0.01)
    await manager.ok("GET", manager.rfis)
    assert (await manager.call("GET", manager.rfis)).status_code == 429
    assert (await under_way).status_code == 429
    begun_after = await manager.call("GET", manager.rfis)
    assert begun_after.status_code == 429
    rows = site.world.store.rows("SELECT path, fault FROM calls WHERE status = 429 ORDER BY id")
    held = [(row["path"].rsplit("/", 1)[-1], row["fault"]) for row in rows]
    assert held == [("users", "latency"), ("rfis", None), ("rfis", "called_despite_429")]


async def test_b50_a_503_carries_retry_after(site: Site) -> None:
    site.world.faults.set(1, [{"kind": "status", "status": 503, "retry_after_s": 7, "count": 1}])
    manager = site.as_(MANAGER)
    busy = await manager.call("GET", manager.rfis)
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "7")
    assert (await manager.call("GET", manager.rfis)).status_code == 200


async def test_b51_a_commit_whose_answer_is_lost_makes_a_second_on_retry(site: Site) -> None:
    manager, architect = site.as_(MANAGER), site.as_(ARCHITECT)
    rfi = await manager.new_rfi()
    site.world.faults.set(
        1, [{"kind": "cut_after", "method": "POST", "path": "/replies$", "count": 1}]
    )
    with pytest.raises(ConnectionCut):
        await architect.reply(rfi["id"])
    await architect.reply(rfi["id"])
    assert len((await manager.rfi(rfi["id"]))["questions"][0]["answers"]) == 2


async def test_a_connection_cut_before_the_commit_leaves_nothing(site: Site) -> None:
    manager = site.as_(MANAGER)
    site.world.faults.set(1, [{"kind": "cut_before", "method": "POST", "count": 1}])
    with pytest.raises(ConnectionCut):
        await manager.new_rfi()
    assert await manager.ok("GET", manager.rfis) == []


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("native", {"errors": "Resource not found."}),
        ("message", {"message": "Resource not found."}),
        ("error", {"error": {"code": "404", "message": "Resource not found."}}),
        (
            "v2",
            {"error": {"code": "NOT_FOUND", "message": "Resource not found.", "details": []}},
        ),
    ],
)
async def test_b52_errors_come_in_many_shapes(site: Site, shape: str, expected: Json) -> None:
    site.world.set_switches(replace(site.world.switches, error_bodies=shape))
    manager = site.as_(MANAGER)
    answer = await manager.call("GET", f"{manager.rfis}/1")
    assert (answer.status_code, answer.json()) == (404, expected)


async def test_b52_a_gateway_error_may_be_html(site: Site) -> None:
    site.world.faults.set(1, [{"kind": "status", "status": 502, "body": "html"}])
    manager = site.as_(MANAGER)
    answer = await manager.call("GET", manager.rfis)
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")


async def upload(site: Site, email: str, content: bytes, name: str = "answer.pdf") -> str:
    client = site.as_(email)
    announced = await client.ok(
        "POST",
        f"/rest/v1.1/projects/{site.project.id}/uploads",
        json={"response_filename": name, "response_content_type": "application/pdf"},
    )
    assert announced["url"].startswith(STORAGE)
    stored = await site.http.post(
        announced["url"], data=announced["fields"], files={"file": (name, content)}
    )
    assert stored.status_code == 204
    return str(announced["uuid"])


async def replied_with_file(site: Site, content: bytes) -> Json:
    rfi = await site.as_(MANAGER).new_rfi()
    uuid = await upload(site, ARCHITECT, content)
    reply = await site.as_(ARCHITECT).reply(rfi["id"], upload_ids=[uuid])
    return reply["attachments"][0]


async def test_b53_a_file_is_behind_the_bearer_then_behind_an_address_that_refuses_it(
    site: Site,
) -> None:
    attachment = await replied_with_file(site, b"%PDF-1.4 hello")
    assert (await site.http.get(attachment["url"])).status_code == 401
    manager = site.as_(MANAGER)
    moved = await manager.call("GET", attachment["url"])
    assert moved.status_code == 302
    target = moved.headers["location"]
    assert target.startswith(STORAGE)
    refused = await site.http.get(target, headers={"Authorization": f"Bearer {manager.token}"})
    assert refused.status_code == 400
    assert "Only one auth mechanism" in refused.text
    got = await site.http.get(target)
    assert (got.status_code, got.content) == (200, b"%PDF-1.4 hello")
    assert got.headers["content-type"] == "application/pdf"
    site.world.clock.advance(301)
    assert (await site.http.get(target)).status_code == 403


async def test_b53_the_host_of_a_file_may_change_between_reads(site: Site) -> None:
    site.world.set_switches(replace(site.world.switches, file_hosts_alternate=True))
    site.world.more_file_hosts = ("http://files.procore.test",)
    attachment = await replied_with_file(site, b"x")
    manager = site.as_(MANAGER)
    [rfi] = await manager.ok("GET", manager.rfis)
    hosts = set()
    for _ in range(20):
        shown = await manager.rfi(rfi["id"])
        [file] = shown["questions"][0]["answers"][0]["attachments"]
        assert file["id"] == attachment["id"]
        hosts.add(httpx2.URL(file["url"]).host)
    assert hosts == {"procore.test", "files.procore.test"}


async def test_b54_an_upload_is_its_owners_alone_and_has_its_times(site: Site) -> None:
    rfi = await site.as_(MANAGER).new_rfi(
        assignee_ids=[site.person(ARCHITECT).id, site.person(ENGINEER).id]
    )
    uuid = await upload(site, ARCHITECT, b"bytes")
    body = {"reply": {"body": "<p>x</p>", "upload_ids": [uuid]}}
    path = f"/rest/v1.0/projects/{site.project.id}/rfis/{rfi['id']}/replies"
    stolen = await site.as_(ENGINEER).call("POST", path, json=body)
    assert stolen.status_code == 400
    site.world.clock.advance(7 * 24 * 3600 + 1)
    late = await site.as_(ARCHITECT).call("POST", path, json=body)
    assert late.status_code == 410


async def test_b54_storage_refuses_a_bearer_a_late_start_and_a_forged_policy(site: Site) -> None:
    architect = site.as_(ARCHITECT)
    announced = await architect.ok(
        "POST",
        f"/rest/v1.1/projects/{site.project.id}/uploads",
        json={"response_filename": "a.pdf"},
    )
    send = {"data": announced["fields"], "files": {"file": ("a.pdf", b"x")}}
    headers = {"Authorization": f"Bearer {architect.token}"}
    assert (await site.http.post(announced["url"], headers=headers, **send)).status_code == 400
    forged = {"data": {**announced["fields"], "policy": "x"}, "files": send["files"]}
    assert (await site.http.post(announced["url"], **forged)).status_code == 403
    site.world.clock.advance(3601)
    assert (await site.http.post(announced["url"], **send)).status_code == 403


async def test_b54_a_segmented_upload_is_put_together_by_its_etags_and_not_too_late(
    site: Site,
) -> None:
    parts = [b"a" * (5 * 1024 * 1024), b"the end"]
    architect = site.as_(ARCHITECT)
    base = f"/rest/v1.1/projects/{site.project.id}/uploads"
    segments = [{"size": len(p), "sha256": hashlib.sha256(p).hexdigest()} for p in parts]
    announced = await architect.ok(
        "POST", base, json={"response_filename": "big.pdf", "segments": segments}
    )
    etags = []
    for part, segment in zip(parts, announced["segments"], strict=True):
        put = await site.http.put(segment["url"], content=part, headers=segment["headers"])
        assert put.status_code == 200
        etags.append({"etag": put.headers["etag"]})
    path = f"{base}/{announced['uuid']}"
    wrong = await architect.call("PATCH", path, json={"segments": etags[::-1]})
    assert wrong.status_code == 422
    done = await architect.ok("PATCH", path, json={"segments": etags})
    assert done["status"] == "complete"
    rfi = await site.as_(MANAGER).new_rfi()
    reply = await architect.reply(rfi["id"], upload_ids=[announced["uuid"]])
    assert reply["attachments"][0]["filename"] == "big.pdf"
    site.world.clock.advance(8 * 24 * 3600)
    again = site.as_(ARCHITECT)
    assert (await again.call("PATCH", path, json={"segments": etags})).status_code == 410


async def test_b55_the_ids_of_a_newer_region_exceed_32_bits(site: Site) -> None:
    manager = site.as_(MANAGER)
    companies = await manager.ok("GET", "/rest/v1.0/companies")
    far = max(c["id"] for c in companies)
    assert far > 2**31
    projects = await manager.ok(
        "GET",
        "/rest/v1.1/projects",
        params={"company_id": far},
        headers={"Procore-Company-Id": str(far)},
    )
    assert all(p["id"] > 2**31 for p in projects)


async def test_b55_ids_beyond_53_bits_are_text_in_v2_and_whole_in_v1(site: Site) -> None:
    base = 2**53 + 7
    company = seeding.CompanySpec(name="Far Region Builders", id_base=base)
    person = seeding.PersonSpec(name="Fay Lund", email="fay@far.example")
    member = seeding.MemberSpec(email=person.email, level="Admin")
    project = seeding.ProjectSpec(name="Far", company=company.name, members=(member,))
    spec = seeding.WorldSpec(companies=(company,), people=(person,), projects=(project,))
    made = seeding.build(site.world, spec)
    [far] = made["projects"]
    headers = {"Procore-Company-Id": str(far["company_id"])}
    fay = site.as_(person.email)
    shown = await fay.call(
        "GET",
        f"/rest/v1.0/projects/{far['id']}",
        params={"company_id": far["company_id"]},
        headers=headers,
    )
    assert shown.json()["id"] == far["id"] > 2**53
    hook = await fay.ok(
        "POST",
        f"/rest/v2.0/companies/{far['company_id']}/projects/{far['id']}/webhooks/hooks",
        json={
            "payload_version": "v4.0",
            "namespace": "n",
            "destination_url": "https://example.com",
        },
        headers=headers,
    )
    assert hook["data"]["project_id"] == str(far["id"])


async def test_the_manifest_tells_the_levels_of_the_caller(site: Site) -> None:
    query = {"project_id": site.project.id}
    for email, level, number in ((MANAGER, "Admin", 4), (ARCHITECT, "Standard", 3)):
        manifest = await site.as_(email).ok("GET", "/rest/v1.0/settings/permissions", params=query)
        tools = {t["name"]: t for t in manifest["tools"]}
        for name in ("rfi", "submittal_log"):
            assert tools[name]["user_access_level"] == {"id": number, "name": level}
            assert tools[name]["available_for_user"] is True
    bare = await site.as_(MANAGER).call("GET", "/rest/v1.0/settings/permissions")
    assert bare.status_code == 400


async def test_projects_and_people_are_those_the_caller_may_see(site: Site) -> None:
    architect = site.as_(ARCHITECT)
    listed = await architect.ok(
        "GET", "/rest/v1.1/projects", params={"company_id": site.company_id}
    )
    assert [p["id"] for p in listed] == [site.project.id]
    users = await architect.ok("GET", f"/rest/v1.0/projects/{site.project.id}/users")
    assert {u["email_address"] for u in users} == {MANAGER, ARCHITECT, ENGINEER, TRADE}
    directory.set_level(
        site.world,
        project_id=site.project.id,
        user_id=site.person(ARCHITECT).id,
        levels={"directory": "None"},
    )
    compact = await architect.ok("GET", f"/rest/v1.0/projects/{site.project.id}/users")
    assert set(compact[0]) == {"id", "name"}
    me = await architect.ok("GET", "/rest/v1.0/me")
    assert me["name"] is None
    named = await architect.ok("GET", "/rest/v1.0/me", params={"company_id": site.company_id})
    assert named["name"] == "Elena Marsh"


async def test_a_project_of_another_company_than_the_headers_is_not_found(site: Site) -> None:
    manager = site.as_(MANAGER)
    other = next(c for c in await manager.ok("GET", "/rest/v1.0/companies"))
    for company in await manager.ok("GET", "/rest/v1.0/companies"):
        if company["id"] != site.company_id:
            other = company
    headers = {"Procore-Company-Id": str(other["id"])}
    assert (await manager.call("GET", manager.rfis, headers=headers)).status_code == 404


async def test_the_ledger_holds_every_call_and_every_effect(site: Site) -> None:
    manager = site.as_(MANAGER)
    rfi = await manager.new_rfi()
    await manager.call("GET", f"{manager.rfis}/1")
    ledger = (await site.http.get("/_sandbox/ledger")).json()
    posted, missed = ledger["calls"][-2:]
    assert (posted["method"], posted["status"]) == ("POST", 201)
    assert posted["user_id"] == site.person(MANAGER).id
    assert missed["status"] == 404
    [effect] = [e for e in ledger["effects"] if e["effect"] == "RFIs/create"]
    assert effect["resource_id"] == str(rfi["id"])
    assert effect["call_id"] == posted["id"]
    assert any(e["effect"] == "code.redeemed" for e in ledger["redemptions"])
    assert manager.token not in str(ledger)


async def test_the_control_endpoints_refuse_what_they_do_not_know(site: Site) -> None:
    for path, body in (
        ("switches", {"nonsense": 1}),
        ("switches", {"missing_company_header": "418"}),
        ("faults", {"rules": [{"kind": "nonsense"}]}),
        ("faults", {"rules": [{"kind": "drop", "path": "("}]}),
        ("clock", {"set": "later"}),
        ("seed", {"spec": {"projects": [{"name": "P", "company": "Nobody"}]}}),
    ):
        answer = await site.http.post(f"/_sandbox/{path}", json=body)
        assert answer.status_code == 400, (path, body, answer.text)


async def test_the_same_seed_gives_the_same_world(site: Site) -> None:
    shown: list[Json] = []
    site.world.clock.freeze()
    for _ in range(2):
        body = {"reset": True, "rfis": 40, "submittals": 60}
        made = (await site.http.post("/_sandbox/seed", json=body)).json()
        project = made["projects"][0]
        assert (len(project["rfi_ids"]), len(project["submittal_ids"])) == (40, 60)
        manager = site.as_(MANAGER)
        rfis = await manager.ok("GET", manager.rfis)
        submittals = await manager.ok("GET", manager.submittals)
        assert (len(rfis), len(submittals)) == (40, 60)
        shown.append(
            [
                [(r["id"], r["subject"], r["status"], r["updated_at"]) for r in rfis],
                [
                    (s["id"], s["title"], s["revision"], [a["filename"] for a in files])
                    for s in submittals
                    if (files := s["associated_attachments"]) is not None
                ],
            ]
        )
    assert shown[0] == shown[1]


async def test_the_demos_world_has_every_state_a_person_expects(site: Site) -> None:
    project = seeding.build(site.world, seeding.demo_spec())["projects"][0]["id"]
    base = f"/rest/v1.0/projects/{project}/rfis"
    manager = site.as_(MANAGER)
    rfis = await manager.ok("GET", base)
    assert {r["status"] for r in rfis} == {"open", "closed", "draft", "closed_draft"}
    assert any(r["private"] for r in rfis)
    architect = site.person(ARCHITECT).id
    with_architect = [r for r in rfis if architect in {u["id"] for u in r["ball_in_courts"]}]
    assert len(with_architect) >= 10
    submittals = await manager.ok("GET", f"/rest/v1.1/projects/{project}/submittals")
    assert {s["status"]["status"] for s in submittals} == {"Draft", "Open", "Closed"}
    mine = [s for s in submittals if architect in {u["id"] for u in s["ball_in_court"]}]
    assert len(mine) >= 10
    assert any(s["revision"] == "1" for s in submittals)
    assert any(s["private"] for s in submittals)
    assert all(s["associated_attachments"] for s in submittals)
