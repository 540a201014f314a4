"""Access tokens and connections as the workers get them from the token service."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest

from services.errors import NeedsPerson, TryLater
from services.procore.errors import GrantRefused
from services.token_client import TokenClient, all_connections
from tests.procore_client.sides import AMY, Side, json_answer

ONE = "https://tokens-1.test"
TWO = "https://tokens-2.test"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float) -> str:
        return (datetime.fromtimestamp(self.now, UTC) + timedelta(seconds=seconds)).isoformat()


def client(side: Side, clock: Clock, urls: tuple[str, ...] = (ONE,)) -> TokenClient:
    return TokenClient(side.http("the token service"), urls, lambda: "Bearer jwt", now=clock)


def token(clock: Clock, word: str = "secret-1", seconds: float = 5_400) -> httpx2.Response:
    return json_answer(
        {"access_token": word, "expires_at": clock.after(seconds), "procore_user_id": "9001"}
    )


def problem(status: int, code: str) -> httpx2.Response:
    return json_answer({"title": "no", "status": status, "code": code}, status)


async def test_a_token_is_asked_for_once_and_then_remembered() -> None:
    clock = Clock()
    side = Side([token(clock)])
    tokens = client(side, clock)
    first = await tokens.access_token(AMY)
    assert (first.access_token, await tokens.procore_user_id(AMY)) == ("secret-1", "9001")
    assert len(side.requests) == 1
    request = side.requests[0]
    assert str(request.url) == f"{ONE}/internal/access-tokens"
    assert request.headers["authorization"] == "Bearer jwt"
    assert msgspec.json.decode(request.content) == {"user_id": AMY}


@pytest.mark.parametrize("lifetime_s", [5_400, 900, 60])
async def test_a_remembered_token_is_given_up_before_it_expires(lifetime_s: float) -> None:
    clock = Clock()
    side = Side([token(clock, seconds=lifetime_s), token(clock, "secret-2", seconds=9_000)])
    tokens = client(side, clock)
    assert (await tokens.access_token(AMY)).access_token == "secret-1"
    clock.now += lifetime_s - 30
    assert (await tokens.access_token(AMY)).access_token == "secret-2"


async def test_one_persons_token_is_never_anothers() -> None:
    clock = Clock()
    side = Side([token(clock, "amys"), token(clock, "toms")])
    tokens = client(side, clock)
    assert (await tokens.access_token(AMY)).access_token == "amys"
    assert (await tokens.access_token("user-tom")).access_token == "toms"


async def test_a_refused_token_is_named_by_its_hash_only() -> None:
    clock = Clock()
    side = Side([token(clock), token(clock, "secret-2")])
    tokens = client(side, clock)
    refused = await tokens.access_token(AMY)
    assert (await tokens.replacement_for(AMY, refused)).access_token == "secret-2"
    sent = msgspec.json.decode(side.requests[1].content)
    assert sent == {"user_id": AMY, "rejected": hashlib.sha256(b"secret-1").hexdigest()}
    assert b"secret-1" not in side.requests[1].content
    assert (await tokens.access_token(AMY)).access_token == "secret-2"
    assert len(side.requests) == 2


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_authorized"), (409, "needs_reauthorization")]
)
async def test_a_person_without_a_grant_is_needed(status: int, code: str) -> None:
    with pytest.raises(GrantRefused) as caught:
        await client(Side([problem(status, code)]), Clock()).access_token(AMY)
    assert (caught.value.reason, caught.value.user_id) == (code, AMY)
    assert isinstance(caught.value, NeedsPerson)


async def test_who_authorized_since_is_asked_about_again() -> None:
    clock = Clock()
    side = Side([problem(404, "not_authorized"), token(clock)])
    tokens = client(side, clock)
    with pytest.raises(GrantRefused):
        await tokens.access_token(AMY)
    assert (await tokens.access_token(AMY)).access_token == "secret-1"


@pytest.mark.parametrize(
    "fault", [httpx2.ConnectError("no"), httpx2.ReadTimeout("late"), json_answer({}, 503)]
)
async def test_the_next_replica_is_asked_when_one_fails(fault: Any) -> None:
    clock = Clock()
    side = Side([fault, token(clock)])
    got = await client(side, clock, (ONE, TWO)).access_token(AMY)
    assert got.access_token == "secret-1"
    assert [one.url.host for one in side.requests] == ["tokens-1.test", "tokens-2.test"]


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({}, 500),
        json_answer({}, 401),
        json_answer({"access_token": 5}),
        httpx2.Response(200, content=b"<html>"),
        httpx2.ConnectError("no"),
    ],
)
async def test_a_token_service_without_a_usable_answer_is_asked_later(answer: Any) -> None:
    with pytest.raises(TryLater) as caught:
        await client(Side([answer]), Clock(), (ONE, TWO)).access_token(AMY)
    assert caught.value.reason == "token_service_down"


@pytest.mark.parametrize(
    ("code", "reason"),
    [("procore_down", "procore_down"), ("postgres_down", "token_service_down")],
)
async def test_who_is_waited_for_is_who_the_token_service_waits_for(code: str, reason: str) -> None:
    answers = [problem(503, code), problem(503, code)]
    with pytest.raises(TryLater) as caught:
        await client(Side(answers), Clock(), (ONE, TWO)).access_token(AMY)
    assert caught.value.reason == reason


async def test_a_token_is_in_no_text_of_ours() -> None:
    clock = Clock()
    tokens = client(Side([token(clock, "hush-hush")]), clock)
    got = await tokens.access_token(AMY)
    assert "hush-hush" not in f"{got!r} {got} {tokens!r} {vars(tokens)}"


CONNECTION = {
    "project_id": "p/1",
    "state": "active",
    "procore_company_id": "77",
    "procore_project_id": "501",
    "owner_user_id": AMY,
    "updated_at": "2026-11-24T00:00:00Z",
}


async def test_a_connection_is_read_by_its_quoted_project() -> None:
    side = Side([json_answer(CONNECTION)])
    found = await client(side, Clock()).connection("p/1")
    assert found is not None
    assert (found.procore_project_id, found.state) == ("501", "active")
    assert side.requests[0].url.raw_path == b"/internal/connections/p%2F1"


async def test_a_project_never_connected_has_no_connection() -> None:
    assert await client(Side([json_answer({}, 404)]), Clock()).connection("p-2") is None


async def test_dispositions_are_read_by_the_quoted_project() -> None:
    said = {"user_id": "u-1", "name": "Gina", "at": "2026-11-24T00:00:00Z"}
    proposal = {
        "id": "7",
        "disposition": "not_reviewed",
        "response": {"id": "5", "name": "For Record Only", "considered": "for record only"},
        "proposed_by": "Gina",
        "proposed_at": "2026-11-24T00:00:00Z",
        "general_contractor": said,
    }
    agreed = {"project_id": "p/1", "procore_project_id": "501", "proposals": [proposal]}
    side = Side([json_answer(agreed)])
    found = await client(side, Clock()).dispositions("p/1")
    assert found is not None
    assert found.proposals[0].general_contractor is not None
    assert found.proposals[0].prime_consultant is None
    assert side.requests[0].url.raw_path == b"/internal/connections/p%2F1/dispositions"


async def test_a_project_without_a_connection_has_no_dispositions() -> None:
    assert await client(Side([json_answer({}, 404)]), Clock()).dispositions("p-2") is None


async def test_connections_are_listed_by_page() -> None:
    side = Side([json_answer({"items": [CONNECTION], "next_cursor": "c2"})])
    since = datetime(2026, 11, 23, tzinfo=UTC)
    page = await client(side, Clock()).connections(updated_after=since, cursor="c1")
    assert ([one.project_id for one in page.items], page.next_cursor) == (["p/1"], "c2")
    params = side.requests[0].url.params
    assert (params["updated_after"], params["cursor"]) == ("2026-11-23T00:00:00+00:00", "c1")


async def test_all_connections_are_those_of_every_page() -> None:
    second = CONNECTION | {"project_id": "p/2", "state": "disconnected"}
    pages = [{"items": [CONNECTION], "next_cursor": "c2"}, {"items": [second]}]
    side = Side([json_answer(page) for page in pages])
    since = datetime(2026, 11, 23, tzinfo=UTC)
    listed = all_connections(client(side, Clock()), updated_after=since)
    assert [one.project_id async for one in listed] == ["p/1", "p/2"]
    asked = [dict(request.url.params) for request in side.requests]
    first = {"updated_after": "2026-11-23T00:00:00+00:00"}
    assert asked == [first, first | {"cursor": "c2"}]


async def test_what_came_before_a_page_that_did_not_is_given() -> None:
    side = Side([json_answer({"items": [CONNECTION], "next_cursor": "c2"}), problem(503, "away")])
    listed = all_connections(client(side, Clock()))
    assert (await anext(listed)).project_id == "p/1"
    with pytest.raises(TryLater):
        await anext(listed)


async def test_a_hook_is_ensured_by_project() -> None:
    side = Side([json_answer({"state": "repaired"})])
    assert await client(side, Clock()).ensure_hook("p-1") == "repaired"
    assert (side.requests[0].method, side.requests[0].url.path) == (
        "POST",
        "/internal/connections/p-1/hook",
    )


@pytest.mark.parametrize("code", ["needs_reauthorization", "not_permitted", "hook_refused"])
async def test_a_hook_that_only_a_person_can_mend_says_so_in_the_services_own_words(
    code: str,
) -> None:
    body = {"title": "no", "status": 409, "code": code, "detail": "ask an administrator"}
    with pytest.raises(NeedsPerson, match="ask an administrator") as refused:
        await client(Side([json_answer(body, 409)]), Clock()).ensure_hook("p-1")
    assert refused.value.reason == code


async def test_a_service_that_cannot_answer_now_says_who_is_away() -> None:
    body = {"title": "no", "status": 503, "code": "procore_down", "detail": "Procore answered 502"}
    with pytest.raises(TryLater, match=r"status 503: Procore answered 502"):
        await client(Side([json_answer(body, 503)]), Clock()).ensure_hook("p-1")
