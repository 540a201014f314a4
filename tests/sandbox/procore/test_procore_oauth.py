"""OAuth: behaviours 1 to 10."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from msgspec.structs import replace

from sandbox.procore import seeding
from sandbox.procore.app import build_app
from sandbox.procore.control import AppOrder, register
from sandbox.procore.domain import accounts, directory
from sandbox.procore.wire import ConnectionCut
from sandbox.procore.world import World
from tests.sandbox.procore.site import (
    ARCHITECT,
    CLIENT_ID,
    CLIENT_SECRET,
    ENGINEER,
    MANAGER,
    REDIRECT,
    Client,
    Json,
    Site,
    small_spec,
)

SECRETS = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


async def token(site: Site, **form: str) -> httpx2.Response:
    return await site.http.post("/oauth/token", data={**SECRETS, **form})


async def refresh(site: Site, refresh_token: str) -> httpx2.Response:
    return await token(site, grant_type="refresh_token", refresh_token=refresh_token)


async def me(site: Site, access_token: str) -> httpx2.Response:
    return await site.http.get("/rest/v1.0/me", headers={"Authorization": f"Bearer {access_token}"})


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's first form."""
    fields = {}
    for part in page.split("<input")[1:]:
        attributes = part.split(">")[0]
        if 'type="hidden"' in attributes:
            name = attributes.split('name="')[1].split('"')[0]
            fields[name] = attributes.split('value="')[1].split('"')[0].replace("&amp;", "&")
    return fields


async def consent(site: Site, decision: str, email: str = ARCHITECT) -> httpx2.Response:
    """Log in and decide, as a browser does."""
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT,
        "state": "s&1",
    }
    asked = await site.http.get("/oauth/authorize", params=query)
    assert asked.status_code == 303
    login = await site.http.get(asked.headers["location"])
    form = {**hidden(login.text), "email": email, "password": "procore"}
    entered = await site.http.post("/login", data=form)
    assert entered.status_code == 303
    page = await site.http.get(entered.headers["location"])
    assert "Part3 Connector" in page.text
    assert ">Allow</button>" in page.text
    assert ">Deny</button>" in page.text
    return await site.http.post(
        "/oauth/authorize", data={**hidden(page.text), "decision": decision}
    )


async def test_a_person_allows_and_the_app_gets_tokens_that_act_as_them(site: Site) -> None:
    allowed = await consent(site, "allow")
    assert allowed.status_code == 302
    assert allowed.headers["location"].startswith(REDIRECT + "?")
    answer = parse_qs(urlsplit(allowed.headers["location"]).query)
    assert answer["state"] == ["s&1"]
    pair = (
        await token(
            site, grant_type="authorization_code", code=answer["code"][0], redirect_uri=REDIRECT
        )
    ).json()
    assert pair["token_type"] == "bearer"
    assert (await me(site, pair["access_token"])).json()["login"] == ARCHITECT


async def test_a_person_denies_and_the_app_hears_access_denied(site: Site) -> None:
    denied = await consent(site, "deny")
    answer = parse_qs(urlsplit(denied.headers["location"]).query)
    assert answer["error"] == ["access_denied"]
    assert answer["state"] == ["s&1"]
    assert "code" not in answer


async def test_somebody_else_may_log_in_and_comes_back_to_the_question(site: Site) -> None:
    switched = await consent(site, "switch")
    assert switched.headers["location"].startswith("/login?next=")
    login = await site.http.get(switched.headers["location"])
    form = {**hidden(login.text), "email": ENGINEER, "password": "procore"}
    entered = await site.http.post("/login", data=form)
    page = await site.http.get(entered.headers["location"])
    assert "Jonas Weber" in page.text
    assert ">Allow</button>" in page.text


async def test_an_unknown_redirect_address_is_never_redirected_to(site: Site) -> None:
    query = {"response_type": "code", "client_id": CLIENT_ID, "redirect_uri": REDIRECT + "/"}
    answer = await site.http.get("/oauth/authorize", params=query)
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_b01_a_refresh_token_is_good_once(site: Site) -> None:
    first = site.tokens(ARCHITECT)
    second = (await refresh(site, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    again = await refresh(site, first["refresh_token"])
    assert again.status_code == 400
    assert again.json()["error"] == "invalid_grant"
    assert (await refresh(site, second["refresh_token"])).status_code == 200


async def test_b01_a_spent_refresh_token_may_answer_401_instead(site: Site) -> None:
    site.world.set_switches(replace(site.world.switches, invalid_grant_status=401))
    pair = site.tokens(ARCHITECT)
    await refresh(site, pair["refresh_token"])
    assert (await refresh(site, pair["refresh_token"])).status_code == 401


@pytest.mark.parametrize("dies", [True, False])
async def test_b01_the_old_access_token_dies_at_a_refresh_or_lives_on(
    site: Site, *, dies: bool
) -> None:
    site.world.set_switches(replace(site.world.switches, refresh_ends_old_access_token=dies))
    pair = site.tokens(ARCHITECT)
    await refresh(site, pair["refresh_token"])
    assert (await me(site, pair["access_token"])).status_code == (401 if dies else 200)


async def test_b02_a_refresh_whose_answer_is_lost_spends_the_token(site: Site) -> None:
    pair = site.tokens(ARCHITECT)
    site.world.faults.set(1, [{"kind": "cut_after", "path": "/oauth/token", "count": 1}])
    with pytest.raises(ConnectionCut):
        await refresh(site, pair["refresh_token"])
    assert (await refresh(site, pair["refresh_token"])).json()["error"] == "invalid_grant"


async def test_b02_a_refresh_that_is_never_answered_spends_the_token_too(site: Site) -> None:
    pair = site.tokens(ARCHITECT)
    hang = {"kind": "hang_after", "path": "/oauth/token", "delay_s": 60, "count": 1}
    site.world.faults.set(1, [hang])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await refresh(site, pair["refresh_token"])
    assert (await refresh(site, pair["refresh_token"])).json()["error"] == "invalid_grant"


async def test_b03_of_two_refreshes_at_once_one_wins(site: Site) -> None:
    pair = site.tokens(ARCHITECT)
    answers = await asyncio.gather(*(refresh(site, pair["refresh_token"]) for _ in range(2)))
    assert sorted(a.status_code for a in answers) == [200, 400]


@pytest.mark.parametrize("fault", ["used", "old", "slash", "other_app"])
async def test_b04_a_code_is_good_once_for_ten_minutes_and_its_own_address(
    site: Site, fault: str
) -> None:
    assert site.app is not None
    code = accounts.issue_code(site.world, site.app, site.person(ARCHITECT), REDIRECT)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    if fault == "used":
        assert (await token(site, **form)).status_code == 200
    if fault == "old":
        site.world.clock.advance(601)
    if fault == "slash":
        form["redirect_uri"] += "/"
    if fault == "other_app":
        accounts.register(site.world, replace(site.app, client_id="another"))
        form["client_id"] = "another"
    assert (await token(site, **form)).json()["error"] == "invalid_grant"


async def test_b05_an_access_token_ends_with_its_expires_in(site: Site) -> None:
    assert site.tokens(ARCHITECT)["expires_in"] == 5400
    site.world.set_switches(replace(site.world.switches, expires_in_s=900))
    pair = site.tokens(ARCHITECT)
    assert pair["expires_in"] == 900
    site.world.clock.advance(899)
    assert (await me(site, pair["access_token"])).status_code == 200
    site.world.clock.advance(2)
    dead = await me(site, pair["access_token"])
    assert dead.status_code == 401
    assert dead.json()["message"] == "The access token expired"
    assert set(dead.json()) == {"code", "message", "fields", "reason", "error"}


async def test_b06_revoking_ends_both_tokens_and_answers_200_to_garbage(site: Site) -> None:
    pair = site.tokens(ARCHITECT)
    revoke = {**SECRETS, "token": pair["refresh_token"]}
    assert (await site.http.post("/oauth/revoke", data=revoke)).status_code == 200
    assert (await me(site, pair["access_token"])).status_code == 401
    assert (await refresh(site, pair["refresh_token"])).json()["error"] == "invalid_grant"
    garbage = {**SECRETS, "token": "garbage"}
    assert (await site.http.post("/oauth/revoke", data=garbage)).status_code == 200


async def test_b07_another_environments_credentials_fail_as_an_unknown_client(site: Site) -> None:
    answer = await token(site, grant_type="client_credentials", client_id="of-production")
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    wrong = await token(site, grant_type="client_credentials", client_secret="wrong")
    assert wrong.json()["error"] == "invalid_client"


async def test_b07_another_environment_believes_neither_tokens_nor_codes_nor_apps(
    site: Site, tmp_path: Path
) -> None:
    pair = site.tokens(ARCHITECT)
    monthly = World(tmp_path / "monthly")
    try:
        seeding.build(monthly, small_spec())
        transport = httpx2.ASGITransport(app=build_app(monthly))
        async with httpx2.AsyncClient(transport=transport, base_url="http://monthly.test") as http:
            form = {**SECRETS, "grant_type": "refresh_token", "refresh_token": "x"}
            unknown = await http.post("/oauth/token", data=form)
            assert (unknown.status_code, unknown.json()["error"]) == (401, "invalid_client")
            register(monthly, AppOrder(client_id=CLIENT_ID, client_secret=CLIENT_SECRET))
            foreign = await http.post(
                "/oauth/token", data={**form, "refresh_token": pair["refresh_token"]}
            )
            assert foreign.json()["error"] == "invalid_grant"
            headers = {"Authorization": f"Bearer {pair['access_token']}"}
            assert (await http.get("/rest/v1.0/me", headers=headers)).status_code == 401
    finally:
        monthly.close()
    assert (await me(site, pair["access_token"])).status_code == 200


async def test_b08_client_credentials_give_no_refresh_token_and_always_need_the_header(
    site: Site,
) -> None:
    pair: Json = (await token(site, grant_type="client_credentials")).json()
    assert "refresh_token" not in pair
    service = Client(site, pair["access_token"])
    bare = {"Procore-Company-Id": None}
    for path in ("/rest/v1.0/me", "/rest/v1.0/companies"):
        refused = await service.call("GET", path, headers=bare)
        assert refused.status_code == 400
        assert refused.text.find("Missing Procore-Company-Id header!") >= 0


@pytest.mark.parametrize(("switch", "status"), [("400", 400), ("404", 404), ("tolerated", 200)])
async def test_b09_a_missing_company_header(site: Site, switch: str, status: int) -> None:
    changed = replace(site.world.switches, missing_company_header=switch)
    site.world.set_switches(changed)
    manager = site.as_(MANAGER)
    answer = await manager.call("GET", manager.rfis, headers={"Procore-Company-Id": None})
    assert answer.status_code == status
    bare = {"Procore-Company-Id": None}
    assert (await manager.call("GET", "/rest/v1.0/companies", headers=bare)).status_code == 200


async def test_b10_an_app_that_is_not_installed_gets_403_but_for_me_and_companies(
    site: Site,
) -> None:
    manager = site.as_(MANAGER)
    directory.set_installed(site.world, company_id=site.company_id, app=CLIENT_ID, installed=False)
    refused = await manager.call("GET", manager.rfis)
    assert refused.status_code == 403
    assert refused.json() == {"errors": ["App is not connected to this company."]}
    assert (await manager.call("GET", "/rest/v1.0/me")).status_code == 200
    assert len(await manager.ok("GET", "/rest/v1.0/companies")) == 2
    directory.set_installed(site.world, company_id=site.company_id, app=CLIENT_ID, installed=True)
    assert (await manager.call("GET", manager.rfis)).status_code == 200


@pytest.mark.parametrize("encoding", ["form", "multipart", "json"])
async def test_the_token_endpoint_reads_three_encodings(site: Site, encoding: str) -> None:
    pair = site.tokens(ENGINEER)
    body = {
        **SECRETS,
        "grant_type": "refresh_token",
        "refresh_token": pair["refresh_token"],
        "redirect_uri": REDIRECT,
    }
    if encoding == "json":
        answer = await site.http.post("/oauth/token", json=body)
    elif encoding == "form":
        answer = await site.http.post("/oauth/token", data=body)
    else:
        parts = {name: (None, value) for name, value in body.items()}
        answer = await site.http.post("/oauth/token", files=parts)
    assert answer.status_code == 200
    assert set(answer.json()) == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "created_at",
    }


async def test_token_info_names_the_owner_and_what_is_left(site: Site) -> None:
    pair = site.tokens(ARCHITECT)
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    info = (await site.http.get("/oauth/token/info", headers=headers)).json()
    assert info["resource_owner_id"] == site.person(ARCHITECT).id
    assert info["application"] == {"uid": CLIENT_ID}
    assert 5300 < info["expires_in_seconds"] <= 5400
