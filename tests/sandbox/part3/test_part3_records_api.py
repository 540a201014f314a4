from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from sandbox.part3.house import House
from tests.sandbox.part3.conftest import PROJECT, TOKEN, Part3Api, a_file, a_record

Strangers = Callable[..., httpx2.AsyncClient]


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic abc", TOKEN, "Bearer "])
async def test_without_the_service_token_nothing_is_answered(
    strangers: Strangers, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with strangers(**headers) as client:
        answer = await client.get(f"/v1/projects/{PROJECT}")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_project_comes_with_its_team(api: Part3Api) -> None:
    project = (await api.call("GET", "")).json()
    assert (project["id"], project["name"]) == (PROJECT, "Harbour Street Library")
    assert project["archived"] is False
    assert {m["role"] for m in project["team"]} == {"prime_consultant", "consultant", "owner"}
    assert set(project["team"][0]) == {"user_id", "name", "email", "company", "role"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/nowhere",
        "/v1/projects/nowhere/records",
        "/v1/projects/nowhere/returns",
        f"/v1/projects/{PROJECT}/records/rfi/1",
        f"/v1/projects/{PROJECT}/records/drawing/1",
        f"/v1/projects/{PROJECT}/returns/ret_x",
        f"/v1/projects/{PROJECT}/files/{'0' * 64}",
        f"/v1/projects/{PROJECT}/files/plan.pdf",
        "/v1/elsewhere",
    ],
)
async def test_what_is_not_there_is_a_404_problem(api: Part3Api, path: str) -> None:
    answer = await api.client.get(path)
    assert answer.status_code == answer.json()["status"] == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_method_that_a_path_lacks_is_a_405_problem(api: Part3Api) -> None:
    answer = await api.call("DELETE", "/records/rfi/1")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_put_creates_then_replaces_everything(api: Part3Api) -> None:
    first = await api.put_record(a_record(question="<p>Where?</p>", extras={"Location": "L2"}))
    second = await api.put_record(a_record(title="Anchor bolts at C5"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["version"] != second.json()["version"]
    assert first.json()["updated_at"] < second.json()["updated_at"]
    held = (await api.call("GET", "/records/rfi/101")).json()
    assert held == second.json()
    assert held["title"] == "Anchor bolts at C5"
    assert held["question"] is None
    assert held["extras"] == {}


async def test_a_whole_record_comes_back_as_it_was_put(api: Part3Api) -> None:
    content = b"shop drawing"
    await api.put_file(content)
    person = {"procore_id": "9", "name": "Dana", "email": "d@gc.example", "company": "GC"}
    file = a_file(content) | {"procore_id": "77"}
    record = a_record(
        "submittal",
        "900719925474099301",
        procore_url="https://procore.example/1",
        number="03 30 00-1",
        revision="1",
        previous_revision="41",
        question=None,
        description="Mix < 40 MPa",
        spec_section="03 30 00",
        package="Concrete",
        type="Shop drawing",
        due_on="2026-12-01",
        opened_on="2026-11-01",
        closed_on=None,
        distributed_at="2026-11-20T08:00:00Z",
        ball_in_court=[person],
        manager=person,
        assignees=[person],
        workflow=[
            {
                "procore_id": "5",
                "step": 1,
                "person": person,
                "role": "approver",
                "required": True,
                "due_on": None,
                "response": "Approved",
                "disposition": "proceed",
                "comment": None,
                "responded_at": None,
                "files": [file],
            }
        ],
        replies=[],
        files=[file],
        extras={"Cost code": ["01", "02"], "files_pending": 0},
    )
    assert (await api.put_record(record)).status_code == 201
    held = (await api.call("GET", f"/records/submittal/{record['procore_id']}")).json()
    assert {name: held[name] for name in record} == record


async def test_the_same_put_again_changes_nothing(api: Part3Api) -> None:
    first = await api.put_record(a_record())
    again = await api.put_record(a_record())
    assert again.status_code == 200
    assert again.json() == first.json()
    assert len(await api.effects("record.created")) == 1
    assert len(await api.effects("record.unchanged")) == 1
    assert await api.effects("record.replaced") == []


async def test_an_old_version_in_if_match_is_a_412(api: Part3Api) -> None:
    old = (await api.put_record(a_record())).json()["version"]
    await api.put_record(a_record(title="second"))
    refused = await api.put_record(a_record(title="third"), headers={"If-Match": old})
    assert refused.status_code == 412
    assert refused.json()["procore_id"] == "101"
    assert (await api.call("GET", "/records/rfi/101")).json()["title"] == "second"


@pytest.mark.parametrize("tag", ["{}", '"{}"', '"77", "{}"', "*"])
async def test_the_held_version_in_if_match_lets_the_put_through(api: Part3Api, tag: str) -> None:
    version = (await api.put_record(a_record())).json()["version"]
    headers = {"If-Match": tag.format(version)}
    assert (await api.put_record(a_record(title="second"), headers=headers)).status_code == 200


async def test_a_put_whose_answer_was_lost_may_be_sent_again_as_it_was(api: Part3Api) -> None:
    version = (await api.put_record(a_record())).json()["version"]
    headers = {"If-Match": version}
    done = await api.put_record(a_record(title="second"), headers=headers)
    again = await api.put_record(a_record(title="second"), headers=headers)
    assert again.status_code == 200
    assert again.json() == done.json()


async def test_if_match_on_a_record_that_is_not_there_is_a_412(api: Part3Api) -> None:
    assert (await api.put_record(a_record(), headers={"If-Match": "1"})).status_code == 412


async def test_if_none_match_creates_a_record_and_replaces_none(api: Part3Api) -> None:
    only_new = {"If-None-Match": "*"}
    assert (await api.put_record(a_record(), headers=only_new)).status_code == 201
    assert (await api.put_record(a_record(title="late"), headers=only_new)).status_code == 412
    records = [a_record(title="late"), a_record(procore_id="102")]
    answer = await api.call("POST", "/records:batch", json={"records": records}, headers=only_new)
    assert [one["status"] for one in answer.json()["results"]] == [412, "open"]
    assert (await api.call("GET", "/records/rfi/101")).json()["title"] == a_record()["title"]


@pytest.mark.parametrize("field", ["kind", "procore_id", "number", "title", "status", "private"])
async def test_a_required_field_that_is_missing_is_a_422(api: Part3Api, field: str) -> None:
    record = a_record()
    del record[field]
    answer = await api.call("PUT", "/records/rfi/101", json=record)
    assert answer.status_code == 422
    assert field in answer.json()["detail"]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": "pending"},
        {"private": "no"},
        {"title": None},
        {"procore_id": 101},
        {"due_on": "24/11/2026"},
        {"distributed_at": "2026-11-24T10:00:00"},
        {"files": [{"sha256": "abc", "name": "x", "content_type": "x", "size": 1}]},
        {"ball_in_court": [{"email": "nameless@x.example"}]},
        {"workflow": [{"disposition": "approved"}]},
        {"extras": {"files_pending": -1}},
        {"extras": {"files_pending": "two"}},
        {"extras": {"files_pending": True}},
        {"kind": "submittal"},
        {"procore_id": "102"},
    ],
)
async def test_what_the_contract_does_not_allow_is_a_422(
    api: Part3Api, fault: dict[str, Any]
) -> None:
    answer = await api.call("PUT", "/records/rfi/101", json=a_record() | fault)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await api.call("GET", "/records/rfi/101")).status_code == 404


async def test_a_body_that_is_no_json_is_refused(api: Part3Api) -> None:
    headers = {"Content-Type": "application/json"}
    broken = await api.call("PUT", "/records/rfi/101", content=b"{", headers=headers)
    other = await api.call("PUT", "/records/rfi/101", content=b"a=1")
    assert (broken.status_code, other.status_code) == (400, 415)


@pytest.mark.parametrize(
    "where",
    [
        lambda file: {"files": [file]},
        lambda file: {"workflow": [{"files": [file]}]},
        lambda file: {"replies": [{"files": [file]}]},
    ],
)
async def test_a_record_names_only_files_already_stored(
    api: Part3Api, where: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    content = b"not yet stored"
    record = a_record(**where(a_file(content)))
    counted = record | {"extras": {"files_pending": 1}}
    refused = await api.put_record(record)
    assert refused.status_code == (await api.put_record(counted)).status_code == 422
    assert a_file(content)["sha256"] in refused.json()["detail"]
    await api.put_file(content)
    assert (await api.put_record(record)).status_code == 201


async def test_until_then_files_pending_counts_the_missing_ones(api: Part3Api) -> None:
    answer = await api.put_record(a_record(extras={"files_pending": 2}))
    assert answer.status_code == 201
    assert answer.json()["extras"] == {"files_pending": 2}


async def test_records_are_listed_oldest_change_first_in_pages(api: Part3Api) -> None:
    for number in range(5):
        await api.put_record(a_record(procore_id=str(number)))
    await api.put_record(a_record(procore_id="0", title="changed last"))
    seen, cursor = [], None
    for _ in range(3):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await api.call("GET", "/records", params=params)).json()
        seen += [item["procore_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ["1", "2", "3", "4", "0"]
    assert cursor is None


async def test_a_record_changed_between_two_pages_comes_again_and_none_is_missed(
    api: Part3Api,
) -> None:
    for number in range(4):
        await api.put_record(a_record(procore_id=str(number)))
    first = (await api.call("GET", "/records", params={"limit": 2})).json()
    await api.put_record(a_record(procore_id="0", title="changed"))
    rest = (await api.call("GET", "/records", params={"cursor": first["next_cursor"]})).json()
    assert [item["procore_id"] for item in rest["items"]] == ["2", "3", "0"]


async def test_updated_after_leaves_out_what_did_not_change_since(api: Part3Api) -> None:
    await api.put_record(a_record(procore_id="1"))
    mark = (await api.put_record(a_record(procore_id="2"))).json()["updated_at"]
    await api.put_record(a_record(procore_id="3"))
    page = (await api.call("GET", "/records", params={"updated_after": mark})).json()
    assert [item["procore_id"] for item in page["items"]] == ["3"]


async def test_kinds_are_listed_apart(api: Part3Api) -> None:
    await api.put_record(a_record("rfi", "1"))
    await api.put_record(a_record("submittal", "1"))
    page = (await api.call("GET", "/records", params={"kind": "submittal"})).json()
    assert [item["kind"] for item in page["items"]] == ["submittal"]
    assert page["next_cursor"] is None


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "201"},
        {"limit": "0"},
        {"limit": "many"},
        {"kind": "drawing"},
        {"updated_after": "yesterday"},
        {"updated_after": "2026-11-24T10:00:00"},
        {"updated_after": "1700000000"},
        {"cursor": "!!"},
        {"cursor": "YWZ0ZXI6LTE"},
    ],
)
async def test_a_bad_list_parameter_is_a_422(api: Part3Api, params: dict[str, str]) -> None:
    answer = await api.call("GET", "/records", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_in_a_batch_each_record_succeeds_or_fails_alone(api: Part3Api) -> None:
    records = [
        a_record(procore_id="1"),
        a_record(procore_id="2") | {"status": "odd"},
        a_record(procore_id="3", files=[a_file(b"missing")]),
        {"title": "no id"},
        "no record",
        a_record("submittal", "4"),
    ]
    answer = await api.call("POST", "/records:batch", json={"records": records})
    results = answer.json()["results"]
    assert answer.status_code == 200
    assert [result.get("status") for result in results] == ["open", 422, 422, 422, 422, "open"]
    assert [result.get("procore_id") for result in results[:4]] == ["1", "2", "3", None]
    assert (await api.call("GET", "/records/rfi/1")).json() == results[0]
    assert (await api.call("GET", "/records/rfi/2")).status_code == 404


@pytest.mark.parametrize("body", [{}, {"records": None}, {"records": [a_record()] * 101}])
async def test_a_batch_has_one_hundred_records_at_most(api: Part3Api, body: dict[str, Any]) -> None:
    assert (await api.call("POST", "/records:batch", json=body)).status_code == 422
    assert (await api.call("GET", "/records")).json()["items"] == []


async def test_readiness_is_taken_and_an_older_word_comes_too_late(api: Part3Api) -> None:
    path = "/records/rfi/101/readiness"
    newer = {"returnable": True, "for_user_ids": ["usr_maya"], "as_of": "2026-11-24T10:00:01Z"}
    older = {"returnable": False, "reason": "not_authorized", "as_of": "2026-11-24T10:00:00Z"}
    for body in (newer, older, newer):
        assert (await api.call("PUT", path, json=body)).status_code == 204
    assert len(await api.effects("readiness.set")) == 2
    assert [e["reason"] for e in await api.effects("readiness.too_old")] == ["not_authorized"]
    assert (await api.call("PUT", path, json={"as_of": "now"})).status_code == 422


async def test_the_ledger_holds_every_call_and_no_bodies(api: Part3Api) -> None:
    await api.put_record(a_record(question="secret question"))
    await api.call("GET", "/records/rfi/404")
    ledger = (await api.client.get("/_sandbox/ledger")).text
    calls = await api.effects("PUT 201")
    assert calls[0]["path"] == f"/v1/projects/{PROJECT}/records/rfi/101"
    assert len(await api.effects("GET 404")) == 1
    assert "secret question" not in ledger


@pytest.mark.parametrize(
    ("kind", "order"), [("rfi", ["2", "9", "10"]), ("submittal", ["10", "2", "9"])]
)
async def test_rfis_stand_by_number_and_submittals_by_section_first(
    api: Part3Api, house: House, kind: str, order: list[str]
) -> None:
    sections = {"9": "09 91 00", "10": "03 30 00", "2": "05 12 00"}
    for number, section in sections.items():
        numbered = {"number": number, "spec_section": section}
        await api.put_record(a_record(kind, f"70{number}", **numbered))
    assert [one.number for one in house.records.all_of(PROJECT, kind)] == order
