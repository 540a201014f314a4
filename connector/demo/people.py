"""The people of the story, and what each of them does on pages."""

from dataclasses import dataclass, field

import httpx2

from connector.demo.stack import Stack
from connector.demo.visitor import NotOnPage, Upload, Visitor

PASSWORD = "harbour-street"


@dataclass(slots=True)
class Person:
    """Somebody with a browser, an account in Part3 and one in Procore."""

    name: str
    email: str
    stack: Stack
    procore_password: str = PASSWORD
    browser: Visitor = field(init=False)

    def __post_init__(self) -> None:
        self.browser = Visitor(self.name)

    async def log_in_to_part3(self) -> None:
        """Log in with email and password."""
        await self.browser.open(f"{self.stack.part3}/login")
        fields = {"E-mail address": self.email, "Password": PASSWORD}
        await self.browser.press("Log in", fields)

    async def open_part3(self, path: str) -> None:
        """Go to a page of Part3."""
        await self.browser.open(f"{self.stack.part3}{path}")

    async def log_in_to_procore(self) -> None:
        """Log in at Procore's own login page, from its start page or from the consent."""
        fields = {"Email": self.email, "Password": self.procore_password}
        await self.browser.press("Log in", fields)

    async def open_procore(self, path: str) -> None:
        """Go to a page of Procore, logging in when it asks."""
        await self.browser.open(f"{self.stack.procore}{path}")
        if self.browser.has("Log in to Procore"):
            await self.log_in_to_procore()

    async def press_authorize(self) -> None:
        """Press Authorize, log in at Procore, allow, and be back."""
        await self.browser.press("Authorize")
        if self.browser.has("Log in to Procore"):
            await self.log_in_to_procore()
        await self.browser.press("Allow")

    async def authorize(self) -> None:
        """Account settings → Integrations → Authorize → Procore's login → back, authorized."""
        await self.open_part3("/account/integrations")
        await self.browser.follow("Open Procore")
        await self.press_authorize()
        if self.browser.state() != "authorized":
            message = f"{self.name} is not authorized: {self.browser.text()[:400]}"
            raise NotOnPage(message)

    async def return_answer(
        self, record_path: str, fields: dict[str, str | bool], files: dict[str, Upload]
    ) -> None:
        """Open a record in Part3, fill in the return and press Return."""
        await self.open_part3(record_path)
        await self.browser.press("Return", fields, files)


async def accept_invitation(stack: Stack, guest: Person) -> str:
    """Find the invitation among the mails, follow its link and make an account.

    Returns:
        The mail's subject.
    """
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{stack.inbox}/api/messages", params={"to": guest.email})
    mails = answer.json()
    mails = mails["messages"] if isinstance(mails, dict) else mails
    if not mails:
        message = f"no mail has arrived for {guest.email}"
        raise NotOnPage(message)
    await guest.browser.open(f"{stack.inbox}/messages/{mails[0]['id']}")
    await guest.browser.follow("Accept invitation")
    await guest.browser.press("Create account", {"Password": PASSWORD})
    return str(mails[0]["subject"])
