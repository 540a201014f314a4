"""Canaries: nothing that opens something shows in a log line, an answer or the database."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from tests.logged import logged_by
from tests.token_service.browser import ACCOUNT, Browser
from tests.token_service.conftest import ANNA, BEN, Part3Host, Running
from tests.token_service.connecting import order
from tests.token_service.login_host import CLIENT_SECRET, LoginHost
from tests.token_service.procore_api_host import ProcoreHost
from tests.token_service.test_internal_api import bearer, call
from token_service.grants.store import GrantStore

pytestmark = pytest.mark.postgres


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """Everything that is logged at the lowest level, as the program would write it."""
    with logged_by("token_service") as lines:
        yield lines


async def test_no_secret_shows_anywhere(
    log_lines: io.StringIO, running: Running, login: LoginHost, procore: ProcoreHost,
    part3: Part3Host, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    part3.add("p-1", anna="general_contractor")
    browser = Browser(running)
    launched = await browser.launch("anna")
    consented = await browser.consent(login, ANNA)
    answers = [launched.text, consented.text, str(consented.headers)]
    await running.services.connections.create(order())
    # each kind of refresh: renewed, lost, refused, and one that breaks in the middle
    kinds: list[list[tuple[int, bytes, dict[str, str]]]] = [
        [],
        [(502, b"", {})],
        [(400, b'{"error":"invalid_grant"}', {})],
    ]
    for login.statuses in kinds:
        await running.age("anna", -1)
        answers.append(
            (await call(running, "GET", "/internal/connections/p-1")).text
            + (await running.internal.post("/internal/access-tokens", json={"user_id": "x"})).text
        )
        refused = await call(running, "POST", "/internal/access-tokens", {"user_id": "anna"})
        answers += [] if refused.status_code == 200 else [refused.text]
    with monkeypatch.context() as patch:

        def burst(_store: GrantStore, user_id: str, pair: object, expires_at: object) -> None:
            raise ValueError(f"{pair!r} of {user_id} until {expires_at}")

        patch.setattr(GrantStore, "seal", burst)
        await running.database.execute(
            "UPDATE authority.grants SET state = 'authorized', reason = NULL"
        )
        with pytest.raises(ValueError, match="anna") as caught:
            await browser.consent(login, ANNA)
        structlog.get_logger().error("http.failed", exc_info=caught.value)  # as the server does
    await browser.consent(login, BEN)
    procore.down = True
    await running.services.connections.disconnect("p-1", "anna")
    await browser.post(f"{ACCOUNT}/disconnect", {"csrf_token": await browser.csrf_token()})

    secrets = [
        *login.issued,
        *login.exchanges,
        *browser.cookies.values(),
        *procore.secrets.values(),
        CLIENT_SECRET,
        running.settings.part3_api_token.reveal(),
        bearer(running)["authorization"],
        *(key.secret.hex() for key in running.settings.sealing_keys.keys),
    ]
    logged = log_lines.getvalue()
    assert logged.count("\n") > 5
    assert all(json.loads(line) for line in logged.splitlines())
    stored = [
        str(dict(row))
        for table in (
            "grants",
            "sessions",
            "oauth_states",
            "pending_grants",
            "connections",
            "audit",
        )
        for row in await running.database.fetch(f"SELECT * FROM authority.{table}")  # noqa: S608 - our names
    ]
    assert len(secrets) > 10
    for secret in secrets:
        assert secret not in logged
        assert not any(secret in text for text in (*answers, *stored))


def test_no_settings_show_their_secrets(running: Running) -> None:
    shown = f"{running.settings!r} {running.settings}"
    assert CLIENT_SECRET not in shown
    assert "canary" not in shown
