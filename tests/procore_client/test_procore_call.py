"""What an answer of Procore's means to us, for reads and for writes."""

from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ConnectorError, NeedsPerson, OutcomeUnknown, TryLater
from services.http_client import Answer
from services.procore.call import json_of
from services.procore.errors import (
    AppNotInstalled,
    GrantRefused,
    NotAllowed,
    NotVisible,
    Refused,
    words_of,
)
from services.procore.pacer import Priority
from tests.procore_client.sides import AMY, API, PLACE, GivenTokens, Side, caller_to, json_answer

PATH = "/rest/v1.0/projects/501/rfis/1"


async def read(side: Side, tokens: GivenTokens | None = None) -> Answer:
    caller = caller_to(side, tokens)
    return await caller.read(PLACE, PATH, whose=AMY, priority=Priority.LOOK)


async def write(side: Side, tokens: GivenTokens | None = None, **more: Any) -> Answer:
    caller = caller_to(side, tokens)
    return await caller.write("POST", PLACE, PATH, whose=AMY, json={"reply": {}}, **more)


async def test_every_call_names_the_company_and_carries_the_persons_token() -> None:
    side = Side([json_answer({})])
    await read(side)
    request = side.requests[0]
    assert str(request.url) == API + PATH
    assert request.headers["procore-company-id"] == "77"
    assert request.headers["authorization"] == "Bearer first"


async def test_after_a_401_another_token_is_asked_for_once() -> None:
    side = Side([json_answer({}, 401), json_answer({"id": 1})])
    tokens = GivenTokens()
    assert (await read(side, tokens)).status == 200
    assert tokens.rejected == ["first"]
    assert [one.headers["authorization"] for one in side.requests] == [
        "Bearer first",
        "Bearer second",
    ]


async def test_a_second_401_is_given_up_until_later() -> None:
    side = Side([json_answer({"error": "invalid"}, 401)])
    tokens = GivenTokens()
    with pytest.raises(TryLater):
        await write(side, tokens)
    assert tokens.rejected == ["first"]
    assert len(side.requests) == 2


async def test_a_write_is_armed_before_each_of_its_sends() -> None:
    events: list[str] = []

    async def arm() -> None:
        events.append("armed")

    def sent(status: int) -> Any:
        def answer(request: httpx2.Request) -> httpx2.Response:
            events.append(f"sent with {request.headers['authorization']}")
            return json_answer({"id": 1}, status)

        return answer

    assert (await write(Side([sent(401), sent(201)]), before_sending=arm)).status == 201
    assert events == ["armed", "sent with Bearer first", "armed", "sent with Bearer second"]


async def test_what_stops_the_arming_stops_the_write() -> None:
    async def arm() -> None:
        raise TryLater("no lease", reason="busy")

    side = Side([json_answer({"id": 1}, 201)])
    with pytest.raises(TryLater, match="no lease"):
        await write(side, before_sending=arm)
    assert side.requests == []


async def test_a_person_without_a_grant_causes_no_call() -> None:
    class NoTokens(GivenTokens):
        async def access_token(self, user_id: str) -> Any:
            raise GrantRefused(user_id, reason="not_authorized")

    side = Side([json_answer({})])
    with pytest.raises(GrantRefused, match="Account Settings"):
        await read(side, NoTokens())
    assert side.requests == []


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"errors": {"assignees": ["required"]}}, Refused),
        (403, {"errors": "No permission"}, NotAllowed),
        (403, {"errors": ["App is not connected to this company."]}, AppNotInstalled),
        (404, {"message": "Not found"}, NotVisible),
        (409, {"errors": ["exists"]}, Refused),
        (410, {}, Refused),
        (422, {"errors": ["is too long"]}, Refused),
        (429, {}, TryLater),
    ],
)
async def test_a_refused_write_surely_had_no_effect(
    status: int, body: Any, error: type[ConnectorError]
) -> None:
    side = Side([json_answer(body, status)])
    with pytest.raises(error) as caught:
        await write(side)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert len(side.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({}, 500),
        json_answer({}, 502),
        json_answer({}, 503, {"retry-after": "3"}),
        json_answer({}, 504),
        json_answer({}, 408),
        httpx2.Response(302, headers={"location": "https://elsewhere.test/"}),
        httpx2.ReadTimeout("late"),
        httpx2.WriteError("cut"),
        httpx2.RemoteProtocolError("half an answer"),
    ],
)
async def test_a_write_whose_effect_cannot_be_told_is_sent_once_and_says_so(answer: Any) -> None:
    side = Side([answer])
    with pytest.raises(OutcomeUnknown):
        await write(side)
    assert len(side.requests) == 1


@pytest.mark.parametrize("fault", [httpx2.ConnectError("no"), httpx2.ConnectTimeout("late")])
async def test_a_write_that_never_left_may_go_again(fault: Exception) -> None:
    with pytest.raises(TryLater) as caught:
        await write(Side([fault]))
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_read_is_tried_again_when_procore_stumbles() -> None:
    side = Side([json_answer({}, 502), httpx2.ReadTimeout("late"), json_answer({"id": 1})])
    assert (await read(side)).status == 200
    assert len(side.requests) == 3


async def test_a_read_gives_up_after_a_few_tries() -> None:
    side = Side([json_answer({}, 500)])
    with pytest.raises(TryLater) as caught:
        await read(side)
    assert caught.value.reason == "procore_down"
    assert len(side.requests) == 3


async def test_a_503_that_names_a_time_is_not_hammered() -> None:
    side = Side([json_answer({}, 503, {"retry-after": "30"})])
    with pytest.raises(TryLater) as caught:
        await read(side)
    assert caught.value.not_before is not None
    assert len(side.requests) == 1


async def test_after_a_429_nothing_is_sent_until_its_reset() -> None:
    side = Side([json_answer({}, 429, {"retry-after": "60"})])
    caller = caller_to(side)
    for _ in range(3):
        with pytest.raises(TryLater) as caught:
            await caller.read(PLACE, PATH, whose=AMY, priority=Priority.RETURN)
        assert caught.value.reason == "rate_limited"
    assert len(side.requests) == 1


async def test_one_grants_429_does_not_stop_another_grant() -> None:
    side = Side([json_answer({}, 429, {"retry-after": "60"}), json_answer({})])
    caller = caller_to(side)
    with pytest.raises(TryLater):
        await caller.read(PLACE, PATH, whose=AMY, priority=Priority.LOOK)
    assert (await caller.read(PLACE, PATH, whose="tom", priority=Priority.LOOK)).status == 200


async def test_the_app_taken_out_of_a_company_is_told_from_a_missing_permission() -> None:
    side = Side([json_answer({"errors": ["App is not connected to this company."]}, 403)])
    with pytest.raises(NeedsPerson) as caught:
        await read(side)
    assert caught.value.reason == "app_not_installed"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors":["a","b"]}', "a; b"),
        (b'{"errors":{"number":["is taken"]}}', "number: is taken"),
        (b'{"errors":"plain"}', "plain"),
        (b'{"message":"gone"}', "gone"),
        (b'{"error":{"code":"X","message":"why"}}', "why"),
        (b'{"code":401,"message":"dead","fields":null,"reason":"r","error":"e"}', "dead"),
        (
            b'{"error":{"code":"BAD_REQUEST","message":"m","details":[{"reason_code":"q"}]}}',
            "m",
        ),
        (b'{"error":"invalid_grant","error_description":"spent"}', "spent"),
    ],
)
def test_the_words_of_every_documented_error_shape_are_found(body: bytes, words: str) -> None:
    assert words_of(body, "application/json") == words


def test_a_gateways_page_is_called_a_page() -> None:
    assert words_of(b"<html><script>", "text/html; charset=utf-8") == "an HTML error page"


@given(st.binary(max_size=300), st.text(max_size=20))
def test_reading_an_error_never_raises(body: bytes, content_type: str) -> None:
    assert 0 < len(words_of(body, content_type)) <= 400


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "errors", "message", "error_description", "reason", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_reading_any_json_error_never_raises(value: Any) -> None:
    assert words_of(httpx2.Response(400, json=value).content, "application/json")


def test_deep_json_is_an_error_without_words_and_no_crash() -> None:
    assert words_of(b"[" * 5_000 + b"]" * 5_000, "application/json")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":', b"[" * 5_000 + b"]" * 5_000, b"\xff"])
def test_a_good_status_with_something_else_than_json_is_tried_later(body: bytes) -> None:
    with pytest.raises(TryLater, match="not JSON"):
        json_of(Answer(200, httpx2.Headers(), body))


def test_a_lone_surrogate_in_one_text_does_not_make_a_whole_page_unreadable() -> None:
    found = json_of(Answer(200, httpx2.Headers(), rb'[{"id":1,"title":"cut \ud83d here"}]'))
    assert found[0]["id"] == 1
    found[0]["title"].encode()
