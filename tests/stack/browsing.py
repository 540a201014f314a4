"""People at a real browser of their own: what they do on pages, and what the pages complain of."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, expect

from connector.demo.people import PASSWORD
from connector.demo.stack import Stack

# Two cores may be busy with other tests; nothing here asserts how quick a page is.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS / 2)
VIEW = {"width": 1280, "height": 800}


@dataclass(slots=True)
class Person:
    """Somebody with accounts in Part3 and Procore, and one window open."""

    name: str
    email: str
    stack: Stack
    page: Page
    complaints: list[str] = field(default_factory=list)

    def button(self, name: str) -> Locator:
        """Return the one button of this accessible name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        """Return the one link of this accessible name."""
        return self.page.get_by_role("link", name=name, exact=True)

    async def log_in_to_part3(self) -> None:
        await self.page.goto(f"{self.stack.part3}/login")
        await self.page.get_by_label("E-mail address").fill(self.email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.button("Log in").click()
        await expect(self.page.get_by_role("heading", name="Projects")).to_be_visible()

    async def open_part3(self, path: str) -> None:
        await self.page.goto(f"{self.stack.part3}{path}")

    async def open_procore(self, path: str) -> None:
        """Go to a page of Procore, logging in where it asks."""
        await self.page.goto(f"{self.stack.procore}{path}")
        if await self.page.get_by_role("heading", name="Log in to Procore").count():
            await self.log_in_to_procore()

    async def log_in_to_procore(self) -> None:
        await self.page.get_by_label("Email").fill(self.email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.button("Log in").click()

    async def authorize(self) -> None:
        """Press Authorize on the page that is open, log in at Procore, and allow."""
        await self.expect_page("account-integrations", "not_authorized")
        await self.button("Authorize").click()
        await expect(self.page.get_by_role("heading", name="Log in to Procore")).to_be_visible()
        assert self.page.url.startswith(self.stack.procore), "passwords are for Procore alone"
        await self.log_in_to_procore()
        consent = self.page.get_by_role("heading", name="Allow access to your Procore account?")
        await expect(consent).to_be_visible()
        await self.button("Allow").click()
        await self.page.wait_for_url(re.compile(re.escape(self.stack.pages)))

    async def choose(self, label: str) -> None:
        """Check the radio button of this label, and go on."""
        await self.page.get_by_role("radio", name=label, exact=True).check()
        await self.button("Continue").click()

    async def expect_page(self, page: str, state: str | None = None) -> None:
        """Wait for a page of the connector by its `data-page`, and for its `data-state`."""
        main = self.page.get_by_role("main")
        await expect(main).to_have_attribute("data-page", page)
        if state is not None:
            await expect(main).to_have_attribute("data-state", state, timeout=PATIENCE_MS)


@asynccontextmanager
async def at_a_browser(
    browser: Browser, stack: Stack, name: str, email: str, **options: Any
) -> AsyncIterator[Person]:
    """Open a browser of somebody's own; on the way out no page may have complained.

    Complaints are errors of scripts, what the console calls an error or a warning (a broken
    Content-Security-Policy is one), and every answer of 400 and above.
    """
    context = await browser.new_context(**{"viewport": VIEW, "locale": "en-CA"} | options)
    context.set_default_timeout(PATIENCE_MS / 2)
    page = await context.new_page()
    person = Person(name, email, stack, page)

    def listen(said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            person.complaints.append(f"{page.url}: {said.text}")

    page.on("console", listen)
    page.on("pageerror", lambda error: person.complaints.append(f"{page.url}: {error}"))
    page.on(
        "response",
        lambda answer: (
            person.complaints.append(f"{answer.request.method} {answer.url}: {answer.status}")
            if answer.status >= 400
            else None
        ),
    )
    yield person
    await context.close()
    assert not person.complaints, "\n".join(person.complaints)
