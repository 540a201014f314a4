"""RFIs: behaviours 28 to 35, permissions, private ones, files."""

import pytest
from msgspec.structs import replace

from sandbox.procore.domain import directory
from tests.sandbox.procore.site import ARCHITECT, ENGINEER, MANAGER, TRADE, Site


def effects(site: Site, resource: str) -> list[str]:
    rows = site.world.store.rows(
        "SELECT reason FROM events WHERE resource_name = ? ORDER BY id", (resource,)
    )
    return [row["reason"] for row in rows]


@pytest.mark.parametrize(("switch", "status"), [("400", 400), ("accepted", 200)])
async def test_b28_a_scalar_status_filter(site: Site, switch: str, status: int) -> None:
    site.world.set_switches(replace(site.world.switches, scalar_status_filter=switch))
    manager = site.as_(MANAGER)
    rfi = await manager.new_rfi()
    scalar = await manager.call("GET", manager.rfis, params={"filters[status]": "open"})
    assert scalar.status_code == status
    for word, found in (("open", [rfi["id"]]), ("closed", [])):
        listed = await manager.ok("GET", manager.rfis, params={"filters[status][]": word})
        assert [r["id"] for r in listed] == found


async def test_b29_lists_lack_answers_and_differ_in_types_from_shows(site: Site) -> None:
    manager = site.as_(MANAGER)
    rfi = await manager.new_rfi(cost_impact={"status": "yes_known", "value": 1250})
    await site.as_(ARCHITECT).reply(rfi["id"])
    [item] = await manager.ok("GET", manager.rfis)
    shown = await manager.rfi(rfi["id"])
    assert item["questions"][0]["answers"] == []
    assert len(shown["questions"][0]["answers"]) == 1
    assert item["cost_impact"]["value"] == 1250
    assert shown["cost_impact"]["value"] == "1250.00"
    assert item["priority"]["name"] is False


@pytest.mark.parametrize("status", [400, 422])
async def test_b30_an_open_rfi_needs_assignees(site: Site, status: int) -> None:
    site.world.set_switches(replace(site.world.switches, assignees_missing_status=status))
    manager = site.as_(MANAGER)
    body = {"subject": "S", "rfi_manager_id": site.person(MANAGER).id, "question": {"body": "Q"}}
    refused = await manager.call("POST", manager.rfis, json={"rfi": body})
    assert refused.status_code == status
    assert refused.json() == {"errors": {"assignees": ["required"]}}
    draft = await manager.ok("POST", manager.rfis, json={"rfi": {**body, "draft": True}})
    assert draft["status"] == "draft"


async def test_b31_a_standard_users_rfi_is_a_draft_without_number_at_the_manager(
    site: Site,
) -> None:
    trade = site.as_(TRADE)
    rfi = await trade.new_rfi(draft=False, number="77", due_date="2026-12-01")
    assert (rfi["status"], rfi["number"], rfi["due_date"]) == ("draft", None, None)
    assert rfi["ball_in_court"]["id"] == site.person(MANAGER).id
    assert rfi["ball_in_court_role"] == "rfi manager"
    manager = site.as_(MANAGER)
    opened = await manager.ok(
        "PATCH",
        f"{manager.rfis}/{rfi['id']}",
        json={"rfi": {"draft": False, "assignee_ids": [site.person(ARCHITECT).id]}},
    )
    assert (opened["status"], opened["number"]) == ("open", "1")
    assert opened["ball_in_court"]["id"] == site.person(ARCHITECT).id
    back = await manager.call("PATCH", f"{manager.rfis}/{rfi['id']}", json={"rfi": {"draft": True}})
    assert back.status_code == 422


async def test_b32_an_official_reply_leaves_it_open_and_accepted_closes_it(site: Site) -> None:
    manager, architect = site.as_(MANAGER), site.as_(ARCHITECT)
    rfi = await manager.new_rfi()
    reply = await architect.reply(rfi["id"])
    path = f"{manager.rfis}/{rfi['id']}"
    marked = await manager.ok(
        "PATCH", f"{path}/replies/{reply['id']}", json={"reply": {"official": True}}
    )
    assert marked["official"] is True
    assert (await manager.rfi(rfi["id"]))["status"] == "open"
    closed = await manager.ok("PATCH", path, json={"rfi": {"accepted": True}})
    assert closed["status"] == "closed"
    assert closed["time_resolved"] is not None
    assert closed["ball_in_court"] is None
    reopened = await manager.ok("PATCH", path, json={"rfi": {"accepted": False}})
    assert (reopened["status"], reopened["time_resolved"]) == ("open", None)
    assert reopened["ball_in_court"]["id"] == site.person(ARCHITECT).id
    assert len(reopened["questions"][0]["answers"]) == 1


async def test_closing_a_draft_makes_a_closed_draft_and_reopening_a_draft(site: Site) -> None:
    manager = site.as_(MANAGER)
    rfi = await manager.new_rfi(draft=True)
    path = f"{manager.rfis}/{rfi['id']}"
    closed = await manager.ok("PATCH", path, json={"rfi": {"accepted": True}})
    assert closed["status"] == "closed_draft"
    reopened = await manager.ok("PATCH", path, json={"rfi": {"accepted": False}})
    assert reopened["status"] == "draft"


@pytest.mark.parametrize(("switch", "status"), [("ignored", 200), ("rejected", 400)])
async def test_b33_nothing_but_official_changes_on_a_reply_and_its_author_is_the_token(
    site: Site, switch: str, status: int
) -> None:
    site.world.set_switches(replace(site.world.switches, reply_patch_of_text=switch))
    manager, architect = site.as_(MANAGER), site.as_(ARCHITECT)
    rfi = await manager.new_rfi()
    reply = await architect.reply(rfi["id"], created_by_id=site.person(MANAGER).id)
    assert reply["created_by_id"] == site.person(ARCHITECT).id
    assert reply["created_by"] == "Elena Marsh"
    path = f"{manager.rfis}/{rfi['id']}/replies/{reply['id']}"
    changed = await manager.call("PATCH", path, json={"reply": {"body": "<p>No.</p>"}})
    assert changed.status_code == status
    assert (await manager.ok("GET", path))["plain_text_body"] == "Yes."


async def test_b34_the_ball_goes_to_the_manager_once_all_required_replied(site: Site) -> None:
    manager = site.as_(MANAGER)
    both = [site.person(ARCHITECT).id, site.person(ENGINEER).id]
    rfi = await manager.new_rfi(assignee_ids=both)
    await site.as_(ARCHITECT).reply(rfi["id"])
    assert {u["id"] for u in (await manager.rfi(rfi["id"]))["ball_in_courts"]} == set(both)
    await site.as_(ENGINEER).reply(rfi["id"])
    after = await manager.rfi(rfi["id"])
    assert after["ball_in_court"]["id"] == site.person(MANAGER).id
    assert after["status"] == "open"


async def test_b34_those_who_are_not_required_do_not_hold_the_ball_back(site: Site) -> None:
    manager = site.as_(MANAGER)
    both = [site.person(ARCHITECT).id, site.person(ENGINEER).id]
    rfi = await manager.new_rfi(assignee_ids=both, required_assignee_ids=both[:1])
    required = {a["id"]: a["response_required"] for a in rfi["assignees"]}
    assert required == {both[0]: True, both[1]: False}
    await site.as_(ARCHITECT).reply(rfi["id"])
    assert (await manager.rfi(rfi["id"]))["ball_in_court"]["id"] == site.person(MANAGER).id


async def test_b34_or_it_waits_until_it_is_advanced(site: Site) -> None:
    site.world.set_switches(replace(site.world.switches, ball_after_reply="waits_for_advance"))
    manager, architect = site.as_(MANAGER), site.as_(ARCHITECT)
    rfi = await manager.new_rfi()
    advance = f"{manager.rfis}/{rfi['id']}/advance_ball_in_court".replace("v1.0", "v1.1")
    assert (await architect.call("PATCH", advance)).status_code == 403
    await architect.reply(rfi["id"])
    assert (await manager.rfi(rfi["id"]))["ball_in_court"]["id"] == site.person(ARCHITECT).id
    moved = await architect.ok("PATCH", advance)
    assert moved["ball_in_court"]["id"] == site.person(MANAGER).id
    assert (await architect.call("PATCH", advance)).status_code == 403
    back = await manager.ok("PATCH", advance)
    assert back["ball_in_court"]["id"] == site.person(ARCHITECT).id


async def test_a_forwarded_reviewers_reply_brings_the_ball_back_to_the_forwarder(
    site: Site,
) -> None:
    manager, architect, engineer = site.as_(MANAGER), site.as_(ARCHITECT), site.as_(ENGINEER)
    rfi = await manager.new_rfi()
    forward = f"{manager.rfis}/{rfi['id']}/forward_for_review".replace("v1.0", "v1.1")
    body = {"rfi": {"forwardee_ids": [site.person(ENGINEER).id]}}
    assert (await engineer.call("PATCH", forward, json=body)).status_code == 403
    sent = await architect.ok("PATCH", forward, json=body)
    assert sent["ball_in_court"]["id"] == site.person(ENGINEER).id
    await engineer.reply(rfi["id"])
    assert (await manager.rfi(rfi["id"]))["ball_in_court"]["id"] == site.person(ARCHITECT).id
    two = {"rfi": {"forwardee_ids": [site.person(ENGINEER).id, site.person(TRADE).id]}}
    assert (await architect.call("PATCH", forward, json=two)).status_code == 400


@pytest.mark.parametrize("reason", ["create", "update"])
async def test_b35_recycling_removes_and_retrieving_restores(site: Site, reason: str) -> None:
    site.world.set_switches(replace(site.world.switches, retrieve_raises=reason))
    manager = site.as_(MANAGER)
    rfi = await manager.new_rfi()
    path = f"{manager.rfis}/{rfi['id']}"
    await manager.ok("PATCH", f"{path}/recycle")
    assert (await manager.call("GET", path)).status_code == 404
    assert await manager.ok("GET", manager.rfis) == []
    [gone] = await manager.ok("GET", f"{manager.rfis}/recycle_bin")
    assert (gone["id"], gone["deleted"]) == (rfi["id"], True)
    await manager.ok("PATCH", f"{path}/retrieve")
    assert (await manager.rfi(rfi["id"]))["deleted"] is False
    assert effects(site, "RFIs") == ["create", "delete", reason]


async def test_only_a_party_may_reply_and_only_to_an_open_rfi(site: Site) -> None:
    manager = site.as_(MANAGER)
    rfi = await manager.new_rfi()
    path = f"{manager.rfis}/{rfi['id']}"
    body = {"reply": {"body": "<p>Hello</p>"}}
    stranger = await site.as_(TRADE).call("POST", f"{path}/replies", json=body)
    assert stranger.status_code == 403
    await manager.ok("PATCH", path, json={"rfi": {"accepted": True}})
    late = await site.as_(ARCHITECT).call("POST", f"{path}/replies", json=body)
    assert late.status_code == 422


async def test_a_standard_user_may_not_close_or_edit(site: Site) -> None:
    rfi = await site.as_(MANAGER).new_rfi()
    architect = site.as_(ARCHITECT)
    path = f"{architect.rfis}/{rfi['id']}"
    for fields in ({"accepted": True}, {"subject": "Mine"}):
        answer = await architect.call("PATCH", path, json={"rfi": fields})
        assert answer.status_code == 403
    assert (await architect.call("PATCH", f"{path}/recycle")).status_code == 403


async def test_b48_a_private_rfi_is_absent_for_the_uninvolved(site: Site) -> None:
    manager, architect, trade = site.as_(MANAGER), site.as_(ARCHITECT), site.as_(TRADE)
    rfi = await manager.new_rfi(private=True)
    assert (await trade.call("GET", f"{trade.rfis}/{rfi['id']}")).status_code == 404
    assert await trade.ok("GET", trade.rfis) == []
    assert [r["id"] for r in await architect.ok("GET", architect.rfis)] == [rfi["id"]]


async def test_unofficial_replies_may_be_hidden_from_standard_users(site: Site) -> None:
    settings = replace(site.project.settings, only_official_replies=True)
    directory.change_project(site.world, replace(site.project, settings=settings))
    manager = site.as_(MANAGER)
    rfi = await manager.new_rfi(distribution_ids=[site.person(TRADE).id])
    await site.as_(ARCHITECT).reply(rfi["id"])
    assert (await site.as_(TRADE).rfi(rfi["id"]))["questions"][0]["answers"] == []
    assert len((await manager.rfi(rfi["id"]))["questions"][0]["answers"]) == 1


async def test_files_come_with_a_question_in_multipart(site: Site) -> None:
    manager = site.as_(MANAGER)
    data = {
        "rfi[subject]": "With a file",
        "rfi[rfi_manager_id]": str(site.person(MANAGER).id),
        "rfi[assignee_ids][]": str(site.person(ARCHITECT).id),
        "rfi[question][body]": "<p>See the sketch.</p>",
    }
    files = {"rfi[question][attachments][]": ("sketch.pdf", b"%PDF-1.4 x", "application/pdf")}
    rfi = await manager.ok("POST", manager.rfis, data=data, files=files)
    [attachment] = rfi["questions"][0]["attachments"]
    assert attachment["filename"] == "sketch.pdf"
    assert rfi["questions"][0]["plain_text_body"] == "See the sketch."


async def test_a_revision_supersedes_the_rfi_before_it(site: Site) -> None:
    manager = site.as_(MANAGER)
    first = await manager.new_rfi()
    second = await manager.new_rfi(source_rfi_header_id=first["id"])
    assert (second["number"], second["revision"]) == (first["number"], "1")
    assert second["full_number"] == "1.1"
    old = await manager.rfi(first["id"])
    assert (old["status"], old["current_revision"]) == ("closed_with_revision", False)


async def test_b51_the_same_post_twice_makes_two(site: Site) -> None:
    manager, architect = site.as_(MANAGER), site.as_(ARCHITECT)
    one, two = await manager.new_rfi(), await manager.new_rfi()
    assert one["id"] != two["id"]
    assert one["number"] != two["number"]
    await architect.reply(one["id"])
    await architect.reply(one["id"])
    assert len((await manager.rfi(one["id"]))["questions"][0]["answers"]) == 2


async def test_b56_a_date_that_cannot_be_read_is_stored_as_null(site: Site) -> None:
    rfi = await site.as_(MANAGER).new_rfi(due_date="next Tuesday")
    assert rfi["due_date"] is None


async def test_an_updated_at_window_finds_what_changed_in_it(site: Site) -> None:
    manager = site.as_(MANAGER)
    old = await manager.new_rfi()
    site.world.clock.advance(3600)
    new = await manager.new_rfi()
    window = f"{new['updated_at']}...2100-01-01T00:00:00Z"
    found = await manager.ok("GET", manager.rfis, params={"filters[updated_at]": window})
    assert [r["id"] for r in found] == [new["id"]]
    before = f"2000-01-01T00:00:00Z...{new['created_at']}"
    found = await manager.ok("GET", manager.rfis, params={"filters[updated_at]": before})
    assert [r["id"] for r in found] == [old["id"]]
    bad = await manager.call("GET", manager.rfis, params={"filters[updated_at]": "yesterday"})
    assert bad.status_code == 400


async def test_a_batch_updates_several(site: Site) -> None:
    manager = site.as_(MANAGER)
    rfis = [await manager.new_rfi() for _ in range(2)]
    data = [{"id": r["id"], "subject": f"Renamed {r['id']}"} for r in rfis]
    changed = await manager.ok("PATCH", manager.rfis, json={"data": data})
    assert [r["subject"] for r in changed] == [d["subject"] for d in data]


async def test_a_batch_with_one_that_fails_changes_none(site: Site) -> None:
    manager = site.as_(MANAGER)
    rfi = await manager.new_rfi()
    data = [{"id": rfi["id"], "subject": "Renamed"}, {"id": 1, "subject": "Nobody's"}]
    refused = await manager.call("PATCH", manager.rfis, json={"data": data})
    assert refused.status_code == 404
    assert (await manager.rfi(rfi["id"]))["subject"] == rfi["subject"]


@pytest.mark.parametrize("odd", ["\u00b2", "\u0663", "9" * 5000, "-1", "1e3"])
async def test_an_id_that_is_no_number_names_nothing(site: Site, odd: str) -> None:
    manager = site.as_(MANAGER)
    assert (await manager.call("GET", f"{manager.rfis}/{odd}")).status_code == 404
    page = await manager.call("GET", manager.rfis, params={"page": odd, "per_page": odd})
    assert page.status_code == 200
    company = {"Procore-Company-Id": "\u00b2".encode("latin-1")}
    assert (await manager.call("GET", manager.rfis, headers=company)).status_code == 400
