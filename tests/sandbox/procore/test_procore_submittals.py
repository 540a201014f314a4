"""Submittals: behaviours 36 to 47."""

import pytest
from msgspec.structs import replace

from sandbox.procore.domain import directory
from tests.sandbox.procore.site import ARCHITECT, ENGINEER, MANAGER, TRADE, Client, Json, Site


def ball(submittal: Json) -> set[int]:
    return {u["id"] for u in submittal["ball_in_court"]}


def ids(site: Site, *emails: str) -> set[int]:
    return {site.person(email).id for email in emails}


def reject_workflow(site: Site, *, on: bool) -> None:
    settings = replace(site.project.settings, reject_workflow=on)
    directory.change_project(site.world, replace(site.project, settings=settings))


async def answered(
    site: Site, manager: Client, submittal: Json, email: str, considered: str = "approved"
) -> Json:
    response = await site.as_(email).respond(submittal, email, considered)
    assert response.status_code == 200, response.text
    return await manager.submittal(submittal["id"])


async def test_b36_a_responder_without_the_ball_is_forbidden(site: Site) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT], [ENGINEER])
    early = await site.as_(ENGINEER).respond(submittal, ENGINEER)
    assert early.status_code == 403
    foreign = await site.as_(ENGINEER).respond(submittal, ARCHITECT)
    assert foreign.status_code == 403
    moved = await answered(site, manager, submittal, ARCHITECT)
    assert ball(moved) == ids(site, ENGINEER)


async def test_b36_an_admin_may_answer_for_somebody_else(site: Site) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT])
    on_behalf = await manager.respond(submittal, ARCHITECT, comment="By phone")
    assert on_behalf.status_code == 200
    [row] = (await manager.submittal(submittal["id"]))["approvers"]
    assert (row["response"]["considered"], row["comment"]) == ("approved", "By phone")


async def test_b36_a_response_of_another_project_is_a_bad_request(site: Site) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT])
    architect = site.as_(ARCHITECT)
    foreign = await architect.respond(submittal, ARCHITECT, submittal_response_id=999_999_999)
    assert foreign.status_code == 400
    pending = await architect.respond(submittal, ARCHITECT, "pending")
    assert pending.status_code == 400
    submitted = await architect.respond(submittal, ARCHITECT, "submitted")
    assert submitted.status_code == 400


async def test_b37_a_parallel_step_waits_for_all_required_but_not_for_optional_ones(
    site: Site,
) -> None:
    manager = site.as_(MANAGER)
    optional = {"email": TRADE, "response_required": False}
    submittal = await manager.new_submittal([ARCHITECT, ENGINEER, optional], [MANAGER])
    assert ball(submittal) == ids(site, ARCHITECT, ENGINEER, TRADE)
    half = await answered(site, manager, submittal, ARCHITECT)
    assert ball(half) == ids(site, ENGINEER, TRADE)
    whole = await answered(site, manager, submittal, ENGINEER)
    assert ball(whole) == ids(site, MANAGER)
    late = await site.as_(TRADE).respond(submittal, TRADE)
    assert late.status_code == 403


async def test_at_the_end_of_the_workflow_the_ball_is_at_the_submittal_manager(
    site: Site,
) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal(
        [{"email": TRADE, "approver_type": "Submitter"}], [ARCHITECT]
    )
    await answered(site, manager, submittal, TRADE, "submitted")
    done = await answered(site, manager, submittal, ARCHITECT)
    assert ball(done) == ids(site, MANAGER)
    assert done["status"]["status"] == "Open"


@pytest.mark.parametrize("considered", ["rejected", "revise and resubmit"])
async def test_b38_with_reject_workflows_on_a_rejection_stops_at_the_manager(
    site: Site, considered: str
) -> None:
    reject_workflow(site, on=True)
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT, ENGINEER], [TRADE])
    stopped = await answered(site, manager, submittal, ARCHITECT, considered)
    assert ball(stopped) == ids(site, MANAGER)
    assert stopped["is_rejected"] is True
    assert stopped["rejected_submittal_log_approver_id"] == stopped["approvers"][0]["id"]


async def test_b38_off_the_ball_always_moves_forward(site: Site) -> None:
    reject_workflow(site, on=False)
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT], [ENGINEER])
    moved = await answered(site, manager, submittal, ARCHITECT, "rejected")
    assert ball(moved) == ids(site, ENGINEER)
    assert moved["is_rejected"] is False


async def test_b39_several_names_share_a_class_and_are_renamed_at_any_time(site: Site) -> None:
    manager = site.as_(MANAGER)
    old = next(r for r in site.project.responses if r.considered == "approved")
    twin = replace(old, id=old.id + 500_000, name="No Exceptions Taken")
    directory.change_project(
        site.world, replace(site.project, responses=(*site.project.responses, twin))
    )
    path = "/rest/v1.0/submittal_responses"
    query = {"project_id": site.project.id, "per_page": 100}
    listed = await manager.ok("GET", path, params=query)
    names = {r["name"] for r in listed if r["considered"] == "approved"}
    assert names == {"Approved", "No Exceptions Taken"}
    renamed = tuple(
        replace(r, name="Reviewed") if r.id == old.id else r for r in site.project.responses
    )
    directory.change_project(site.world, replace(site.project, responses=renamed))
    listed = await manager.ok("GET", path, params=query)
    assert {r["name"] for r in listed if r["id"] == old.id} == {"Reviewed"}


async def test_b39_responses_are_renamed_added_and_removed_at_runtime(site: Site) -> None:
    manager = site.as_(MANAGER)
    ids_by_class = {r.considered: r.id for r in site.project.responses}

    async def order(*responses: Json) -> int:
        body = {"project_id": site.project.id, "responses": responses}
        return (await site.http.post("/_sandbox/projects", json=body)).status_code

    renamed = {"id": ids_by_class["approved"], "name": "Reviewed, no exceptions"}
    added = {"name": "Furnish as corrected", "considered": "approved as noted"}
    removed = {"id": ids_by_class["void"], "removed": True}
    assert await order(renamed, added, removed) == 200
    query = {"project_id": site.project.id, "per_page": 100}
    listed = await manager.ok("GET", "/rest/v1.0/submittal_responses", params=query)
    names = {(r["considered"], r["name"]) for r in listed}
    assert ("approved", "Reviewed, no exceptions") in names
    assert ("approved as noted", "Furnish as corrected") in names
    assert "void" not in {considered for considered, _ in names}
    for wrong in (
        {"id": 1, "name": "x"},
        {"id": ids_by_class["pending"], "removed": True},
        {"name": "x", "considered": "nonsense"},
        {"name": "x"},
    ):
        assert await order(wrong) == 400, wrong


async def test_b40_an_unknown_filter_is_ignored_and_custom_names_have_a_class(
    site: Site,
) -> None:
    manager = site.as_(MANAGER)
    await manager.new_submittal()
    everything = await manager.ok("GET", manager.submittals, params={"filters[status]": "Closed"})
    assert len(everything) == 1
    statuses = await manager.ok("GET", f"/rest/v1.0/companies/{site.company_id}/submittal_statuses")
    classes = {s["name"]: s["status"] for s in statuses}
    assert classes["Approved / No Exceptions Taken"] == "Closed"
    open_id = next(s["id"] for s in statuses if s["name"] == "Open")
    by_id = {"filters[status_id][]": open_id}
    assert len(await manager.ok("GET", manager.submittals, params=by_id)) == 1
    site.world.set_switches(replace(site.world.switches, unknown_submittal_filter="400"))
    refused = await manager.call("GET", manager.submittals, params={"filters[status]": "x"})
    assert refused.status_code == 400


async def test_b41_a_workflow_in_json_is_refused_and_in_multipart_taken(site: Site) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal()
    path = f"{manager.submittals}/{submittal['id']}"
    member = {"login_information_id": site.person(ARCHITECT).id}
    refused = await manager.call("PATCH", path, json={"submittal": {"workflow_data": [[member]]}})
    assert refused.status_code == 400
    assert "Error Updating Approvers" in refused.text
    bracket = "submittal[workflow_data][0][0][login_information_id]"
    taken = await manager.ok("PATCH", path, files={bracket: (None, str(site.person(ARCHITECT).id))})
    assert [a["user"]["id"] for a in taken["approvers"]] == [site.person(ARCHITECT).id]
    assert ball(taken) == ids(site, ARCHITECT)


@pytest.mark.parametrize(("switch", "count"), [("kept", 1), ("dropped", 0)])
async def test_b42_files_at_create_may_be_dropped_with_a_201(
    site: Site, switch: str, count: int
) -> None:
    site.world.set_switches(replace(site.world.switches, attachments_at_create=switch))
    manager = site.as_(MANAGER)
    files = {"submittal[attachments][]": ("data.pdf", b"%PDF", "application/pdf")}
    made = await manager.call(
        "POST", manager.submittals, data={"submittal[number]": "7"}, files=files
    )
    assert made.status_code == 201
    assert len(made.json()["attachments"]) == count
    path = f"{manager.submittals}/{made.json()['id']}"
    patched = await manager.ok("PATCH", path, files=files)
    assert len(patched["attachments"]) == count + 1


async def test_b43_a_revision_is_a_new_record_and_both_raise_update(site: Site) -> None:
    manager = site.as_(MANAGER)
    first = await manager.new_submittal([ARCHITECT])
    second = await manager.ok(
        "POST",
        manager.submittals,
        json={"submittal": {"source_submittal_log_id": first["id"], "number": "1"}},
    )
    assert (second["number"], second["revision"]) == (first["number"], "1")
    assert second["source_submittal_log_id"] == first["id"]
    assert (second["current_revision"], second["approvers"][0]["response"]["considered"]) == (
        True,
        "pending",
    )
    assert (await manager.submittal(first["id"]))["current_revision"] is False
    rows = site.world.store.rows("SELECT resource_id, reason FROM events ORDER BY id")
    updates = {r["resource_id"] for r in rows if r["reason"] == "update"}
    assert updates == {first["id"], second["id"]}
    chain = await manager.ok("GET", f"{manager.submittals}/{second['id']}/revisions")
    assert [s["id"] for s in chain] == [first["id"], second["id"]]
    current = {"filters[current_revision]": "true"}
    listed = await manager.ok("GET", manager.submittals, params=current)
    assert [s["id"] for s in listed] == [second["id"]]


async def closed_status(site: Site, manager: Client) -> int:
    statuses = await manager.ok("GET", f"/rest/v1.0/companies/{site.company_id}/submittal_statuses")
    return int(next(s["id"] for s in statuses if s["status"] == "Closed"))


async def test_b44_closing_needs_admin_and_works_without_the_wrapper(site: Site) -> None:
    manager, architect = site.as_(MANAGER), site.as_(ARCHITECT)
    submittal = await manager.new_submittal([ARCHITECT])
    path = f"{manager.submittals}/{submittal['id']}"
    status_id = await closed_status(site, manager)
    refused = await architect.call("PATCH", path, json={"status_id": status_id})
    assert refused.status_code == 403
    closed = await manager.ok("PATCH", path, json={"status_id": status_id})
    assert closed["status"]["status"] == "Closed"
    assert closed["closed_at"] is not None
    assert closed["ball_in_court"] == []


async def test_b44_distributing_needs_a_response_and_closes(site: Site) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT])
    path = (
        f"/rest/v1.0/projects/{site.project.id}/submittal_logs/{submittal['id']}"
        "/close_and_distribute"
    )
    body = {"message": "Released", "recipient_ids": [site.person(TRADE).id]}
    assert (await manager.call("PATCH", path, json=body)).status_code == 422
    await answered(site, manager, submittal, ARCHITECT)
    assert (await site.as_(ARCHITECT).call("PATCH", path, json=body)).status_code == 403
    record = await manager.ok("PATCH", path, json=body)
    assert [u["id"] for u in record["distributed_to"]] == [site.person(TRADE).id]
    assert len(record["distributed_responses"]) == 1
    after = await manager.submittal(submittal["id"])
    assert after["status"]["status"] == "Closed"
    assert after["distributed_at"] is not None
    assert len(after["distributed_submittals"]) == 1


async def test_b45_closing_rewrites_the_ball_in_a_second_event(site: Site) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT])
    path = f"{manager.submittals}/{submittal['id']}"
    before = len(site.world.store.rows("SELECT id FROM events"))
    await manager.ok("PATCH", path, json={"status_id": await closed_status(site, manager)})
    rows = site.world.store.rows("SELECT reason FROM events ORDER BY id")
    assert [r["reason"] for r in rows[before:]] == ["update", "update"]


async def test_b46_an_approver_of_the_step_may_add_a_reviewer_by_forwarding(site: Site) -> None:
    manager, architect = site.as_(MANAGER), site.as_(ARCHITECT)
    submittal = await manager.new_submittal([ARCHITECT])
    forward: Json = {"forward_to": {"user_id": site.person(ENGINEER).id, "due_date": "2026-12-24"}}
    sent = await architect.respond(submittal, ARCHITECT, **forward)
    assert sent.status_code == 200
    during = await manager.submittal(submittal["id"])
    assert ball(during) == ids(site, ENGINEER)
    assert [a["response"]["considered"] for a in during["approvers"]] == [
        "forwarded for review",
        "pending",
    ]
    back = await answered(site, manager, during, ENGINEER)
    assert ball(back) == ids(site, ARCHITECT)
    done = await answered(site, manager, back, ARCHITECT)
    assert ball(done) == ids(site, MANAGER)


@pytest.mark.parametrize(("switch", "kind"), [("object", dict), ("array", list)])
async def test_b47_the_approver_patch_answers_an_object_or_an_array(
    site: Site, switch: str, kind: type
) -> None:
    site.world.set_switches(replace(site.world.switches, approver_patch_answer=switch))
    submittal = await site.as_(MANAGER).new_submittal([ARCHITECT])
    answer = await site.as_(ARCHITECT).respond(submittal, ARCHITECT)
    assert isinstance(answer.json(), kind)


async def test_a_type_is_one_of_the_companys(site: Site) -> None:
    manager = site.as_(MANAGER)
    types = await manager.ok("GET", f"/rest/v1.0/companies/{site.company_id}/submittal_types")
    made = await manager.new_submittal([ARCHITECT], type=types[0]["name"])
    assert made["type"] == types[0]
    body = {"submittal": {"number": "2", "type": "Nonsense"}}
    refused = await manager.call("POST", manager.submittals, json=body)
    assert refused.status_code == 422
    assert refused.json() == {"errors": {"type": ["is not included in the list"]}}


async def test_b57_a_description_comes_html_escaped_and_names_with_their_company(
    site: Site,
) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT], description="Nuts & bolts <A325>")
    assert submittal["description"] == "Nuts &amp; bolts &lt;A325&gt;"
    assert submittal["approvers"][0]["user"]["name"] == ("Elena Marsh (Marsh Lindqvist Architects)")
    assert submittal["ball_in_court"][0]["name"] == "Elena Marsh"


async def test_b57_keys_that_nobody_described_come_along(site: Site) -> None:
    manager = site.as_(MANAGER)
    rfi, submittal = await manager.new_rfi(), await manager.new_submittal([ARCHITECT])
    told = set(await manager.rfi(rfi["id"])), set(await manager.submittal(submittal["id"]))
    site.world.set_switches(replace(site.world.switches, unknown_extra_keys=False))
    plain = set(await manager.rfi(rfi["id"])), set(await manager.submittal(submittal["id"]))
    assert told[0] - plain[0] == {
        "guid",
        "change_events",
        "instructions",
        "correspondences",
        "coordination_issues",
    }
    assert told[1] - plain[1] == {"prostore_files_count", "linked_drawings"}


@pytest.mark.parametrize("kind", ["rfis", "submittals"])
async def test_updated_at_never_goes_back_and_a_read_with_an_older_one_is_stale(
    site: Site, kind: str
) -> None:
    manager = site.as_(MANAGER)
    if kind == "rfis":
        base, made, body = manager.rfis, await manager.new_rfi(), {"rfi": {"subject": "Anew"}}
    else:
        base, made = manager.submittals, await manager.new_submittal([ARCHITECT])
        body = {"submittal": {"title": "Anew"}}
    path = f"{base}/{made['id']}"
    site.world.clock.advance(60)
    changed = await manager.ok("PATCH", path, json=body)
    assert changed["updated_at"] > made["updated_at"]
    site.world.set_switches(replace(site.world.switches, stale_reads_s=30))
    assert (await manager.ok("GET", path))["updated_at"] == made["updated_at"]
    site.world.clock.advance(31)
    assert (await manager.ok("GET", path))["updated_at"] == changed["updated_at"]


async def test_the_bin_of_submittals_is_not_in_every_description(site: Site) -> None:
    site.world.set_switches(replace(site.world.switches, submittal_recycle_bin="absent"))
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT])
    path = f"{manager.submittals}/{submittal['id']}"
    await manager.ok("DELETE", path)
    assert (await manager.call("GET", f"{manager.submittals}/recycle_bin")).status_code == 404
    assert (await manager.call("PATCH", f"{path}/restore")).status_code == 404


async def test_deleting_and_restoring(site: Site) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT])
    path = f"{manager.submittals}/{submittal['id']}"
    assert (await site.as_(ARCHITECT).call("DELETE", path)).status_code == 403
    await manager.ok("DELETE", path)
    assert (await manager.call("GET", path)).status_code == 404
    [gone] = await manager.ok("GET", f"{manager.submittals}/recycle_bin")
    assert gone["id"] == submittal["id"]
    await manager.ok("PATCH", f"{path}/restore")
    assert (await manager.call("GET", path)).status_code == 200


async def test_several_are_read_with_one_list_call_with_approvers_and_files(site: Site) -> None:
    manager = site.as_(MANAGER)
    made = [await manager.new_submittal([ARCHITECT]) for _ in range(3)]
    wanted = [made[0]["id"], made[2]["id"]]
    listed = await manager.ok(
        "GET", manager.submittals, params=[("filters[id][]", str(i)) for i in wanted]
    )
    assert [s["id"] for s in listed] == wanted
    assert listed[0]["approvers"][0]["response"]["considered"] == "pending"
    assert "associated_attachments" in listed[0]


async def test_a_standard_user_cannot_set_what_only_an_admin_may(site: Site) -> None:
    architect = site.as_(ARCHITECT)
    body = {"number": "9", "title": "T", "lead_time": 12}
    made = await architect.ok("POST", architect.submittals, json={"submittal": body})
    assert (made["lead_time"], made["status"]["status"]) == (None, "Open")


async def test_the_workflow_data_names_steps_people_and_files(site: Site) -> None:
    manager = site.as_(MANAGER)
    submittal = await manager.new_submittal([ARCHITECT, ENGINEER], [TRADE])
    data = await manager.ok("GET", f"{manager.submittals}/{submittal['id']}/workflow_data")
    assert [len(step["approver_ids"]) for step in data["steps"]] == [2, 1]
    assert data["approvers"][0]["company_name"] == "Marsh Lindqvist Architects"
