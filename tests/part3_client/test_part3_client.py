"""Part3 as the workers call it: idempotent, so retried; refusals told from being down."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from schemas.records import File, Record
from schemas.returns import Delivery, Readiness
from services.errors import TryLater
from services.part3.client import Outdated, Part3, Part3Refused
from services.settings import Secret
from tests.procore_client.sides import Side, json_answer

URL = "https://part3.test"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
RECORD = Record(
    kind="rfi",
    procore_id="9",
    number="A-014",
    title="Beam",
    status="open",
    status_label="Open",
    private=False,
    content_version="v1",
)
STORED = msgspec.to_builtins(RECORD) | {
    "id": "r-1",
    "version": "3",
    "updated_at": "2026-11-24T00:00:00Z",
}
RETURN = {
    "id": "ret-1",
    "project_id": "p-1",
    "kind": "rfi",
    "procore_id": "9",
    "author": {
        "user_id": "amy",
        "name": "Amy",
        "email": "a@b.test",
        "company": "Arch",
        "role": "prime_consultant",
    },
    "returned_at": "2026-11-24T00:00:00Z",
    "seen_content_version": "v1",
    "state": "pending",
}


def part3(side: Side) -> Part3:
    return Part3(side.http("Part3"), URL, Secret("part3-token"))


async def test_a_record_is_put_with_the_version_last_seen() -> None:
    side = Side([json_answer(STORED)])
    stored = await part3(side).put_record("p/1", RECORD, if_match="2")
    assert (stored.version, stored.number) == ("3", "A-014")
    request = side.requests[0]
    assert request.method == "PUT"
    assert request.url.raw_path == b"/v1/projects/p%2F1/records/rfi/9"
    assert request.headers["if-match"] == "2"
    assert request.headers["authorization"] == "Bearer part3-token"
    assert msgspec.json.decode(request.content, type=Record) == RECORD


async def test_a_first_put_asks_for_nothing_to_be_replaced() -> None:
    side = Side([json_answer(STORED, 201)])
    await part3(side).put_record("p-1", RECORD)
    assert "if-match" not in side.requests[0].headers
    assert side.requests[0].headers["if-none-match"] == "*"


async def test_a_newer_version_at_part3_is_said_at_once() -> None:
    side = Side([json_answer({"title": "newer"}, 412)])
    with pytest.raises(Outdated):
        await part3(side).put_record("p-1", RECORD, if_match="1")
    assert len(side.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        json_answer({}, 500),
        json_answer({}, 503),
        json_answer({}, 429),
        httpx2.ConnectError("no"),
        httpx2.ReadTimeout("late"),
    ],
)
async def test_a_write_is_tried_again_as_every_one_is_idempotent(fault: Any) -> None:
    side = Side([fault, json_answer(STORED)])
    assert (await part3(side).put_record("p-1", RECORD)).id == "r-1"
    assert len(side.requests) == 2


async def test_part3_being_down_ends_in_later_and_not_in_a_loop() -> None:
    side = Side([json_answer({}, 503)])
    with pytest.raises(TryLater) as caught:
        await part3(side).record("p-1", "rfi", "9")
    assert caught.value.reason == "part3_down"
    assert len(side.requests) == 3


async def test_a_refused_token_of_ours_is_told_and_waits() -> None:
    with pytest.raises(TryLater, match="PART3_API_TOKEN"):
        await part3(Side([json_answer({}, 401)])).record("p-1", "rfi", "9")


async def test_a_refusal_carries_part3s_words_and_is_not_repeated() -> None:
    side = Side([json_answer({"title": "bad", "detail": "file abc is not stored"}, 422)])
    with pytest.raises(Part3Refused, match="file abc is not stored"):
        await part3(side).put_record("p-1", RECORD)
    assert len(side.requests) == 1


async def test_reads_of_what_is_not_there_give_none() -> None:
    side = Side([json_answer({"title": "no"}, 404)])
    api = part3(side)
    assert await api.project("p-1") is None
    assert await api.record("p-1", "rfi", "9") is None
    assert await api.fetch_return("p-1", "ret-1") is None
    assert await api.has_file("p-1", "ab") is False
    assert await api.pending_returns("p-1") == ()


async def test_a_write_to_something_that_is_not_there_is_refused_not_taken_for_done(
    tmp_path: Path,
) -> None:
    api = part3(Side([json_answer({"title": "no such project"}, 404)]))
    path = tmp_path / "f"
    path.write_bytes(b"x")
    file = File(sha256=hashlib.sha256(b"x").hexdigest(), name="f", content_type="x/y", size=1)
    delivery = Delivery(state="sending", as_of=NOW)
    readiness = Readiness(returnable=False, as_of=NOW)
    with pytest.raises(Part3Refused):
        await api.put_record("p-1", RECORD)
    with pytest.raises(Part3Refused):
        await api.put_records("p-1", [RECORD])
    with pytest.raises(Part3Refused):
        await api.put_file("p-1", path, file)
    with pytest.raises(Part3Refused):
        await api.report("p-1", "ret-1", delivery)
    with pytest.raises(Part3Refused):
        await api.put_readiness("p-1", "rfi", "9", readiness)


async def test_in_a_batch_each_record_succeeds_or_fails_alone() -> None:
    refused = {"title": "bad", "status": 422, "detail": "no title", "procore_id": "10"}
    side = Side([json_answer({"results": [STORED, refused]})])
    results = await part3(side).put_records("p-1", [RECORD, RECORD])
    assert [one if isinstance(one, str) else one.version for one in results] == ["3", "no title"]
    assert side.requests[0].url.raw_path == b"/v1/projects/p-1/records:batch"


@pytest.mark.parametrize(
    "body",
    [
        {"results": []},
        {"results": [{"content_version": "v", "version": 5}]},
        {"results": None},
        [],
        "x",
    ],
)
async def test_a_batch_answered_against_the_contract_is_tried_later(body: Any) -> None:
    with pytest.raises(TryLater):
        await part3(Side([json_answer(body)])).put_records("p-1", [RECORD])


async def test_pending_returns_come_from_every_page() -> None:
    pages = [
        json_answer({"items": [RETURN], "next_cursor": "c2"}),
        json_answer({"items": [RETURN | {"id": "ret-2"}], "next_cursor": None}),
    ]
    side = Side(pages)
    found = await part3(side).pending_returns("p-1")
    assert [one.id for one in found] == ["ret-1", "ret-2"]
    assert [one.url.params.get("cursor") for one in side.requests] == [None, "c2"]
    assert {one.url.params["state"] for one in side.requests} == {"pending"}


@pytest.mark.parametrize("items", [[{"id": 5}], "text", [None]])
async def test_a_list_against_the_contract_is_tried_later(items: Any) -> None:
    answer = json_answer({"items": items, "next_cursor": None})
    with pytest.raises(TryLater):
        await part3(Side([answer])).pending_returns("p-1")
    with pytest.raises(TryLater):
        await part3(Side([answer])).records("p-1")


async def test_what_part3_adds_to_its_answers_later_is_no_harm() -> None:
    side = Side([json_answer(STORED | {"new_field": {"a": 1}})])
    found = await part3(side).record("p-1", "rfi", "9")
    assert found is not None
    assert found.version == "3"


async def test_a_file_is_stored_under_its_hash_with_its_name_encoded(tmp_path: Path) -> None:
    body = b"drawing" * 100_000
    path = tmp_path / "f"
    path.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    side = Side([json_answer({}, 503), httpx2.Response(201)])
    file = File(sha256=digest, name="Étage\r\n2.pdf", content_type="application/pdf", size=700_000)
    await part3(side).put_file("p-1", path, file)
    request = side.requests[1]
    assert request.url.path == f"/v1/projects/p-1/files/{digest}"
    assert request.headers["x-file-name"] == "%C3%89tage%0D%0A2.pdf"
    assert request.headers["content-length"] == "700000"
    assert request.content == body


async def test_a_file_is_fetched_and_its_hash_is_believed_only_when_it_fits(tmp_path: Path) -> None:
    body = b"stamp" * 1000
    digest = hashlib.sha256(body).hexdigest()
    side = Side([httpx2.Response(200, content=body)])
    assert await part3(side).fetch_file("p-1", digest, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == body
    with pytest.raises(TryLater, match="another hash"):
        await part3(side).fetch_file("p-1", "0" * 64, tmp_path / "g")


async def test_a_file_part3_does_not_have_is_said_to_be_missing(tmp_path: Path) -> None:
    api = part3(Side([httpx2.Response(404)]))
    assert not await api.fetch_file("p-1", "0" * 64, tmp_path / "f")


@pytest.mark.parametrize("fault", [httpx2.Response(500), httpx2.ReadError("cut")])
async def test_a_file_that_does_not_come_is_fetched_later(fault: Any, tmp_path: Path) -> None:
    with pytest.raises(TryLater):
        await part3(Side([fault])).fetch_file("p-1", "0" * 64, tmp_path / "f")


async def test_where_a_return_stands_is_reported_in_full() -> None:
    side = Side([httpx2.Response(204)])
    report = Delivery(state="held", as_of=NOW, reason="not_authorized", message="Amy authorizes.")
    await part3(side).report("p-1", "ret-1", report)
    request = side.requests[0]
    assert request.url.path == "/v1/projects/p-1/returns/ret-1/delivery"
    assert msgspec.json.decode(request.content) == {
        "state": "held",
        "as_of": "2026-11-24T00:00:00Z",
        "reason": "not_authorized",
        "message": "Amy authorizes.",
        "mended_by": None,
        "receipt": None,
    }


async def test_our_token_is_in_no_refusal() -> None:
    with pytest.raises(Part3Refused) as caught:
        await part3(Side([json_answer({"detail": "no"}, 400)])).put_record("p-1", RECORD)
    assert "part3-token" not in repr(caught.value)
