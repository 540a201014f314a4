"""OAuth's state, code and identity, and what people try with them."""

import asyncio
import base64
import hashlib

import pytest

from tests.token_service.browser import ACCOUNT, Browser
from tests.token_service.conftest import ANNA, BEN, Part3Host, Running
from tests.token_service.login_host import Account, LoginHost
from tests.token_service.procore_api_host import ProcoreHost

pytestmark = pytest.mark.postgres
CALLBACK = "/oauth/procore/callback"


async def signed_in(running: Running, user_id: str = "anna") -> Browser:
    browser = Browser(running)
    assert (await browser.launch(user_id)).status_code == 303
    return browser


async def account_of(running: Running, user_id: str = "anna") -> str | None:
    grant = await running.services.desk.ports.grants.view(user_id)
    return grant.procore_user_id if grant else None


async def data_state(browser: Browser) -> str:
    page = (await browser.get(ACCOUNT)).text
    return page.split('data-state="')[1].split('"')[0]


async def test_a_consent_stores_a_grant_and_leads_to_a_clean_address(
    running: Running, login: LoginHost
) -> None:
    browser = await signed_in(running)
    assert await data_state(browser) == "not_authorized"
    answer = await browser.consent(login, ANNA)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{ACCOUNT}?notice=authorized"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert await account_of(running) == "501"
    assert await data_state(browser) == "authorized"
    assert "Anna Reyes" in (await browser.get(ACCOUNT)).text


async def test_what_procore_is_asked_with(running: Running, login: LoginHost) -> None:
    browser = await signed_in(running)
    query = await browser.press_authorize()
    assert query["response_type"] == "code"
    assert query["redirect_uri"] == "http://127.0.0.1:8081/oauth/procore/callback"
    assert len(query["state"]) >= 43
    await browser.get(f"{CALLBACK}?code={login.code_for(ANNA)}&state={query['state']}")
    form = login.forms[0]
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == query.get("code_challenge")
    assert query["code_challenge_method"] == "S256"
    assert form["redirect_uri"] == query["redirect_uri"]


async def test_whoever_came_from_connect_is_led_back(running: Running, login: LoginHost) -> None:
    browser = await signed_in(running)
    answer = await browser.consent(login, ANNA, "/projects/p-1/integrations/connect")
    assert answer.headers["location"] == "/projects/p-1/integrations/connect"


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil", "/oauth/x"])
async def test_nobody_is_led_elsewhere(running: Running, login: LoginHost, to: str) -> None:
    browser = await signed_in(running)
    answer = await browser.consent(login, ANNA, to)
    assert answer.headers["location"] == f"{ACCOUNT}?notice=authorized"


@pytest.mark.parametrize("state", ["", "unknown", "x" * 300, "a b", "%00"])
async def test_a_callback_without_a_known_state_exchanges_nothing(
    running: Running, login: LoginHost, state: str
) -> None:
    browser = await signed_in(running)
    query = f"code={login.code_for(ANNA)}" + (f"&state={state}" if state else "")
    answer = await browser.get(f"{CALLBACK}?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert login.exchanges == []
    audited = await running.database.fetchval(
        "SELECT count(*) FROM authority.audit WHERE event = 'consent.misused'"
    )
    assert audited == 1


async def test_a_state_of_another_session_is_refused(running: Running, login: LoginHost) -> None:
    attacker, victim = await signed_in(running, "mallory"), await signed_in(running, "anna")
    state = (await attacker.press_authorize())["state"]
    code = login.code_for(BEN)
    answer = await victim.get(f"{CALLBACK}?code={code}&state={state}")
    assert answer.status_code == 400
    assert login.exchanges == []
    assert await account_of(running) is None


async def test_a_state_of_the_same_persons_other_browser_is_refused(
    running: Running, login: LoginHost
) -> None:
    one, other = await signed_in(running), await signed_in(running)
    state = (await one.press_authorize())["state"]
    answer = await other.get(f"{CALLBACK}?code={login.code_for(ANNA)}&state={state}")
    assert answer.status_code == 400
    assert login.exchanges == []


async def test_an_expired_state_is_refused(running: Running, login: LoginHost) -> None:
    browser = await signed_in(running)
    state = (await browser.press_authorize())["state"]
    await running.database.execute("UPDATE authority.oauth_states SET ends_at = now()")
    answer = await browser.get(f"{CALLBACK}?code={login.code_for(ANNA)}&state={state}")
    assert answer.headers["location"] == f"{ACCOUNT}?notice=expired"
    assert login.exchanges == []


async def test_a_code_is_sent_once_and_the_second_tab_sees_the_result(
    running: Running, login: LoginHost
) -> None:
    login.delay_s = 0.3
    browser = await signed_in(running)
    state = (await browser.press_authorize())["state"]
    address = f"{CALLBACK}?code={login.code_for(ANNA)}&state={state}"
    answers = await asyncio.gather(browser.get(address), browser.get(address))
    later = await browser.get(address)
    for answer in (*answers, later):
        assert answer.headers["location"] == f"{ACCOUNT}?notice=authorized"
    assert len(login.exchanges) == 1


async def test_two_tabs_with_a_state_each_both_finish(running: Running, login: LoginHost) -> None:
    browser = await signed_in(running)
    first, second = [(await browser.press_authorize())["state"] for _ in range(2)]
    for state in (second, first):
        answer = await browser.get(f"{CALLBACK}?code={login.code_for(ANNA)}&state={state}")
        assert answer.headers["location"] == f"{ACCOUNT}?notice=authorized"
    assert await account_of(running) == "501"


async def test_a_denied_consent_changes_nothing_and_says_so(
    running: Running, login: LoginHost
) -> None:
    browser = await signed_in(running)
    state = (await browser.press_authorize())["state"]
    answer = await browser.get(
        f"{CALLBACK}?error=access_denied&error_description=<script>alert(1)</script>&state={state}"
    )
    assert answer.headers["location"] == f"{ACCOUNT}?notice=denied"
    page = await browser.get(answer.headers["location"])
    assert "<script>alert" not in page.text
    assert 'role="alert"' in page.text
    assert await account_of(running) is None
    again = await browser.get(f"{CALLBACK}?code={login.code_for(ANNA)}&state={state}")
    assert again.headers["location"] == f"{ACCOUNT}?notice=denied"
    assert login.exchanges == []


@pytest.mark.parametrize(
    "tail",
    [
        "code=" + "x" * 5_000,
        "code=a%0d%0ab",
        "code=%F0%9F%98%80",
        "code=a&code=b",
        "code=a&error=access_denied",
        "code=a&iss=https://login-sandbox.procore.com",
        "",
    ],
)
async def test_a_malformed_callback_is_refused_before_any_exchange(
    running: Running, login: LoginHost, tail: str
) -> None:
    browser = await signed_in(running)
    state = (await browser.press_authorize())["state"]
    answer = await browser.get(f"{CALLBACK}?state={state}&{tail}")
    assert answer.status_code == 400
    assert login.exchanges == []


async def test_a_callback_without_a_visit_is_refused(running: Running, login: LoginHost) -> None:
    browser = await signed_in(running)
    state = (await browser.press_authorize())["state"]
    answer = await Browser(running).get(f"{CALLBACK}?code={login.code_for(ANNA)}&state={state}")
    assert answer.status_code == 401
    assert login.exchanges == []


async def test_an_unknown_code_and_a_lost_answer_read_as_failed(
    running: Running, login: LoginHost
) -> None:
    browser = await signed_in(running)
    state = (await browser.press_authorize())["state"]
    answer = await browser.get(f"{CALLBACK}?code=unknown&state={state}")
    assert answer.headers["location"] == f"{ACCOUNT}?notice=failed"
    login.lose_answers = 1
    assert (await browser.consent(login, ANNA)).headers["location"].endswith("failed")
    assert await account_of(running) is None


async def test_a_pair_whose_owner_procore_does_not_name_is_revoked(
    running: Running, login: LoginHost, procore: ProcoreHost
) -> None:
    browser = await signed_in(running)
    procore.down = True
    assert (await browser.consent(login, ANNA)).headers["location"].endswith("failed")
    assert await account_of(running) is None
    assert login.access_tokens == {}


async def test_another_account_is_asked_about_and_the_present_one_kept(
    running: Running, login: LoginHost
) -> None:
    browser = await signed_in(running)
    await browser.consent(login, ANNA)
    await running.database.execute(
        "UPDATE authority.grants SET state = 'needs_reauthorization', reason = 'x'"
    )
    answer = await browser.consent(login, BEN)
    assert answer.headers["location"] == ACCOUNT
    page = (await browser.get(ACCOUNT)).text
    assert "Ben Ode" in page
    assert "Anna Reyes" in page
    assert await account_of(running) == "501"
    bens = [token for token, account in login.access_tokens.items() if account is BEN]
    form = {"csrf_token": await browser.csrf_token(), "account": "present"}
    assert (await browser.post(f"{ACCOUNT}/account", form)).status_code == 303
    assert await account_of(running) == "501"
    assert not set(bens) & set(login.access_tokens)
    assert "Ben Ode" not in (await browser.get(ACCOUNT)).text


async def test_another_account_can_be_taken_and_the_former_one_is_revoked(
    running: Running, login: LoginHost
) -> None:
    browser = await signed_in(running)
    await browser.consent(login, ANNA)
    await running.database.execute(
        "UPDATE authority.grants SET state = 'needs_reauthorization', reason = 'x'"
    )
    await browser.consent(login, BEN, "/projects/p-1/integrations/connect")
    form = {"csrf_token": await browser.csrf_token(), "account": "other"}
    answer = await browser.post(f"{ACCOUNT}/account", form)
    assert answer.headers["location"] == "/projects/p-1/integrations/connect"
    assert await account_of(running) == "502"
    assert {account.login for account in login.access_tokens.values()} == {BEN.login}
    again = await browser.post(f"{ACCOUNT}/account", form)
    assert again.status_code == 303
    assert await account_of(running) == "502"


async def test_the_other_browser_of_the_same_person_cannot_choose(
    running: Running, login: LoginHost
) -> None:
    browser, elsewhere = await signed_in(running), await signed_in(running)
    await browser.consent(login, ANNA)
    await running.database.execute(
        "UPDATE authority.grants SET state = 'needs_reauthorization', reason = 'x'"
    )
    await browser.consent(login, BEN)
    form = {"csrf_token": await elsewhere.csrf_token(), "account": "other"}
    await elsewhere.post(f"{ACCOUNT}/account", form)
    assert await account_of(running) == "501"


async def test_what_nobody_chose_in_time_is_revoked(running: Running, login: LoginHost) -> None:
    browser = await signed_in(running)
    await browser.consent(login, ANNA)
    await running.database.execute(
        "UPDATE authority.grants SET state = 'needs_reauthorization', reason = 'x'"
    )
    await browser.consent(login, BEN)
    await running.database.execute("UPDATE authority.pending_grants SET ends_at = now()")
    await running.services.housekeeping.tidy_grants()
    assert BEN not in login.access_tokens.values()
    assert await running.database.fetchval("SELECT count(*) FROM authority.pending_grants") == 0


async def test_disconnecting_revokes_at_procore_and_forgets(
    running: Running, login: LoginHost
) -> None:
    browser = await signed_in(running)
    await browser.consent(login, ANNA)
    form = {"csrf_token": await browser.csrf_token()}
    answer = await browser.post(f"{ACCOUNT}/disconnect", form)
    assert answer.status_code == 303
    assert await data_state(browser) == "not_authorized"
    assert login.access_tokens == {}
    assert login.refresh_tokens == {}
    assert await running.database.fetchval("SELECT count(*) FROM authority.grants") == 0
    again = await browser.post(f"{ACCOUNT}/disconnect", form)
    assert again.status_code == 303
    await browser.consent(login, BEN)  # whoever comes back may come back as somebody else
    assert await account_of(running) == "502"


async def test_when_procore_is_away_the_grant_stays(running: Running, login: LoginHost) -> None:
    browser = await signed_in(running)
    await browser.consent(login, ANNA)
    login.revoke = lambda _form: (503, b"", {})  # type: ignore[method-assign,assignment]
    answer = await browser.post(f"{ACCOUNT}/disconnect", {"csrf_token": await browser.csrf_token()})
    assert answer.status_code == 503
    assert await account_of(running) == "501"


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("wrong", {}),
        ("", {}),
        (None, {"sec_fetch_site": "cross-site"}),
        (None, {"sec_fetch_site": "same-site"}),
        (None, {"origin": "https://evil.example"}),
        (None, {"origin": "null"}),
    ],
)
async def test_a_form_from_elsewhere_does_nothing(
    running: Running, login: LoginHost, token: str | None, headers: dict[str, str]
) -> None:
    browser = await signed_in(running)
    form = {"csrf_token": await browser.csrf_token() if token is None else token}
    answer = await browser.post(f"{ACCOUNT}/authorize", form, **headers)
    assert answer.status_code == 403
    assert await running.database.fetchval("SELECT count(*) FROM authority.oauth_states") == 0


@pytest.mark.parametrize(
    "headers", [{"sec_fetch_site": "same-origin"}, {"origin": "http://127.0.0.1:8081"}, {}]
)
async def test_a_form_from_our_own_page_goes_through(
    running: Running, headers: dict[str, str]
) -> None:
    browser = await signed_in(running)
    form = {"csrf_token": await browser.csrf_token()}
    answer = await browser.post(f"{ACCOUNT}/authorize", form, **headers)
    assert answer.status_code == 303


async def test_names_from_procore_are_escaped(running: Running, login: LoginHost) -> None:
    browser = await signed_in(running)
    await browser.consent(login, Account("9", "x@y", "<img src=x onerror=alert(1)>"))
    assert "<img src=x" not in (await browser.get(ACCOUNT)).text


async def test_the_wizard_begins_with_authorize(running: Running, part3: Part3Host) -> None:
    part3.add("p-1", anna="general_contractor")
    browser = await signed_in(running)
    form = {"csrf_token": await browser.csrf_token()}
    answer = await browser.post("/projects/p-1/integrations/connect", form)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(ACCOUNT)
    assert "connect" in answer.headers["location"]


async def test_where_me_names_nobody_the_companys_directory_does(
    running: Running, login: LoginHost, procore: ProcoreHost
) -> None:
    procore.names_need_a_company = True
    browser = await signed_in(running)
    await browser.consent(login, ANNA)
    assert ANNA.name in (await browser.get(ACCOUNT)).text


async def test_without_a_company_the_login_stands_for_the_name(
    running: Running, login: LoginHost, procore: ProcoreHost
) -> None:
    procore.names_need_a_company, procore.companies = True, []
    browser = await signed_in(running)
    await browser.consent(login, ANNA)
    page = (await browser.get(ACCOUNT)).text
    assert ANNA.login in page
    assert ANNA.name not in page
