"""The pages in a real Chromium: live progress, no inline code stopped, readable by everybody."""

import asyncio
import json
from collections.abc import AsyncIterator
from importlib import resources
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from starlette.applications import Starlette

from deploy.local.browser import chromium_path
from services.http_server import Site, serving
from services.postgres import Postgres
from tests.pages.fakes import ADA, GINA, World
from tests.pages.mirror_rows import (
    activity_row,
    connect,
    delivery_row,
    in_step,
    project_row,
    record_row,
    sweep_row,
)
from tests.pages.test_completeness_page import comparison_row, difference_row, hold_removals
from token_service.public.ports import Decider

pytestmark = [pytest.mark.postgres, pytest.mark.browser]
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = f"""axe.run(document, {{runOnly: {json.dumps(RULES)}}}).then((found) => JSON.stringify(
  found.violations.map((fault) => [fault.id, fault.nodes.map((node) => node.html)])))"""
PHONE_WIDTH = 320  # WCAG 2.2, 1.4.10: no sideways scrolling
PAGE = "/projects/p-1/integrations"


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture
async def context(
    browser: Browser, app: Starlette, world: World, ending: asyncio.Event
) -> AsyncIterator[BrowserContext]:
    async with serving([Site("public", app, "127.0.0.1", 0)]) as addresses:
        url = addresses["public"].url
        opened = await browser.new_context(base_url=url)
        cookie = world.sessions.sign_in(GINA)
        await opened.add_cookies([{"name": "visit", "value": cookie, "url": url}])
        yield opened
        await opened.close()
        ending.set()


@pytest_asyncio.fixture
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    opened = await context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    yield opened
    assert complaints == []


async def faults(page: Page) -> list[Any]:
    """Return what axe-core finds wrong in both schemes, and pages wider than a phone."""
    session = await page.context.new_cdp_session(page)
    await session.send("Runtime.evaluate", {"expression": AXE, "allowUnsafeEvalBlockedByCSP": True})
    found: list[Any] = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        answer = await session.send(
            "Runtime.evaluate",
            {"expression": RUN_AXE, "awaitPromise": True, "returnByValue": True},
        )
        found += [(scheme, fault) for fault in json.loads(answer["result"]["value"])]
    size = page.viewport_size
    await page.set_viewport_size({"width": PHONE_WIDTH, "height": 700})
    if await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        found.append("wider than a phone")
    if size:
        await page.set_viewport_size(size)
    return found


async def test_the_whole_way_to_a_connection_is_readable_by_everybody(
    page: Page, world: World
) -> None:
    world.grants.authorize(GINA.user_id, "Gina Castellano", "gina@harbourbuild.example")
    await page.goto(PAGE)
    assert await faults(page) == []
    for button, choice in (
        ("Connect", None),
        ("Yes", None),
        ("Continue", "Harbour Build Ltd."),
        ("Continue", "Riverside Public Library"),
        ("Create connection", None),
    ):
        if choice:
            await page.get_by_label(choice).check()
        await page.get_by_role("button", name=button, exact=True).click()
        await page.wait_for_load_state()
        assert await faults(page) == []
    assert world.connections.created == 1
    await expect(page.locator("main")).to_have_attribute("data-state", "backfilling")


async def test_pressing_twice_quickly_makes_one_connection(page: Page, world: World) -> None:
    world.grants.authorize(GINA.user_id, "Gina Castellano", "gina@harbourbuild.example")
    await page.goto(f"{PAGE}/connect/review?company=562&project=88001")
    await page.get_by_role("button", name="Create connection").dblclick()
    await expect(page.locator("main")).to_have_attribute("data-state", "backfilling")
    assert world.connections.created == 1


async def test_progress_moves_without_a_reload_and_ends_in_the_connection(
    page: Page, world: World, mirror: Postgres
) -> None:
    world.grants.authorize(GINA.user_id, "Gina Castellano", "gina@harbourbuild.example")
    await connect(world)
    await project_row(mirror)
    await sweep_row(mirror, "rfi", found=40, done=10, files_found=10)
    await sweep_row(mirror, "submittal", found=7, next_page=2)
    await page.goto(PAGE)
    await page.evaluate("window.stillTheSamePage = true")
    phase = page.locator("[data-show=rfi_phase]")
    await expect(phase).to_have_text("10 of 40 done")
    assert await faults(page) == []
    await sweep_row(mirror, "rfi", found=40, done=25, files_found=10, files_done=5)
    await sweep_row(mirror, "submittal", found=60, done=30)
    await expect(phase).to_have_text("25 of 40 done")
    await expect(page.get_by_role("progressbar", name="RFIs")).to_have_js_property("value", 30)
    submittals = page.get_by_role("progressbar", name="Submittals")
    await expect(submittals).to_have_js_property("max", 60)
    assert await page.evaluate("window.stillTheSamePage")
    await sweep_row(mirror, "rfi", found=40, done=40, backfilled=True)
    await sweep_row(mirror, "submittal", found=60, done=60, backfilled=True)
    await expect(page.locator("main")).to_have_attribute("data-state", "connected")


async def test_a_connected_project_is_readable_by_everybody(
    page: Page, world: World, mirror: Postgres
) -> None:
    world.grants.authorize(GINA.user_id, "Gina Castellano", "gina@harbourbuild.example")
    await in_step(world, mirror)
    await record_row(mirror, "rfi", "1001", number="12", title="Slab edge at grid line 7")
    await comparison_row(mirror, "rfi", equal=99)
    await difference_row(mirror, "1001", "Part3 did not hold the bytes of a.pdf.")
    await hold_removals(mirror, "1001")
    held = {"reason": "not_authorized", "message": "It waits.", "mended_by": {"name": "Ada"}}
    await delivery_row(mirror, "r-1", "held", **held)
    await activity_row(mirror, "A return is held.", return_id="r-1", reason="not_authorized")
    by_ada = Decider(
        project_id="p-1",
        procore_project_id="88001",
        user_id=ADA.user_id,
        name=ADA.name,
        party="prime_consultant",
    )
    await world.dispositions.propose(by_ada, "rejected", world.procore.offered[0])
    await world.dispositions.propose(by_ada, "not_reviewed", world.procore.offered[4])
    for path in (
        PAGE,
        f"{PAGE}?ask=disconnect",
        "/projects/p-1/activity",
        "/projects/p-1/activity?text=nothing",
        "/projects/p-1/dispositions",
        "/projects/p-1/completeness",
        "/account/integrations",
        "/account/integrations?ask=disconnect",
    ):
        await page.goto(path)
        assert (path, await faults(page)) == (path, [])


async def test_progress_comes_back_after_an_outage(
    page: Page, world: World, mirror: Postgres
) -> None:
    world.grants.authorize(GINA.user_id, "Gina Castellano", "gina@harbourbuild.example")
    await connect(world)
    await project_row(mirror)
    await sweep_row(mirror, "rfi", found=40, done=10)
    await page.clock.install()
    await page.route("**/progress", lambda route: route.fulfill(status=204))
    await page.goto(PAGE)
    phase = page.locator("[data-show=rfi_phase]")
    await expect(phase).to_have_text("10 of 40 done")
    await sweep_row(mirror, "rfi", found=40, done=31)
    await page.unroute("**/progress")
    await page.clock.run_for(15_000)
    await expect(phase).to_have_text("31 of 40 done")


async def test_times_are_the_readers_own_and_the_tooltip_says_utc(page: Page, world: World) -> None:
    world.grants.authorize(GINA.user_id, "Gina Castellano", "gina@harbourbuild.example")
    await page.goto("/account/integrations")
    time = page.locator("time").first
    await expect(time).to_have_attribute("title", "3 Nov 2026, 09:30 UTC")
    await expect(time).not_to_have_text("3 Nov 2026, 09:30 UTC")


async def test_typing_narrows_the_projects_at_once(page: Page, world: World) -> None:
    world.grants.authorize(GINA.user_id, "Gina Castellano", "gina@harbourbuild.example")
    await page.goto(f"{PAGE}/connect/project?company=562")
    await page.get_by_label("Search by name or number").fill("100%")
    await expect(page.get_by_label("Quay Street")).to_be_visible()
    await expect(page.get_by_label("Riverside Public Library")).to_be_hidden()
    await expect(page.get_by_role("status")).to_have_text("1 shown")


async def test_everything_can_be_done_with_the_keyboard(page: Page, world: World) -> None:
    world.grants.authorize(GINA.user_id, "Gina Castellano", "gina@harbourbuild.example")
    await page.goto(f"{PAGE}/connect/project?company=562")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Search by name or number")).to_be_focused()
    await page.keyboard.type("riverside")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    outline = "getComputedStyle(document.activeElement.closest('.choice')).outlineStyle"
    assert await page.evaluate(outline) == "solid"
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Review the connection")).to_be_visible()


async def test_a_looser_response_is_confirmed_by_keyboard_only_with_its_tick(
    page: Page, world: World
) -> None:
    await connect(world)
    by_ada = Decider(
        project_id="p-1",
        procore_project_id="88001",
        user_id=ADA.user_id,
        name=ADA.name,
        party="prime_consultant",
    )
    made = await world.dispositions.propose(by_ada, "revise_resubmit", world.procore.offered[0])
    await world.dispositions.confirm(by_ada, made.id, despite_looser=True)
    await page.goto("/projects/p-1/dispositions")
    row = page.get_by_role("row", name="Revise and Resubmit").first
    button = row.get_by_role("button", name="Confirm", exact=True)
    await expect(button).to_have_accessible_description("Revise and Resubmit")
    await button.press("Enter")
    assert await world.dispositions.proposals("p-1", "88001") != []
    await expect(row).to_contain_text("Warning:")
    tick = row.get_by_label("I confirm it although it is looser")
    await expect(tick).to_have_js_property("validity.valueMissing", value=True)
    await tick.press("Space")
    await button.press("Enter")
    await expect(row).to_contain_text("In force")
    await expect(row.get_by_label("Response in Procore for Revise and Resubmit")).to_have_value("1")
