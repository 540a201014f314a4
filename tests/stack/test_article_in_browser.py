"""The article from its invitation to the last receipt, by people at real browsers."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, FilePayload, Locator, expect

from connector.demo.people import PASSWORD
from connector.demo.stack import Stack
from connector.demo.worlds import (
    BUILDERS,
    DANA,
    MAYA,
    PROJECT,
    PROJECT_ID,
    RFIS,
    SUBMITTALS,
    TOMAS,
)
from tests.stack.browsing import PATIENCE_MS, Person, at_a_browser
from tests.stack.health import assert_in_health
from tests.stack.pictures import Pictures

pytestmark = [
    pytest.mark.stack,
    pytest.mark.browser,
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),
]
HERE = f"/projects/{PROJECT_ID}"
REVISED = " (revised)"
LANDING = "Dowel size at the stair landing"
MARK_UP: FilePayload = {
    "name": "Reviewed mark-up.pdf",
    "mimeType": "application/pdf",
    "buffer": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n",
}
SLOW = [{"kind": "latency", "method": "GET", "path": r"/rfis/\d+$", "delay_s": 1.2}]


@dataclass(slots=True)
class Scene:
    """The three people, each at a browser of their own, and the project they meet in."""

    stack: Stack
    pictures: Pictures
    maya: Person
    dana: Person
    tomas: Person
    procore_project: str
    shared: tuple[int, int] = (0, 0)
    """How many RFIs and submittals both sides have to hold: Procore's without its drafts."""


@asynccontextmanager
async def the_scene(chromium: Browser, stack: Stack, world: dict[str, Any]) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as open_browsers:

        async def sit_down(name: str, email: str) -> Person:
            return await open_browsers.enter_async_context(
                at_a_browser(chromium, stack, name, email)
            )

        project = f"/projects/{world['projects'][0]['id']}"
        yield Scene(
            stack=stack,
            pictures=Pictures(),
            maya=await sit_down(*MAYA),
            dana=await sit_down(*DANA),
            tomas=await sit_down(*TOMAS),
            procore_project=project,
        )


async def test_the_article_from_invitation_to_receipt(
    chromium: Browser, shared_stack: Stack, story_world: dict[str, Any]
) -> None:
    async with the_scene(chromium, shared_stack, story_world) as scene:
        await the_consultant_invites_the_contractor(scene)
        await the_contractor_joins_by_the_mail(scene)
        await the_contractor_connects_the_project(scene)
        await everything_comes_over_while_she_watches(scene)
        await the_architect_authorizes_once(scene)
        await an_edit_in_procore_shows_in_part3(scene)
        await a_submittal_goes_back(scene)
        await an_rfi_is_answered(scene)
        await an_answer_is_held_until_its_author_authorizes(scene)
        await the_activity_tells_all_of_it(scene)
        await disconnecting_keeps_both_copies(scene)
        await connecting_again_makes_no_second_copies(scene)
        await assert_in_health(shared_stack)


async def the_consultant_invites_the_contractor(scene: Scene) -> None:
    maya = scene.maya
    await maya.log_in_to_part3()
    await maya.link(PROJECT).click()
    await maya.link("Team").click()
    await maya.button("+ Company").click()
    await maya.page.get_by_label("Company name").fill(BUILDERS)
    await maya.page.get_by_label("Role").select_option(label="General Contractor")
    await maya.button("Add company").click()
    await maya.button(f"Add member to {BUILDERS}").click()
    name, email = DANA
    await maya.page.get_by_label("Name", exact=True).fill(name)
    await maya.page.get_by_label("E-mail address").fill(email)
    await maya.page.get_by_label("Send project invitation email").check()
    await maya.button("Add member").click()
    company = maya.page.get_by_role("region", name=BUILDERS)
    await expect(company).to_contain_text("General Contractor")
    await expect(company.get_by_text("Invited", exact=True)).to_be_visible()


async def the_contractor_joins_by_the_mail(scene: Scene) -> None:
    dana = scene.dana
    await dana.page.goto(scene.stack.inbox)
    await dana.page.get_by_role("listitem").filter(has_text=dana.email).get_by_role("link").click()
    await dana.link("Accept invitation").click()
    await dana.page.get_by_label("Password").fill(PASSWORD)
    await dana.button("Create account").click()
    await expect(dana.page.get_by_role("navigation", name="Project")).to_be_visible()
    await scene.maya.page.reload()
    company = scene.maya.page.get_by_role("region", name=BUILDERS)
    await expect(company.get_by_text("Joined", exact=True)).to_be_visible()


async def the_contractor_connects_the_project(scene: Scene) -> None:
    dana = scene.dana
    await dana.link("Settings").click()
    await dana.link("Integrations").click()
    await dana.link("Open Procore").click()
    await dana.expect_page("project-integrations", "not_connected")
    await dana.button("Connect").click()
    await dana.authorize()
    await walk_to_the_review(scene, search="24-017", rfis=RFIS)
    await slow_procore_down(scene.stack, SLOW)
    await dana.button("Create connection").click()


async def walk_to_the_review(scene: Scene, *, search: str, rfis: int) -> None:
    """From the confirmation to the summary, each step by the words on it."""
    dana = scene.dana
    await dana.expect_page("project-integrations", "connecting")
    question = dana.page.get_by_role("heading", name="Confirm your role and permissions")
    await expect(question).to_be_visible()
    await dana.button("Yes").click()
    await dana.expect_page("project-integrations", "connecting")
    await dana.choose(BUILDERS)
    await dana.expect_page("project-integrations", "connecting")
    box = dana.page.get_by_label("Search by name or number")
    await box.press_sequentially("harbour")  # narrows the list while she types
    await expect(dana.page.get_by_role("radio")).to_have_count(2)
    await dana.page.get_by_role("radio", name=PROJECT, exact=True).check()
    await scene.pictures.take(dana.page, "connect-project")
    await box.fill(search)
    await dana.button("Search").click()  # asks the server
    await expect(dana.page.get_by_role("radio")).to_have_count(1)
    await dana.page.get_by_role("radio", name=PROJECT, exact=True).check()
    await dana.button("Continue").click()
    await dana.expect_page("project-integrations", "connecting")
    review = dana.page.get_by_role("region", name="Review the connection")
    await expect(review).to_contain_text(f"{rfis} RFIs")
    await expect(review).to_contain_text(f"{SUBMITTALS} submittals")


async def everything_comes_over_while_she_watches(scene: Scene) -> None:
    dana = scene.dana
    await dana.expect_page("project-integrations", "backfilling")
    await dana.page.evaluate("window.stillTheSamePage = true")
    bar = dana.page.get_by_role("progressbar", name="RFIs")
    await expect(bar).to_have_attribute("max", re.compile(r"\d+"))
    early = float(await bar.get_attribute("value") or 0)
    await dana.page.wait_for_function(
        "([bar, before]) => bar.value > before && bar.value > bar.max / 2",
        arg=[await bar.element_handle(), early],
    )
    await expect(dana.page.get_by_text(re.compile(r"minutes? left$"))).to_be_visible()
    assert await dana.page.evaluate("window.stillTheSamePage"), "the bar moves without a reload"
    await scene.pictures.take(dana.page, "backfill")
    await scene.pictures.take(dana.page, "backfill-dark", scheme="dark")
    await slow_procore_down(scene.stack, [])
    await dana.expect_page("project-integrations", "connected")
    scene.shared = await opened_in_procore(scene)
    await open_integrations(scene)
    await expect(dana.page.get_by_text(f"{scene.shared[0]} RFIs in step")).to_be_visible()
    await expect(dana.page.get_by_text(f"{scene.shared[1]} submittals in step")).to_be_visible()
    assert await records_in_part3(scene) == scene.shared


async def the_architect_authorizes_once(scene: Scene) -> None:
    maya = scene.maya
    await maya.page.get_by_role("link", name="your account").click()
    await maya.link("Integrations").click()
    await maya.link("Open Procore").click()
    await maya.authorize()
    await maya.expect_page("account-integrations", "authorized")
    await expect(maya.page.get_by_text("Authorized", exact=True)).to_be_visible()
    await maya.link("Back to Part3").click()
    await expect(maya.page.get_by_role("heading", name="Projects")).to_be_visible()


async def an_edit_in_procore_shows_in_part3(scene: Scene) -> None:
    maya, dana = scene.maya, scene.dana
    record = await first_of_my_turn(maya, "rfis")
    await dana.open_procore(f"{scene.procore_project}/rfis/{record}")
    await dana.link("Edit").click()
    subject = await dana.page.get_by_label("Subject").input_value() + REVISED
    await dana.page.get_by_label("Subject").fill(subject)
    await dana.button("Save").click()
    await expect(dana.page.get_by_role("heading", name=subject)).to_be_visible()
    await maya.link("Show the latest").click()  # comes up on the page that is open
    await expect(maya.page.get_by_role("heading", name=subject)).to_be_visible()


async def a_submittal_goes_back(scene: Scene) -> None:
    maya, dana = scene.maya, scene.dana
    record = await first_of_my_turn(maya, "submittals")
    await maya.page.get_by_label("Disposition").select_option(label="Approved as Noted")
    words = "Coordinate anchor spacing with the structural drawings."
    await maya.page.get_by_label("Comment").fill(words)
    await maya.page.get_by_label("Team-only note").fill("Fee is discussed on Monday.")
    await maya.page.get_by_label("Files optional").set_input_files(MARK_UP)
    await maya.button("Return").click()
    await delivered_with_receipt(maya, "Approved as Noted")
    await scene.pictures.take(maya.page, "return-delivered")
    await dana.open_procore(f"{scene.procore_project}/submittals/{record}")
    step = dana.page.get_by_role("row").filter(has_text=words)
    for shown in (MAYA[0], "Approved as Noted", MARK_UP["name"]):
        await expect(step).to_contain_text(shown)
    await expect(step).not_to_contain_text("answered by")
    await expect(dana.page.get_by_role("main")).not_to_contain_text("Fee is discussed")


async def an_rfi_is_answered(scene: Scene) -> None:
    maya, dana = scene.maya, scene.dana
    record = await first_of_my_turn(maya, "rfis")
    words = "Follow detail 5/A-512; see the mark-up."
    await maya.page.get_by_label("Answer").fill(words)
    await maya.page.get_by_label("Files optional").set_input_files(MARK_UP)
    await maya.button("Return").click()
    await delivered_with_receipt(maya, words)
    await dana.open_procore(f"{scene.procore_project}/rfis/{record}")
    reply = dana.page.get_by_role("article").filter(has_text=words)
    await expect(reply).to_have_count(1)
    for shown in (MAYA[0], MARK_UP["name"]):
        await expect(reply).to_contain_text(shown)


async def an_answer_is_held_until_its_author_authorizes(scene: Scene) -> None:
    tomas, dana = scene.tomas, scene.dana
    await ask_the_engineer(scene)
    record = record_of(dana)
    await tomas.log_in_to_part3()
    await tomas.open_part3(f"{HERE}/rfis")
    await tomas.link(LANDING).click()  # comes up on the register that is open
    words = "Provide 4-#5 dowels at 300 mm on centre."
    await tomas.page.get_by_label("Answer").fill(words)
    await tomas.page.get_by_label("Files optional").set_input_files(MARK_UP)
    await tomas.button("Return").click()
    answer = my_return(tomas)
    await expect(answer).to_have_attribute("data-state", "held", timeout=PATIENCE_MS)
    await expect(answer).to_contain_text(re.compile("authoriz", re.IGNORECASE))
    await the_held_one_is_found(scene)
    await tomas.link("Authorize Procore").click()
    await tomas.link("Open Procore").click()
    await tomas.authorize()
    await tomas.expect_page("account-integrations", "authorized")
    await tomas.open_part3(f"{HERE}/rfis/{record}")
    await delivered_with_receipt(tomas, words)
    await dana.open_procore(f"{scene.procore_project}/rfis/{record}")
    reply = dana.page.get_by_role("article").filter(has_text=words)
    await expect(reply).to_have_count(1)
    await expect(reply).to_contain_text(TOMAS[0])
    await scene.pictures.take(dana.page, "procore-rfi")


async def ask_the_engineer(scene: Scene) -> None:
    dana = scene.dana
    await dana.open_procore(f"{scene.procore_project}/rfis/new")
    await dana.page.get_by_label("Subject").fill(LANDING)
    await dana.page.get_by_label("Question").fill("Which dowels are wanted at the core wall?")
    await dana.page.get_by_label("Assignees").select_option(
        label="Tomás Rivera (Rivera Structural)"
    )
    await dana.button("Create").click()
    await expect(dana.page.get_by_role("heading", name=LANDING)).to_be_visible()
    scene.shared = (scene.shared[0] + 1, scene.shared[1])


async def the_held_one_is_found(scene: Scene) -> None:
    """The activity says what is held and who can mend it, and `Held only` leaves nothing else."""
    dana = scene.dana
    await open_integrations(scene)
    await expect(dana.page.get_by_text("1 return held")).to_be_visible()
    await dana.link("Activity").click()
    await dana.expect_page("activity")
    held = dana.page.get_by_role("region", name="Held returns")
    for shown in (LANDING, TOMAS[0], "Who can mend it:"):
        await expect(held).to_contain_text(shown)
    await scene.pictures.take(dana.page, "activity")
    entries = dana.page.get_by_role("list", name="Newest first").get_by_role("listitem")
    assert await entries.count() > 1
    await dana.page.get_by_label("Held only").check()
    await dana.button("Filter").click()
    await expect(entries).to_have_count(1)
    await expect(entries).to_contain_text(LANDING)


async def the_activity_tells_all_of_it(scene: Scene) -> None:
    dana = scene.dana
    await open_integrations(scene)
    await scene.pictures.take(dana.page, "connected")
    await scene.pictures.take(dana.page, "connected-phone", phone=True)
    await expect(dana.page.get_by_text("3 returns delivered")).to_be_visible()
    await dana.link("Activity").click()
    await dana.expect_page("activity")
    await expect(dana.page.get_by_role("region", name="Held returns")).to_have_count(0)
    log = dana.page.get_by_role("list", name="Newest first")
    for shown in (MAYA[0], TOMAS[0], LANDING, REVISED):
        await expect(log.get_by_role("listitem").filter(has_text=shown)).not_to_have_count(0)
    await dana.page.get_by_label("Number, title or words").fill("no record has these words")
    await dana.button("Filter").click()
    await expect(dana.page.get_by_text("Nothing fits this filter.")).to_be_visible()


async def disconnecting_keeps_both_copies(scene: Scene) -> None:
    dana = scene.dana
    await open_integrations(scene)
    await dana.button("Disconnect").click()
    question = dana.page.get_by_role("heading", name="Disconnect this project from Procore?")
    await expect(question).to_be_visible()
    await dana.expect_page("project-integrations", "connected")
    await dana.page.get_by_label("Also end my authorization with Procore").uncheck()
    await dana.button("Disconnect").click()
    await dana.expect_page("project-integrations", "disconnected")
    assert await records_in_part3(scene) == scene.shared
    assert await opened_in_procore(scene) == scene.shared


async def connecting_again_makes_no_second_copies(scene: Scene) -> None:
    dana = scene.dana
    await open_integrations(scene)
    await dana.expect_page("project-integrations", "disconnected")
    await dana.button("Connect").click()
    await walk_to_the_review(scene, search=PROJECT, rfis=RFIS + 1)
    await dana.button("Create connection").click()
    await dana.expect_page("project-integrations", "connected")
    await expect(dana.page.get_by_text(f"{scene.shared[0]} RFIs in step")).to_be_visible()
    assert await records_in_part3(scene) == scene.shared


async def slow_procore_down(stack: Stack, rules: list[dict[str, Any]]) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{stack.procore}/_sandbox/faults", json={"rules": rules})
        answer.raise_for_status()


async def open_integrations(scene: Scene) -> None:
    """Project → Settings → Integrations → Procore, as everybody comes there."""
    dana = scene.dana
    await dana.open_part3(HERE)
    await dana.link("Settings").click()
    await dana.link("Integrations").click()
    await dana.link("Open Procore").click()
    await dana.expect_page("project-integrations")


async def records_in_part3(scene: Scene) -> tuple[int, int]:
    """How many RFIs and submittals Part3's registers count."""
    counts = []
    for register, words in (("rfis", "RFIs"), ("submittals", "Submittals")):
        await scene.maya.open_part3(f"{HERE}/{register}")
        shown = scene.maya.page.get_by_text(re.compile(rf"^\d+ {words}$"))
        counts.append(int((await shown.inner_text()).split()[0]))
    return counts[0], counts[1]


async def opened_in_procore(scene: Scene) -> tuple[int, int]:
    """How many RFIs and submittals Procore's logs list, without drafts."""
    counts = []
    for register in ("rfis", "submittals"):
        await scene.dana.open_procore(f"{scene.procore_project}/{register}")
        rows = scene.dana.page.locator("tbody").get_by_role("row")
        drafts = rows.filter(has=scene.dana.page.get_by_text(re.compile(r"^(Closed-)?Draft$")))
        counts.append(await rows.count() - await drafts.count())
    return counts[0], counts[1]


async def first_of_my_turn(person: Person, register: str) -> str:
    """Open the first record of the register that waits for this person; return its id."""
    await person.open_part3(f"{HERE}/{register}")
    open_to_me = person.page.get_by_role("row").filter(has_text="Your turn")
    mine = open_to_me.filter(has_text=person.name).first  # with the ball in their court
    await mine.get_by_role("link").click()
    await expect(person.page.get_by_role("link", name="Back to the register")).to_be_visible()
    return record_of(person)


def record_of(person: Person) -> str:
    return person.page.url.rsplit("/", 1)[1]


def my_return(person: Person) -> Locator:
    return person.page.get_by_role("article").filter(has_text="Returned").first


async def delivered_with_receipt(person: Person, words: str) -> None:
    """Wait for the open page to say so by itself, and read what Procore gave back."""
    answer = my_return(person)
    await expect(answer).to_have_attribute("data-state", "delivered", timeout=PATIENCE_MS)
    await answer.get_by_text("Receipt from Procore").click()
    receipt = answer.get_by_role("group")
    await expect(receipt).to_contain_text(person.name)
    await expect(receipt).to_contain_text(words)
