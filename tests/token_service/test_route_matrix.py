"""Promise A21: every route there is, with ids that are another's.

They are read off the program. A new route that takes a project is tried at once; one that takes
none has to say below whose business it is, or `test_d14_every_route_is_in_the_matrix` fails.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from starlette.routing import Route

from tests.token_service.browser import ACCOUNT, Browser
from tests.token_service.conftest import ANNA, BEN, Part3Host, Running
from tests.token_service.connecting import order
from tests.token_service.login_host import LoginHost
from tests.token_service.test_internal_api import call

pytestmark = pytest.mark.postgres

# Public routes that name no project: whose business each is.
OWN_OR_NOBODYS = {
    "GET /launch": "whoever holds a launch token: test_launching.py",
    "GET /account/integrations": "the visitor's own account",
    "POST /account/integrations/account": "the visitor's own account",
    "POST /account/integrations/disconnect": "the visitor's own account",
    "POST /account/integrations/authorize": "the visitor's own account",
    "GET /oauth/procore/callback": "the state's own visit: test_consent.py",
    "GET /static/{name}": "nobody's",
    "GET /livez": "nobody's",
    "GET /readyz": "nobody's",
}
# Routes of our own services, which serve every project; none of them is for a browser.
INTERNAL = {
    "POST /internal/access-tokens",
    "POST /internal/authorizations",
    "POST /internal/revocations",
    "GET /internal/connections",
    "GET /internal/connections/{project_id}",
    "GET /internal/connections/{project_id}/dispositions",
    "POST /internal/connections/{project_id}/hook",
}
FOREIGN = (
    "p-2",
    "absent",
    "P-2",
    "p-2 ",
    "%",
    "*",
    "p-2' OR '1'='1",
    "p-1/../p-2",
    "\u2025",
    "p" * 300,
)
TABLES = (
    "grants",
    "connections",
    "dispositions",
    "hook_removals",
    "pending_grants",
    "revoked_grants",
)
GUARDS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": ("no-referrer", "same-origin", "strict-origin"),
    "content-security-policy": "frame-ancestors 'none'",
}


@dataclass(frozen=True)
class Place:
    """A method of a route."""

    method: str
    path: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def at(self, project_id: str) -> str:
        return self.path.replace("{project_id}", quote(project_id, safe="")).replace("{name}", "x")


def places(client: httpx2.AsyncClient) -> Iterator[Place]:
    """Read the routes off the application that a port serves."""
    app: Any = client._transport.app  # type: ignore[attr-defined]
    while not hasattr(app, "routes"):
        app = app._app
    for route in app.routes:
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:
            yield Place(method, route.path)


@pytest.fixture
async def anna(running: Running, login: LoginHost, part3: Part3Host) -> Browser:
    """Anna, signed in and authorized; Ben has a connected project that she is not on."""
    part3.add("p-1", anna="general_contractor")
    part3.add("p-2", ben="general_contractor")
    await running.grant("anna", ANNA, login)
    await running.grant("ben", BEN, login)
    await running.services.connections.create(
        order(project_id="p-2", owner_user_id="ben", owner_name="Ben")
    )
    browser = Browser(running)
    await browser.launch("anna")
    return browser


async def snapshot(running: Running) -> dict[str, list[str]]:
    """Return everything that a route could have changed."""
    return {
        table: sorted(
            str(dict(row))
            for row in await running.database.fetch(f"SELECT * FROM authority.{table}")  # noqa: S608
        )
        for table in TABLES
    }


async def test_d14_every_route_is_in_the_matrix(running: Running) -> None:
    public = {place.name for place in places(running.public)}
    unnamed = {name for name in public if "{project_id}" not in name}
    assert unnamed == set(OWN_OR_NOBODYS)
    assert len(public - unnamed) > 10
    internal = {place.name for place in places(running.internal)}
    assert internal - {"GET /livez", "GET /readyz"} == INTERNAL


async def test_d14_b85_no_page_shows_or_changes_what_is_anothers(
    running: Running, anna: Browser, login: LoginHost
) -> None:
    form = {"csrf_token": await anna.csrf_token(), "yes": "1", "company": "1", "project": "2"}
    before = await snapshot(running)
    tried = 0
    for place in places(running.public):
        if "{project_id}" not in place.path:
            continue
        said = set()
        for project_id in FOREIGN:
            url = place.at(project_id)
            answer = await (anna.post(url, form) if place.method == "POST" else anna.get(url))
            assert answer.status_code == 404, f"{place.name} with {project_id!r}"
            assert "Ben" not in answer.text
            if "/" not in project_id:  # that one is no route at all
                said.add(answer.text)
            tried += 1
        assert len(said) == 1, f"{place.name} tells another's project from one that is not there"
    assert tried > 100
    assert await snapshot(running) == before
    assert login.revoked == []


async def test_d14_an_account_page_is_about_its_visitor_alone(
    running: Running, anna: Browser, login: LoginHost
) -> None:
    page = await anna.get(ACCOUNT)
    assert "Anna Reyes" in page.text
    assert "Ben" not in page.text
    ben = Browser(running)
    await ben.launch("ben")
    foreign = {"csrf_token": await ben.csrf_token(), "user_id": "ben"}
    before = await snapshot(running)
    for place in places(running.public):
        if place.method == "POST" and place.path.startswith(ACCOUNT):
            assert (await anna.post(place.path, foreign)).status_code == 403, place.name
    assert await snapshot(running) == before
    assert login.revoked == []


async def test_d14_without_a_visit_no_page_is_shown(running: Running, anna: Browser) -> None:
    nobody = Browser(running)
    for place in places(running.public):
        if place.name in OWN_OR_NOBODYS and not place.path.startswith(ACCOUNT):
            continue
        for project_id in ("p-1", "p-2", "absent"):
            url = place.at(project_id)
            answer = await (nobody.post(url, {}) if place.method == "POST" else nobody.get(url))
            assert answer.status_code == 401, place.name


async def test_d14_internal_ids_that_are_nobodys_are_404(running: Running, anna: Browser) -> None:
    for place in places(running.internal):
        if "{project_id}" in place.path:
            for project_id in ("absent", "P-2", "%", "*"):
                answer = await call(running, place.method, place.at(project_id))
                assert answer.status_code == 404, place.name
    for user_id in ("absent", "Ben", "%", "*", "ben "):
        answer = await call(running, "POST", "/internal/access-tokens", {"user_id": user_id})
        assert answer.status_code == 404


async def test_d24_every_answer_of_every_route_is_guarded(running: Running, anna: Browser) -> None:
    asked = [(place.method, place.at("p-1")) for place in places(running.public)]
    asked += [("PUT", url) for _, url in asked] + [
        ("GET", "/nowhere"),
        ("TRACE", "/"),
        ("OPTIONS", ACCOUNT),
    ]
    for method, url in asked:
        if url.endswith("/progress") and method == "GET":
            continue  # a stream without end: test_project_page.py
        for cookies in (dict(anna.cookies), {}):
            headers = (
                {"cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())} if cookies else {}
            )
            answer = await running.public.request(
                method, url, headers=headers | {"origin": "https://evil.example"}
            )
            running.public.cookies.clear()
            for name, wanted in GUARDS.items():
                said = answer.headers.get(name, "")
                options = (wanted,) if isinstance(wanted, str) else wanted
                assert any(one in said for one in options), f"{method} {url}: {name}: {said!r}"
            assert "unsafe-inline" not in answer.headers["content-security-policy"]
            assert not any(name.startswith("access-control-") for name in answer.headers)
            if "/static/" not in url:
                assert "no-store" in answer.headers["cache-control"], f"{method} {url}"


# Forms that connect, disconnect, remove and agree on nothing: a visit of today is enough.
ANY_VISIT = {
    "POST /account/integrations/account",  # which of two accounts that Procore proved just now
    "POST /projects/{project_id}/integrations/options",
}


async def test_d24_a_visit_of_an_hour_connects_and_disconnects_nothing(
    running: Running, anna: Browser, login: LoginHost
) -> None:
    await running.services.connections.create(
        order(project_id="p-1", procore_project_id="77", owner_user_id="anna", owner_name="Anna")
    )
    form = {"csrf_token": await anna.csrf_token(), "once": "f" * 43, "company": "1", "project": "2"}
    await running.database.execute(
        "UPDATE authority.sessions SET created_at = now() - interval '61 minutes'"
    )
    before = await snapshot(running)
    refused = set()
    for place in places(running.public):
        if place.method == "POST" and place.name not in ANY_VISIT:
            answer = await anna.post(place.at("p-1"), form)
            assert answer.status_code == 403, place.name
            assert "Come in from Part3 once more" in answer.text, place.name
            refused.add(place.path.rpartition("/")[2])
    assert {"authorize", "disconnect", "unlink", "own", "create"} <= refused
    assert await snapshot(running) == before
    assert login.revoked == []

    await anna.launch("anna")
    form["csrf_token"] = await anna.csrf_token()
    answer = await anna.post("/projects/p-1/integrations/disconnect", form)
    assert answer.status_code == 303
