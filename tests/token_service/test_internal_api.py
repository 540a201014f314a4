import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from services.health import Health
from services.service_tokens import issue_launch_token, issue_service_token
from tests.token_service.conftest import ANNA, BEN, Running, ring
from tests.token_service.connecting import order
from tests.token_service.login_host import LoginHost
from token_service.internal.api import internal_app
from token_service.internal.callers import Callers
from token_service.internal.rates import MOST, WINDOW_S, HandOutRates

pytestmark = pytest.mark.postgres
CALLS = [
    ("POST", "/internal/access-tokens"),
    ("POST", "/internal/revocations"),
    ("GET", "/internal/connections"),
    ("GET", "/internal/connections/p-1"),
    ("GET", "/internal/connections/p-1/dispositions"),
    ("POST", "/internal/connections/p-1/hook"),
]


def bearer(running: Running, issuer: str = "sync_worker") -> dict[str, str]:
    token = issue_service_token(running.settings.internal_keys, issuer)
    return {"authorization": f"Bearer {token}"}


async def call(
    running: Running, method: str, path: str, json: Any = None, **params: str
) -> httpx2.Response:
    return await running.internal.request(
        method, path, json=json, params=params, headers=bearer(running)
    )


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_nobody_unknown_is_answered(running: Running, method: str, path: str) -> None:
    keys = running.settings.internal_keys
    good = issue_service_token(keys, "sync_worker")
    bad = {
        "none": {},
        "basic": {"authorization": f"Basic {good}"},
        "bare": {"authorization": good},
        "foreign key": {"authorization": f"Bearer {issue_service_token(ring('i1'), 'operator')}"},
        "caller": {"authorization": f"Bearer {issue_service_token(keys, 'gateway')}"},
        "old": {
            "authorization": f"Bearer {issue_service_token(keys, 'operator', now=lambda: 1e9)}"
        },
        "long": {"authorization": f"Bearer {issue_service_token(keys, 'operator', lasts_s=301)}"},
        "launch": {"authorization": f"Bearer {issue_launch_token(keys, 'u', 'n', 'e', 'j')}"},
        "cookie": {"cookie": f"connector_session={good}"},
    }
    for what, headers in bad.items():
        answer = await running.internal.request(
            method, path, json={"user_id": "a"}, headers=headers
        )
        assert answer.status_code == 401, what
        assert answer.json()["code"] == "unauthorized"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("issuer", ["sync_worker", "operator"])
async def test_an_access_token_is_handed_out(
    running: Running, login: LoginHost, issuer: str
) -> None:
    pair = await running.grant("anna", ANNA, login)
    answer = await running.internal.post(
        "/internal/access-tokens", json={"user_id": "anna"}, headers=bearer(running, issuer)
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"access_token", "expires_at", "procore_user_id"}
    assert answer.json()["access_token"] == pair.access_token.reveal()
    assert answer.json()["procore_user_id"] == "501"
    assert answer.json()["expires_at"].endswith("Z")
    actor = await running.database.fetchval(
        "SELECT actor FROM authority.audit WHERE event = 'token.handed_out'"
    )
    assert actor == issuer


async def test_b71_operators_with_a_key_of_their_own_get_no_access_token(
    running: Running, login: LoginHost
) -> None:
    await running.grant("anna", ANNA, login)
    keys = ring("sync_worker.1", "operator.1")
    callers = Callers(keys)
    app = internal_app(replace(running.services.internal, callers=callers), Health({}))
    answers = {}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://internal"
    ) as internal:
        for issuer in ("sync_worker", "operator"):
            answers[issuer] = await internal.post(
                "/internal/access-tokens",
                json={"user_id": "anna"},
                headers={"authorization": f"Bearer {issue_service_token(keys, issuer)}"},
            )
    assert answers["sync_worker"].status_code == 200
    assert answers["operator"].status_code == 403
    assert answers["operator"].json()["code"] == "not_for_this_caller"
    lines = await running.database.fetch("SELECT event, actor, user_id FROM authority.audit")
    assert ("token.refused", "operator", "anna") in [tuple(line) for line in lines]


async def test_d25_a_token_that_is_asked_for_too_often_is_told_once_a_minute_and_still_given(
    running: Running, login: LoginHost
) -> None:
    told: list[str] = []
    passed_s = 0.0
    rates = HandOutRates(lambda: told.append("!"), monotonic=lambda: passed_s)
    await running.grant("anna", ANNA, login)
    await running.grant("ben", BEN, login)
    app = internal_app(replace(running.services.internal, rates=rates), Health({}))

    async def ask(user_id: str, times: int) -> None:
        for _ in range(times):
            answer = await internal.post(
                "/internal/access-tokens", json={"user_id": user_id}, headers=bearer(running)
            )
            assert answer.status_code == 200

    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://internal"
    ) as internal:
        await ask("anna", MOST)
        await ask("ben", 2)
        assert told == []
        await ask("anna", 5)
        assert told == ["!"]
        passed_s = WINDOW_S
        await ask("anna", MOST)
        assert told == ["!"]
        await ask("anna", 1)
        assert told == ["!", "!"]


async def test_a_rejected_token_is_replaced(running: Running, login: LoginHost) -> None:
    pair = await running.grant("anna", ANNA, login)
    rejected = hashlib.sha256(pair.access_token.reveal().encode()).hexdigest()
    asked = {"user_id": "anna", "rejected": rejected.upper()}
    answer = await call(running, "POST", "/internal/access-tokens", asked)
    assert answer.json()["access_token"] != pair.access_token.reveal()
    assert login.redemptions == 1


async def test_who_has_not_authorized_and_who_has_to_again(
    running: Running, login: LoginHost
) -> None:
    answer = await call(running, "POST", "/internal/access-tokens", {"user_id": "nobody"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_authorized")
    await running.grant("anna", ANNA, login, seconds_left=-1)
    login.refresh_tokens.clear()
    answer = await call(running, "POST", "/internal/access-tokens", {"user_id": "anna"})
    assert (answer.status_code, answer.json()["code"]) == (409, "needs_reauthorization")
    assert answer.json()["detail"]


async def test_procore_away_is_503_with_a_time(running: Running, login: LoginHost) -> None:
    await running.grant("anna", ANNA, login, seconds_left=-1)
    login.statuses = [(503, b"", {"retry-after": "42"})]
    answer = await call(running, "POST", "/internal/access-tokens", {"user_id": "anna"})
    assert (answer.status_code, answer.json()["code"]) == (503, "procore_down")
    assert 1 <= int(answer.headers["retry-after"]) <= 43


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b'{"user_id": 7}', b'{"user_id": ""}', b"\xff", b"[" * 4_000,
        b'{"user_id": "a\\u0000b"}', b'{"user_id": "' + b"x" * 300 + b'"}',
        b'{"user_id": ["a","b"]}',
    ],
)  # fmt: skip
async def test_a_malformed_request_is_400(running: Running, body: bytes) -> None:
    answer = await running.internal.post(
        "/internal/access-tokens", content=body, headers=bearer(running)
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed"


async def test_a_long_request_is_413(running: Running) -> None:
    answer = await running.internal.post(
        "/internal/access-tokens", content=b" " * 10_000, headers=bearer(running)
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("wildcard", ["%", "_nna", "*", "anna' OR '1'='1", "anna\\"])
async def test_wildcards_are_plain_text(running: Running, login: LoginHost, wildcard: str) -> None:
    await running.grant("anna", ANNA, login)
    answer = await call(running, "POST", "/internal/access-tokens", {"user_id": wildcard})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/internal/access-tokens"),
        ("GET", "/internal/grants"),
        ("GET", "/internal/refresh-tokens"),
        ("POST", "/internal/refresh-tokens"),
        ("GET", "/account/integrations"),
        ("GET", "/launch"),
    ],
)
async def test_there_is_no_way_to_ask_for_more(running: Running, method: str, path: str) -> None:
    assert (await call(running, method, path)).status_code in (404, 405)


async def test_the_public_port_has_no_internal_api(running: Running) -> None:
    for method, path in CALLS:
        answer = await running.public.request(method, path, headers=bearer(running))
        assert answer.status_code == 404


async def test_one_callers_flood_is_held_back(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = running.services.internal.callers
    monkeypatch.setattr(callers, "_monotonic", lambda: 1_000.0)
    assert all(callers.may_ask("sync_worker") for _ in range(2_000))
    held_back = await call(running, "POST", "/internal/access-tokens", {"user_id": "anna"})
    assert (held_back.status_code, held_back.json()["code"]) == (429, "rate_limited")
    other = await running.internal.get("/internal/connections", headers=bearer(running, "operator"))
    assert other.status_code == 200
    monkeypatch.setattr(callers, "_monotonic", lambda: 1_001.0)
    assert (await call(running, "GET", "/internal/connections")).status_code == 200


async def test_connections_are_told_as_agreed(running: Running, login: LoginHost) -> None:
    assert (await call(running, "GET", "/internal/connections/p-1")).status_code == 404
    await running.grant("anna", ANNA, login)
    await running.services.connections.create(order("p-1"))
    answer = (await call(running, "GET", "/internal/connections/p-1")).json()
    updated_at = answer.pop("updated_at")
    assert updated_at.endswith("Z")
    assert answer["connected_at"] <= updated_at
    assert answer | {"options": None, "connected_at": None} == {
        "options": None,  # beside what is agreed, and told always
        "connected_at": None,
        "project_id": "p-1",
        "state": "active",
        "procore_company_id": "11",
        "procore_project_id": "9007199254740993",
        "owner_user_id": "anna",
    }
    listed = (await call(running, "GET", "/internal/connections")).json()
    assert listed == {"items": [answer | {"updated_at": updated_at}], "next_cursor": None}
    later = await call(running, "GET", "/internal/connections", updated_after=updated_at)
    assert later.json()["items"] == []


@pytest.mark.parametrize(
    "params", [{"cursor": "x"}, {"cursor": "-1"}, {"cursor": "9" * 30}, {"updated_after": "soon"}]
)
async def test_a_cursor_or_time_of_nobodys_is_400(running: Running, params: dict[str, str]) -> None:
    answer = await call(running, "GET", "/internal/connections", None, **params)
    assert answer.status_code == 400


async def test_a_plus_sign_that_nobody_escaped_still_reads_as_a_time(running: Running) -> None:
    answer = await running.internal.get(
        "/internal/connections?updated_after=2026-11-24T10:00:00+00:00", headers=bearer(running)
    )
    assert answer.status_code == 200


async def test_the_hook_is_compared_and_mended(running: Running, login: LoginHost) -> None:
    answer = await call(running, "POST", "/internal/connections/p-1/hook")
    assert answer.status_code == 404
    await running.grant("anna", ANNA, login)
    await running.services.connections.create(order("p-1"))
    answer = await call(running, "POST", "/internal/connections/p-1/hook")
    assert (answer.status_code, answer.json()["state"]) == (200, "ok")
    await running.services.desk.ports.grants.revoke("anna")
    answer = await call(running, "POST", "/internal/connections/p-1/hook")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_authorized")


async def test_no_answer_holds_a_refresh_token(running: Running, login: LoginHost) -> None:
    await running.grant("anna", ANNA, login, seconds_left=-1)
    await running.services.connections.create(order("p-1"))
    texts = [
        (await call(running, method, path, {"user_id": "anna"})).text for method, path in CALLS
    ]
    assert login.redemptions == 1
    refresh_tokens = [token for token in login.issued if token.startswith("refresh-")]
    assert refresh_tokens
    assert not any(token in text for token in refresh_tokens for text in texts)


async def test_health_is_answered_on_both_ports(running: Running) -> None:
    for client in (running.public, running.internal):
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["checks"]["postgres"]["ok"]


async def test_many_hand_outs_at_once(running: Running, login: LoginHost) -> None:
    await running.grant("anna", ANNA, login)
    answers = await asyncio.gather(
        *(call(running, "POST", "/internal/access-tokens", {"user_id": "anna"}) for _ in range(200))
    )
    assert {answer.status_code for answer in answers} == {200}
