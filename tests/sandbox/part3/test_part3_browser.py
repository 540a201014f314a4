"""The article's path through Part3 in a real browser, by the names people read."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, FilePayload, Page, async_playwright, expect

from deploy.local.browser import chromium_path
from sandbox.part3.settings import DEFAULT_PASSWORD
from tests.sandbox.part3.conftest import MAYA_MAIL, TOKEN, Part3Api, a_record, free_port
from tests.sandbox.part3.programs import environment, running

pytestmark = pytest.mark.browser
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Places:
    """Part3 and the inbox, running, and a browser to visit them with."""

    def __init__(self, part3: str, inbox: str, api: Part3Api, browser: Browser) -> None:
        self.part3, self.inbox, self.api, self.browser = part3, inbox, api, browser

    async def maya(self, *, scripts: bool = True) -> Page:
        context = await self.browser.new_context(java_script_enabled=scripts)
        page = await context.new_page()
        await page.goto(f"{self.part3}/")
        await page.get_by_label("E-mail address").fill(MAYA_MAIL)
        await page.get_by_label("Password").fill(DEFAULT_PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("link", name="Harbour Street Library").click()
        return page


@contextlib.asynccontextmanager
async def open_places(data: Path) -> AsyncIterator[Places]:
    ports = [str(free_port()) for _ in range(3)]
    part3, inbox = (f"http://127.0.0.1:{port}" for port in ports[:2])
    env = environment(
        SANDBOX_PART3_DATA=str(data / "part3"),
        SANDBOX_PART3_PORT=ports[0],
        SANDBOX_INBOX_DATA=str(data / "inbox"),
        SANDBOX_INBOX_PORT=ports[1],
        SMTP_PORT=ports[2],
    )
    async with (
        running("sandbox.part3", part3, env) as client,
        running("sandbox.inbox", inbox, env),
        async_playwright() as playwright,
    ):
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        api = Part3Api(client)
        await api.sandbox("seed")
        path = chromium_path()
        async with await playwright.chromium.launch(executable_path=path, args=FLAGS) as browser:
            yield Places(part3, inbox, api, browser)


async def test_the_contractor_is_invited_and_makes_an_account(tmp_path: Path) -> None:
    async with open_places(tmp_path) as places:
        page = await places.maya(scripts=False)
        await page.get_by_role("link", name="Team").click()
        await page.get_by_role("button", name="+ Company").click()
        await page.get_by_label("Company name").fill("Northside Builders")
        await page.get_by_label("Role").select_option(label="General Contractor")
        await page.get_by_role("button", name="Add company").click()
        company = page.get_by_role("region", name="Northside Builders")
        await company.get_by_role("button", name="Add member").click()
        await page.get_by_label("Name").fill("Dana Whitfield")
        await page.get_by_label("E-mail address").fill("dana@northside.example")
        await page.get_by_label("Send project invitation email").check()
        await page.get_by_role("button", name="Add member").click()
        await expect(page.get_by_role("status")).to_contain_text("dana@northside.example")

        dana = await (await places.browser.new_context()).new_page()
        await dana.goto(places.inbox)
        await dana.get_by_role("link", name="Maya Lindqvist invited you").click()
        await dana.get_by_role("link", name="Accept invitation").click()
        await dana.get_by_label("Password").fill("a good long one")
        await dana.get_by_role("button", name="Create account").click()
        await expect(dana.get_by_role("heading", name="RFIs", exact=True)).to_be_visible()
        await dana.get_by_role("link", name="Settings").click()
        await dana.get_by_role("link", name="Integrations").click()
        opener = dana.get_by_role("link", name="Open")
        await expect(opener).to_have_attribute(
            "href", "/projects/prj_harbour/settings/integrations/open/connection"
        )


async def test_the_architect_returns_and_sees_the_delivery_move_by_itself(tmp_path: Path) -> None:
    async with open_places(tmp_path) as places:
        await places.api.put_record(a_record())
        page = await places.maya()
        await page.get_by_role("link", name="Anchor bolts at grid C4").click()
        await page.get_by_label("Answer").fill("Use M20 anchors.")
        chosen = FilePayload(name="detail.pdf", mimeType="application/pdf", buffer=b"detail")
        await page.get_by_label("Files").set_input_files([chosen])
        await page.get_by_role("button", name="Return").click()
        shown = page.locator("[data-return]")
        await expect(shown).to_contain_text("Sending")
        await expect(shown.get_by_role("link", name="detail.pdf")).to_be_visible()
        return_id = await shown.get_attribute("data-return")
        assert return_id is not None
        await places.api.report(return_id, "held", reason="question_changed")
        await page.get_by_role("button", name="Confirm and send anyway").click()
        await expect(shown).to_contain_text("Sending")
        answer = (await places.api.call("GET", f"/returns/{return_id}")).json()
        assert answer["confirmed_despite"] == ["question_changed"]
        later = "2026-11-24T11:00:00Z"
        receipt = {"procore_id": "5551", "author": {"name": "Maya Lindqvist"}}
        await places.api.report(return_id, "delivered", as_of=later, receipt=receipt)
        await expect(shown).to_contain_text("Delivered")
        await expect(shown).to_contain_text("Receipt from Procore")


async def test_what_somebody_is_typing_stays_while_the_contractor_changes_the_question(
    tmp_path: Path,
) -> None:
    async with open_places(tmp_path) as places:
        await places.api.put_record(a_record(question="<p>Which bolts?</p>"))
        page = await places.maya()
        await page.get_by_role("link", name="Anchor bolts at grid C4").click()
        await page.get_by_label("Answer").fill("Half an ans")
        changed = a_record(question="<p>Which plates?</p>", content_version="cv-2")
        await places.api.put_record(changed)
        await expect(page.get_by_text("The contractor changed this RFI")).to_be_visible()
        assert await page.get_by_label("Answer").input_value() == "Half an ans"
        assert await page.locator("[name=seen_content_version]").input_value() == "cv-1"
        await expect(page.get_by_text("Which bolts?")).to_be_visible()
