"""The token service's part of a trace: what a worker asks, and the refresh that it causes."""

import pytest

from tests.token_service.conftest import ANNA, Running
from tests.token_service.login_host import LoginHost
from tests.token_service.test_internal_api import bearer
from tests.traces import SENT_SPAN, TRACEPARENT, facts_of, id_of, parent_of, traced, words_of

pytestmark = pytest.mark.postgres


async def test_an_access_token_and_its_refresh_are_in_the_trace_of_who_asks(
    running: Running, login: LoginHost
) -> None:
    await running.grant("anna", ANNA, login, seconds_left=-1)
    with traced() as spans:
        answer = await running.internal.post(
            "/internal/access-tokens",
            json={"user_id": "anna"},
            headers={**bearer(running), "traceparent": TRACEPARENT},
        )
    assert answer.status_code == 200
    handed_out, refresh = spans.one("hand out"), spans.one("refresh")
    assert parent_of(handed_out) == SENT_SPAN
    assert parent_of(refresh) == id_of(handed_out)
    assert facts_of(handed_out) == {"caller": "sync_worker"}
    assert facts_of(refresh) == {"answer": "given"}
    said = words_of([handed_out, refresh])
    for secret in (answer.json()["access_token"], "anna"):
        assert secret not in said
