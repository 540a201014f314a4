import time
from dataclasses import replace

import pytest

from services.service_tokens import issue_launch_token, issue_service_token
from services.settings import KeyRing
from tests.token_service.browser import ACCOUNT, Browser
from tests.token_service.conftest import Part3Host, Running, replica, ring
from tests.token_service.login_host import LoginHost
from tests.token_service.procore_api_host import ProcoreHost
from token_service.public.sessions import IDLE_S

pytestmark = pytest.mark.postgres


async def test_a_good_token_begins_a_visit_and_leads_on(running: Running, part3: Part3Host) -> None:
    part3.add("p-1", anna="general_contractor")
    browser = Browser(running)
    answer = await browser.launch("anna", "/projects/p-1/integrations")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/projects/p-1/integrations"
    assert answer.headers["referrer-policy"] == "no-referrer"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert "__host-" not in cookie
    assert (await browser.get("/projects/p-1/integrations")).status_code == 200


@pytest.mark.parametrize("off_s", [-86_400.0, 86_400.0])
async def test_b76_people_and_workers_get_in_though_the_hosts_clock_is_a_day_off(
    running: Running, monkeypatch: pytest.MonkeyPatch, off_s: float
) -> None:
    clock = running.services.clock
    monkeypatch.setattr(clock, "_host_now", lambda: time.time() + off_s)
    assert (await Browser(running).launch("anna")).status_code == 401
    await clock.read()
    assert (await Browser(running).launch("anna")).status_code == 303
    credential = "Bearer " + issue_service_token(running.settings.internal_keys, "sync_worker")
    answer = await running.internal.get(
        "/internal/connections", headers={"authorization": credential}
    )
    assert answer.status_code == 200


async def test_over_https_the_cookie_is_secure_and_of_this_host_alone(
    running: Running, procore: ProcoreHost, part3: Part3Host
) -> None:
    secure = replace(running.settings, public_url="https://connector.example")
    async with replica(secure, running.database, procore, part3) as one:
        answer = await Browser(one).launch("anna")
        assert answer.headers["set-cookie"].startswith("__Host-")
        assert "; Secure" in answer.headers["set-cookie"]
        assert "Domain" not in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)",
        "%2F%2Fevil.example", "/projects/../../etc", "/launch", "",
        "/account/integrations%0d%0aX: y",
    ],
)  # fmt: skip
async def test_anything_but_a_path_of_ours_leads_to_the_account(
    running: Running, elsewhere: str
) -> None:
    answer = await Browser(running).launch("anna", elsewhere)
    assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)


async def test_a_token_is_good_once(running: Running) -> None:
    first, second = Browser(running), Browser(running)
    assert (await first.launch("anna", jti="once")).status_code == 303
    again = await second.launch("anna", jti="once")
    assert again.status_code == 401
    assert second.cookies == {}


@pytest.mark.parametrize("what", ["old", "foreign", "none", "twice", "garbage"])
async def test_a_bad_token_is_refused_with_a_page(running: Running, what: str) -> None:
    settings = running.settings
    good = issue_launch_token(settings.launch_keys, "anna", "A", "a@x", "j1")
    old = issue_launch_token(settings.launch_keys, "anna", "A", "a@x", "j2", now=lambda: 1e9)
    first = settings.launch_keys.first
    foreign_ring = KeyRing((replace(ring("x").first, id=first.id),))
    foreign = issue_launch_token(foreign_ring, "anna", "A", "a@x", "j3")
    query = {
        "old": f"token={old}",
        "foreign": f"token={foreign}",
        "none": "",
        "twice": f"token={good}&token={good}",
        "garbage": "token=%00%ff",
    }[what]
    answer = await Browser(running).get(f"/launch?{query}")
    assert answer.status_code == 401
    assert "text/html" in answer.headers["content-type"]
    assert "set-cookie" not in answer.headers
    assert "Part3" in answer.text


async def test_a_link_preview_does_not_use_the_token_up(running: Running) -> None:
    token = issue_launch_token(running.settings.launch_keys, "anna", "A", "a@x", "j1")
    assert (await running.public.head(f"/launch?token={token}")).status_code == 405
    assert (await Browser(running).get(f"/launch?token={token}")).status_code == 303


async def test_a_new_visit_ends_the_one_before(running: Running) -> None:
    browser = Browser(running)
    await browser.launch("anna")
    former = Browser(running, dict(browser.cookies))
    await browser.launch("ben")
    assert (await former.get(ACCOUNT)).status_code == 401
    assert "Ben" in (await browser.get(ACCOUNT)).text


async def test_without_a_visit_there_is_a_page_that_says_where_to_go(running: Running) -> None:
    for cookies in ({}, {"connector_session": "x"}, {"connector_session": "A" * 43}):
        answer = await Browser(running, cookies).get(ACCOUNT)
        assert answer.status_code == 401
        assert "Part3" in answer.text


async def test_a_visit_ends_by_idling_and_by_age(running: Running) -> None:
    browser = Browser(running)
    await browser.launch("anna")
    assert (await browser.get(ACCOUNT)).status_code == 200
    await running.database.execute(
        "UPDATE authority.sessions SET seen_at = now() - make_interval(secs => $1)", IDLE_S + 1
    )
    assert (await browser.get(ACCOUNT)).status_code == 401
    await running.database.execute(
        "UPDATE authority.sessions SET seen_at = now(), ends_at = now() - interval '1 second'"
    )
    assert (await browser.get(ACCOUNT)).status_code == 401


async def test_the_database_holds_no_session_secret(running: Running) -> None:
    browser = Browser(running)
    await browser.launch("anna")
    rows = await running.database.fetch("SELECT * FROM authority.sessions")
    assert not any(secret in str(dict(row)) for row in rows for secret in browser.cookies.values())


async def test_a_project_of_others_is_404_and_part3_away_is_503(
    running: Running, part3: Part3Host
) -> None:
    part3.add("p-1", ben="general_contractor")
    browser = Browser(running)
    await browser.launch("anna")
    for path in ("/projects/p-1/integrations", "/projects/none/integrations"):
        answer = await browser.get(path)
        assert answer.status_code == 404
        assert "text/html" in answer.headers["content-type"]
    part3.down = True
    assert (await browser.get("/projects/p-1/integrations")).status_code == 503


async def test_every_answer_forbids_framing_and_sniffing(running: Running) -> None:
    for path in ("/launch", ACCOUNT, "/nowhere", "/livez", "/readyz", "/static/pages.css"):
        headers = (await running.public.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]


async def test_an_unknown_path_is_a_page_of_ours(running: Running, login: LoginHost) -> None:
    answer = await running.public.get("/nowhere")
    assert answer.status_code == 404
    assert "text/html" in answer.headers["content-type"]
    assert (await running.public.post(ACCOUNT)).status_code == 405
