"""What must hold on every page: headers, no inline code, own forms only, hostile names."""

from dataclasses import replace
from html import escape

import httpx2
import msgspec
import pytest
from bs4 import Tag
from starlette.applications import Starlette

from services.postgres import Postgres
from tests.pages.fakes import ADA, GINA, RIVERSIDE, World
from tests.pages.mirror_rows import activity_row, connect, delivery_row, in_step, project_row
from tests.pages.reading import Inline, Visitor, values_of
from token_service.public.ports import Company, Decider, ProcoreProject, ResponseChoice
from token_service.public.render import form_targets

pytestmark = pytest.mark.postgres
HERE = "/projects/p-1"
NOT_CONNECTED = [
    "/account/integrations",
    "/account/integrations?ask=disconnect",
    f"{HERE}/integrations",
    f"{HERE}/integrations/connect",
    f"{HERE}/integrations/connect/company",
    f"{HERE}/integrations/connect/project?company=562",
    f"{HERE}/integrations/connect/review?company=562&project=88001",
    f"{HERE}/integrations/connect/project?company=none",
    f"{HERE}/activity",
    f"{HERE}/activity?held=1&text=x",
    f"{HERE}/dispositions",
    "/projects/absent/integrations",
]
CONNECTED = [
    f"{HERE}/integrations",
    f"{HERE}/integrations?ask=disconnect",
    f"{HERE}/activity",
    f"{HERE}/dispositions",
    "/account/integrations?ask=disconnect",
]
HOSTILE = '<script>alert("x")</script>" onmouseover="y" {{7*7}} \u202egnp.exe 🏗️ ' + "A" * 300


def check_page(visitor: Visitor) -> None:
    """Hold what every page must have, whatever it shows."""
    headers = visitor.answer.headers
    policy = headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    inline = Inline()
    inline.feed(visitor.answer.text)
    assert inline.found == []
    page = visitor.page
    assert page.html is not None
    assert page.html["lang"] == "en"
    assert len(page.find_all("h1")) == 1
    assert len(page.find_all("main")) == 1
    assert page.find("a", class_="skip") is not None
    ids = [str(one["id"]) for one in page.find_all(id=True)]
    assert len(ids) == len(set(ids))
    for control in page.find_all(["input", "select", "progress"]):
        if control.get("type") != "hidden":
            assert page.find("label", attrs={"for": str(control["id"])}) is not None
    for named in page.select("[aria-labelledby], [aria-describedby]"):
        for attribute in ("aria-labelledby", "aria-describedby"):
            for target in str(named.get(attribute, "")).split():
                assert target in ids
    assert all(one.get_text(strip=True) for one in page.find_all(["button", "a"]))
    assert all(one.has_attr("alt") for one in page.find_all("img"))
    for form in page.find_all("form"):
        assert isinstance(form, Tag)
        if form["method"] == "post":
            assert values_of(form)["csrf_token"]


@pytest.mark.parametrize("path", NOT_CONNECTED)
async def test_every_page_is_safe_and_accessible_before_connecting(
    gina: Visitor, path: str
) -> None:
    check_page(await gina.open(path))


@pytest.mark.parametrize("path", CONNECTED)
async def test_every_page_is_safe_and_accessible_when_connected(
    gina: Visitor, world: World, mirror: Postgres, path: str
) -> None:
    await in_step(world, mirror)
    await delivery_row(mirror, "r-1", "held", message="It waits.", reason="x")
    check_page(await gina.open(path))


async def test_a_backfilling_page_is_safe_and_accessible(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await connect(world)
    await project_row(mirror)
    check_page(await gina.open(f"{HERE}/integrations"))


@pytest.mark.parametrize("path", NOT_CONNECTED)
async def test_hostile_names_are_shown_as_text(gina: Visitor, world: World, path: str) -> None:
    team = (msgspec.structs.replace(ADA, name=HOSTILE), GINA)
    hostile = msgspec.structs.replace(RIVERSIDE, name=HOSTILE, number=HOSTILE, team=team)
    world.part3.projects["p-1"] = hostile
    world.grants.authorize(GINA.user_id, HOSTILE, HOSTILE)
    world.procore.by_company = {
        Company("562", HOSTILE): [ProcoreProject("88001", HOSTILE, HOSTILE)]
    }
    check_page(await gina.open(path))
    assert "<script>alert" not in gina.answer.text
    assert "49" not in gina.text or path.startswith("/projects/absent")


async def test_hostile_words_from_the_mirror_are_shown_as_text(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await connect(world)
    await project_row(mirror, reason="x", message=HOSTILE, mended_by={"name": HOSTILE})
    await delivery_row(mirror, "r-1", "held", message=HOSTILE, mended_by={"name": HOSTILE})
    await activity_row(mirror, HOSTILE, title=HOSTILE, number=HOSTILE, person={"name": HOSTILE})
    for path in (f"{HERE}/integrations", f"{HERE}/activity?text=%3Cscript%3E"):
        check_page(await gina.open(path))
        assert "<script>alert" not in gina.answer.text
        assert escape("<script>alert(") in gina.answer.text


async def test_hostile_names_of_responses_are_shown_as_text(gina: Visitor, world: World) -> None:
    await connect(world)
    hostile = ResponseChoice("9", HOSTILE, HOSTILE)
    world.procore.offered.append(hostile)
    by_gina = Decider(
        project_id="p-1",
        procore_project_id="88001",
        user_id=GINA.user_id,
        name=HOSTILE,
        party="general_contractor",
    )
    await world.dispositions.propose(by_gina, "not_reviewed", hostile)
    both = await world.dispositions.propose(by_gina, "proceed", hostile)
    by_ada = replace(by_gina, user_id=ADA.user_id, party="prime_consultant")
    await world.dispositions.confirm(by_ada, both.id, despite_looser=False)
    for offered in ([hostile], [replace(hostile, name=f"{HOSTILE} again")], []):
        world.procore.offered = offered
        check_page(await gina.open(f"{HERE}/dispositions"))
        assert "<script>alert" not in gina.answer.text
        assert escape("<script>alert(") in gina.answer.text


POSTS = [
    "/account/integrations/account",
    "/account/integrations/disconnect",
    f"{HERE}/integrations/connect",
    f"{HERE}/integrations/connect/confirm",
    f"{HERE}/integrations/connect/create",
    f"{HERE}/integrations/disconnect",
    f"{HERE}/dispositions/propose",
    f"{HERE}/dispositions/confirm",
    f"{HERE}/dispositions/withdraw",
]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("token", [None, "", "wrong", "of-another"])
async def test_a_form_without_its_own_token_does_nothing(
    gina: Visitor, world: World, path: str, token: str | None
) -> None:
    await connect(world)
    world.sessions.sign_in(ADA)
    foreign = [one.csrf_token for one in world.sessions.visits.values() if one.name == ADA.name]
    sent = foreign[0] if token == "of-another" else token
    await gina.send(path, {} if sent is None else {"csrf_token": sent})
    assert gina.status == 403
    assert "Nothing was done" in gina.text or "nothing was done" in gina.text
    assert world.connections.by_project["p-1"].state == "active"
    assert GINA.user_id in world.grants.by_user


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"csrf_token=%s"),
        ("application/json", b'{"csrf_token": "%s"}'),
        ("application/x-www-form-urlencoded", b"\xff\xfe=1&csrf_token=%s"),
        ("application/x-www-form-urlencoded", b"a=1&" * 100 + b"csrf_token=%s"),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 20_000 + b"&csrf_token=%s"),
    ],
)
async def test_other_bodies_than_a_small_form_are_refused(
    gina: Visitor, world: World, path: str, content_type: str, body: bytes
) -> None:
    await connect(world)
    token = next(iter(world.sessions.visits.values())).csrf_token
    answer = await gina.client.post(
        path, content=body.replace(b"%s", token.encode()), headers={"content-type": content_type}
    )
    assert answer.status_code == 403
    assert world.connections.by_project["p-1"].state == "active"


@pytest.mark.parametrize("path", POSTS)
async def test_a_link_cannot_press_a_button(gina: Visitor, world: World, path: str) -> None:
    await connect(world)
    await gina.open(path)
    assert world.connections.by_project["p-1"].state == "active"
    assert GINA.user_id in world.grants.by_user


async def test_static_files_are_named_by_their_content_and_nothing_else_is_served(
    app: Starlette, gina: Visitor
) -> None:
    await gina.open("/account/integrations")
    sheet = gina.page.find("link", rel="stylesheet")
    assert sheet is not None
    answer = await gina.client.get(str(sheet["href"]))
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    for name in ("..%2frender.py", "pages.css%00", "nothing.css", "%2e%2e/render.py"):
        refused = await gina.client.get(f"/static/{name}")
        assert refused.status_code == 404


@pytest.mark.parametrize(
    ("login_url", "sources"),
    [
        ("http://127.0.0.1:9000", "'self' http://127.0.0.1:9000"),
        ("https://login.procore.com", "'self' https://login.procore.com https://*.procore.com"),
        ("https://procore.com.evil.example", "'self' https://procore.com.evil.example"),
    ],
)
def test_forms_may_lead_to_us_and_to_procores_login_alone(login_url: str, sources: str) -> None:
    assert form_targets(login_url) == sources


async def test_a_head_request_of_a_page_is_answered(gina: Visitor) -> None:
    answer: httpx2.Response = await gina.client.head("/account/integrations")
    assert answer.status_code == 200
