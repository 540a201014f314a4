import base64

import pytest

from sandbox.part3.house import House
from tests.sandbox.part3.conftest import MAYA, PROJECT, Part3Api, a_record, events_of

CONTRACT_FIELDS = {
    "id",
    "project_id",
    "kind",
    "procore_id",
    "author",
    "returned_at",
    "seen_content_version",
    "text",
    "disposition",
    "stamp",
    "files",
    "cover_page",
    "confirmed_despite",
    "state",
}
RECEIPT = {"procore_id": "5551", "author": {"procore_id": "9", "name": "Maya Lindqvist"}}


@pytest.fixture
async def returned(api: Part3Api) -> str:
    await api.put_record(a_record())
    return str((await api.make_return())["id"])


async def test_a_return_has_the_contracts_fields_and_no_others(
    api: Part3Api, returned: str
) -> None:
    answer = (await api.call("GET", f"/returns/{returned}")).json()
    assert set(answer) == CONTRACT_FIELDS
    assert answer["author"]["user_id"] == MAYA
    assert answer["text"] == "Use M20 anchors."
    assert answer["seen_content_version"] == "cv-1"
    assert answer["state"] == "pending"
    assert answer["confirmed_despite"] == []


async def test_files_of_a_return_can_be_fetched_by_their_hash(api: Part3Api) -> None:
    await api.put_record(a_record("submittal", "7"))
    given = {"name": "markup.pdf", "content_base64": base64.b64encode(b"marked up").decode()}
    cover = {"name": "cover.pdf", "content_base64": base64.b64encode(b"cover").decode()}
    made = await api.make_return(
        kind="submittal",
        procore_id="7",
        disposition="proceed_as_noted",
        stamp="Reviewed as Noted",
        files=[given],
        cover_page=cover,
    )
    assert (made["disposition"], made["stamp"]) == ("proceed_as_noted", "Reviewed as Noted")
    for file, content in ((made["files"][0], b"marked up"), (made["cover_page"], b"cover")):
        assert file["size"] == len(content)
        assert (await api.call("GET", f"/files/{file['sha256']}")).content == content


async def test_a_team_only_note_is_in_no_answer_and_no_event(api: Part3Api, house: House) -> None:
    await api.put_record(a_record())
    made = await api.make_return(team_note="The client must not hear this")
    answers = [
        (await api.call("GET", path)).text
        for path in ("", "/records", "/records/rfi/101", "/returns", f"/returns/{made['id']}")
    ]
    notes = house.notes.of_record(PROJECT, "rfi", "101")
    assert [note["text"] for note in notes] == ["The client must not hear this"]
    ledger = (await api.client.get("/_sandbox/ledger")).text
    for text in (*answers, ledger, str(events_of(house))):
        assert "must not hear" not in text


@pytest.mark.parametrize(
    ("state", "then"),
    [
        ("sending", "pending"),
        ("waiting", "pending"),
        ("held", "held"),
        ("failed", "failed"),
        ("delivered", "delivered"),
    ],
)
async def test_a_report_moves_the_state(
    api: Part3Api, returned: str, state: str, then: str
) -> None:
    assert (await api.report(returned, state)).status_code == 204
    assert await api.return_state(returned) == then
    for listed in ("pending", "held", "failed", "delivered", "withdrawn"):
        page = (await api.call("GET", "/returns", params={"state": listed})).json()
        assert len(page["items"]) == int(listed == then)


@pytest.mark.parametrize("final", ["delivered", "failed"])
async def test_after_the_end_only_the_same_report_is_taken(
    api: Part3Api, returned: str, final: str
) -> None:
    await api.report(returned, final)
    for state in {"sending", "waiting", "held", "delivered", "failed"} - {final}:
        refused = await api.report(returned, state, as_of="2026-11-24T11:00:00Z")
        assert refused.status_code == 409
        assert refused.headers["content-type"] == "application/problem+json"
    assert (await api.report(returned, final)).status_code == 204
    assert await api.return_state(returned) == final
    assert len(await api.effects("delivery.reported")) == 1


async def test_a_second_delivery_under_another_id_is_refused(api: Part3Api, returned: str) -> None:
    assert (await api.report(returned, "delivered", receipt=RECEIPT)).status_code == 204
    assert (await api.report(returned, "delivered", receipt=RECEIPT)).status_code == 204
    doubled = await api.report(returned, "delivered", receipt=RECEIPT | {"procore_id": "5552"})
    assert doubled.status_code == 409


async def test_a_report_that_was_overtaken_changes_nothing(api: Part3Api, returned: str) -> None:
    await api.report(returned, "held", reason="not_authorized", as_of="2026-11-24T10:00:05Z")
    late = await api.report(returned, "sending", as_of="2026-11-24T10:00:01Z")
    assert late.status_code == 204
    assert await api.return_state(returned) == "held"
    assert len(await api.effects("delivery.too_old")) == 1


async def test_held_goes_on_by_itself_when_the_cause_is_gone(api: Part3Api, returned: str) -> None:
    await api.report(returned, "held", reason="not_authorized")
    await api.report(returned, "sending", as_of="2026-11-24T10:00:09Z")
    assert await api.return_state(returned) == "pending"


async def test_a_held_return_that_its_author_confirms_is_pending_again(
    api: Part3Api, returned: str, house: House
) -> None:
    await api.report(returned, "held", reason="question_changed")
    confirmed = await api.sandbox(f"returns/{returned}/confirm", project_id=PROJECT)
    assert confirmed.status_code == 204
    answer = (await api.call("GET", f"/returns/{returned}")).json()
    assert answer["confirmed_despite"] == ["question_changed"]
    assert answer["state"] == "pending"
    assert events_of(house)[-1]["type"] == "return.confirmed"
    # the very report the author has just overruled, once more
    await api.report(returned, "held", reason="question_changed")
    assert await api.return_state(returned) == "pending"


async def test_only_a_held_return_can_be_confirmed(api: Part3Api, returned: str) -> None:
    refused = await api.sandbox(f"returns/{returned}/confirm", project_id=PROJECT)
    assert refused.status_code == 409


async def test_a_withdrawn_return_stays_withdrawn_unless_it_did_arrive(
    api: Part3Api, returned: str, house: House
) -> None:
    assert (
        await api.sandbox(f"returns/{returned}/withdraw", project_id=PROJECT)
    ).status_code == 204
    assert await api.return_state(returned) == "withdrawn"
    assert events_of(house)[-1]["type"] == "return.withdrawn"
    await api.report(returned, "sending")
    assert await api.return_state(returned) == "withdrawn"
    await api.report(returned, "delivered", as_of="2026-11-24T10:00:09Z", receipt=RECEIPT)
    assert await api.return_state(returned) == "delivered"
    again = await api.sandbox(f"returns/{returned}/withdraw", project_id=PROJECT)
    assert again.status_code == 409


async def test_a_withdrawn_return_that_never_went_stays_withdrawn(
    api: Part3Api, returned: str
) -> None:
    await api.sandbox(f"returns/{returned}/withdraw", project_id=PROJECT)
    assert (await api.report(returned, "failed", reason="withdrawn")).status_code == 204
    assert await api.return_state(returned) == "withdrawn"


async def test_returns_are_listed_oldest_first_in_pages(api: Part3Api) -> None:
    await api.put_record(a_record())
    made = [(await api.make_return())["id"] for _ in range(4)]
    first = (await api.call("GET", "/returns")).json()
    await api.report(made[0], "sending")  # a report moves nothing in the order
    cursor = {"cursor": first["next_cursor"]}
    rest = (await api.call("GET", "/returns", params=cursor)).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made
    assert rest["next_cursor"] is None


async def test_updated_after_lists_returns_whose_state_moved_since(api: Part3Api) -> None:
    await api.put_record(a_record())
    first, second = [(await api.make_return()) for _ in range(2)]
    params = {"updated_after": second["returned_at"]}
    assert (await api.call("GET", "/returns", params=params)).json()["items"] == []
    await api.report(first["id"], "sending")
    page = (await api.call("GET", "/returns", params=params)).json()
    assert [item["id"] for item in page["items"]] == [first["id"]]


@pytest.mark.parametrize("params", [{"state": "sent"}, {"cursor": "x"}, {"updated_after": "x"}])
async def test_a_bad_parameter_of_the_returns_is_a_422(
    api: Part3Api, params: dict[str, str]
) -> None:
    assert (await api.call("GET", "/returns", params=params)).status_code == 422


async def test_a_report_on_no_return_is_a_404_and_a_bad_one_a_422(
    api: Part3Api, returned: str
) -> None:
    assert (await api.report("ret_none", "held")).status_code == 404
    assert (await api.report(returned, "done")).status_code == 422
    assert (await api.report(returned, "held", as_of="10 o'clock")).status_code == 422
