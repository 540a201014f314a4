"""The article's story, played through the pages that people use."""

import asyncio
import re
import time

from bs4 import Tag
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from connector.demo.people import Person, accept_invitation
from connector.demo.stack import Stack
from connector.demo.telling import Teller
from connector.demo.visitor import NotOnPage, Upload
from connector.demo.worlds import (
    BUILDERS,
    DANA,
    MAYA,
    PROJECT,
    PROJECT_ID,
    RFIS,
    SUBMITTALS,
    TOMAS,
    seed,
)

BACKFILL_S = 300.0
MIRROR_S = 60.0
DELIVERY_S = 90.0
POLL_S = 0.3
NOT_REVIEWED = "Response in Procore for Not Reviewed"
RECORD_ONLY = "For Record Only (class: for record only)"
REVIEWED = Upload(
    "Reviewed mark-up.txt", b"Reviewed by Lindqvist Architects.\n", "text/plain; charset=utf-8"
)


class Story:
    """Plays the steps in order; a step that does not come true raises NotOnPage."""

    def __init__(self, stack: Stack, teller: Teller) -> None:
        self.stack = stack
        self.tell = teller
        self.maya = Person(*MAYA, stack)
        self.tomas = Person(*TOMAS, stack)
        self.dana = Person(*DANA, stack)
        self.procore_project = ""
        self.answered = ""  # the RFI that Maya answered

    async def play(self) -> None:
        """Play the whole story."""
        await self._seed()
        await self._invite()
        await self._join()
        await self._connect()
        await self._backfill()
        await self._authorize()
        await self._edit_in_procore()
        await self._return_submittal()
        await self._return_rfi()
        await self._hold_and_release()
        await self._agree_on_a_code()
        await self._change_behind_her_back()

    async def close(self) -> None:
        """Close everybody's browser."""
        for person in (self.maya, self.tomas, self.dana):
            await person.browser.close()

    async def _seed(self) -> None:
        with self.tell.step("Two companies are at work") as step:
            made = await seed(self.stack)
            self.procore_project = f"/projects/{made['projects'][0]['id']}"
            step.happened = (
                f"Procore holds {PROJECT} with {RFIS} RFIs and {SUBMITTALS} submittals, with "
                "files; Part3 holds the same project with its design team and no contractor."
            )
            step.where = self.stack.procore

    async def _invite(self) -> None:
        with self.tell.step("The architect invites the general contractor") as step:
            maya = self.maya.browser
            await self.maya.log_in_to_part3()
            await self.maya.open_part3(f"/projects/{PROJECT_ID}/team")
            await maya.press("+ Company")
            await maya.press(
                "Add company", {"Company name": BUILDERS, "Role": "General Contractor"}
            )
            await maya.press(f"Add member to {BUILDERS}")
            name, email = DANA
            await maya.press(
                "Add member",
                {"Name": name, "E-mail address": email, "Send project invitation email": True},
            )
            step.happened = f"Maya added {BUILDERS} as General Contractor and {name} as a member."
            step.where = f"{self.stack.part3}/projects/{PROJECT_ID}/team"

    async def _join(self) -> None:
        with self.tell.step("The invitation arrives and the contractor joins") as step:
            subject = await accept_invitation(self.stack, self.dana)
            step.happened = f"Dana read “{subject}”, followed its link and made her account."
            step.where = self.stack.inbox

    async def _connect(self) -> None:
        with self.tell.step("The contractor connects the project") as step:
            dana = self.dana.browser
            await self.dana.open_part3(f"/projects/{PROJECT_ID}/settings/integrations")
            await dana.follow("Open Procore")
            await dana.press("Connect")
            await self.dana.press_authorize()
            if not dana.has("Confirm your role and permissions"):
                await dana.follow("Continue")
            await dana.press("Yes")
            await dana.press("Continue", {BUILDERS: True})
            await dana.press("Continue", {PROJECT: True}, within="Choose the project")
            await dana.press("Create connection")
            step.happened = (
                "Dana authorized at Procore's login, confirmed her role, chose company and "
                "project, and created the connection."
            )
            step.where = our_pages(self.stack)

    async def _backfill(self) -> None:
        with self.tell.step("Everything comes over for the first time") as step:
            with Progress(
                TextColumn("   {task.description:12}"),
                BarColumn(),
                TextColumn("{task.fields[words]}"),
                TimeElapsedColumn(),
                console=self.tell.console,
                disable=not self.tell.console.is_terminal,
            ) as progress:
                bars = {
                    kind: progress.add_task(kind, total=None, words="")
                    for kind in ("RFIs", "Submittals")
                }
                await self._watch(progress, bars)
            figures = re.findall(r"([\d,]+) (RFIs|submittals) in step", self.dana.browser.text())
            counts = " and ".join(f"{count} {what}" for count, what in figures)
            step.happened = (
                f"{counts} are in Part3, with threads, workflows and files; "
                f"the drafts among Procore's {RFIS} and {SUBMITTALS} stay there."
            )
            step.where = f"{self.stack.part3}/projects/{PROJECT_ID}/rfis"

    async def _watch(self, progress: Progress, bars: dict[str, TaskID]) -> None:
        dana = self.dana.browser
        page = f"{self.stack.pages}/projects/{PROJECT_ID}/integrations"
        until = time.monotonic() + BACKFILL_S
        while True:
            await dana.open(page)
            for label, bar in bars.items():
                shown = dana.page.find("progress", attrs={"data-bar": _bar_of(label)})
                words = dana.page.select_one(f"[data-show={_bar_of(label)}_phase]")
                if words is not None:
                    progress.update(bar, words=words.get_text(strip=True))
                if isinstance(shown, Tag) and shown.get("max"):
                    done, total = float(str(shown["value"])), float(str(shown["max"]))
                    progress.update(bar, completed=done, total=total)
            if dana.state() == "connected":
                for bar in bars.values():
                    progress.update(bar, total=1, completed=1, words="all here")
                return
            if time.monotonic() > until:
                message = f"the backfill is not done: {dana.text()[:600]}"
                raise NotOnPage(message)
            await asyncio.sleep(POLL_S)

    async def _authorize(self) -> None:
        with self.tell.step("The architect authorizes once") as step:
            await self.maya.authorize()
            step.happened = "Maya pressed Authorize, logged in at Procore, allowed it: authorized."
            step.where = f"{self.stack.part3}/account/integrations"

    async def _edit_in_procore(self) -> None:
        with self.tell.step("The contractor edits an RFI in Procore") as step:
            path, title = await self._turn_of(self.maya, "rfis")
            rfi = path.rsplit("/", 1)[1]
            await self.dana.open_procore(f"{self.procore_project}/rfis/{rfi}/edit")
            new_title = f"{title} (revised)"
            await self.dana.browser.press("Save", {"Subject": new_title})
            took = await self._until(self.maya, path, new_title, MIRROR_S)
            step.happened = f"“{new_title}” showed in Part3 {took:.1f} s after Save."
            step.where = f"{self.stack.part3}{path}"

    async def _return_submittal(self) -> None:
        with self.tell.step("The architect returns a submittal") as step:
            path, title = await self._turn_of(self.maya, "submittals")
            fields: dict[str, str | bool] = {
                "Disposition": "Approved as Noted",
                "Comment": "Coordinate anchor spacing with the structural drawings.",
            }
            await self.maya.return_answer(path, fields, {"Files": REVIEWED})
            took = await self._until_delivered(self.maya, path)
            submittal = path.rsplit("/", 1)[1]
            await self.dana.open_procore(f"{self.procore_project}/submittals/{submittal}")
            self._demand(self.dana, "Approved as Noted", "Coordinate anchor spacing", MAYA[0])
            step.happened = f"“{title}” arrived in Procore under Maya's name in {took:.1f} s."
            step.where = f"{self.stack.procore}{self.procore_project}/submittals/{submittal}"

    async def _return_rfi(self) -> None:
        with self.tell.step("The architect returns an RFI") as step:
            path, title = await self._turn_of(self.maya, "rfis")
            fields: dict[str, str | bool] = {"Answer": "Follow detail 5/A-512; see the mark-up."}
            await self.maya.return_answer(path, fields, {"Files": REVIEWED})
            took = await self._until_delivered(self.maya, path)
            rfi = path.rsplit("/", 1)[1]
            await self.dana.open_procore(f"{self.procore_project}/rfis/{rfi}")
            self._demand(self.dana, "Follow detail 5/A-512", REVIEWED.name, MAYA[0])
            self.answered = rfi
            step.happened = f"Her answer to “{title}” is in Procore's thread after {took:.1f} s."
            step.where = f"{self.stack.procore}{self.procore_project}/rfis/{rfi}"

    async def _hold_and_release(self) -> None:
        with self.tell.step("Somebody who has not authorized returns one") as step:
            path = await self._new_rfi_for_tomas()
            await self.tomas.log_in_to_part3()
            fields: dict[str, str | bool] = {"Answer": "Provide 4-#5 dowels at 300 mm on centre."}
            await self.tomas.return_answer(path, fields, {})
            await self._until(self.tomas, path, "Held", DELIVERY_S)
            held = self.tomas.browser.page.select_one("[data-return] .stands p")
            why = " ".join(held.get_text(" ").split()) if held else "it is held"
            step.happened = f"It is held, and says why: {why}"
            step.where = f"{self.stack.part3}{path}"
        with self.tell.step("He authorizes, and it goes by itself") as step:
            await self.tomas.authorize()
            took = await self._until_delivered(self.tomas, path)
            rfi = path.rsplit("/", 1)[1]
            await self.dana.open_procore(f"{self.procore_project}/rfis/{rfi}")
            self._demand(self.dana, "Provide 4-#5 dowels", TOMAS[0])
            step.happened = f"Delivered under Tomás Rivera's name {took:.1f} s after authorizing."
            step.where = f"{self.stack.procore}{self.procore_project}/rfis/{rfi}"

    async def _agree_on_a_code(self) -> None:
        page = f"{self.stack.pages}/projects/{PROJECT_ID}/dispositions"
        with self.tell.step("A code that Procore has no word for is held") as step:
            path, title = await self._turn_of(self.maya, "submittals")
            fields: dict[str, str | bool] = {
                "Disposition": "Not Reviewed",
                "Comment": "Outside our scope; returned without action.",
            }
            await self.maya.return_answer(path, fields, {})
            await self._until(self.maya, path, "Held", DELIVERY_S)
            step.happened = f"“{title}” waits: which response means Not Reviewed, people decide."
            step.where = f"{self.stack.part3}{path}"
        with self.tell.step("Both parties agree on one, and it goes by itself") as step:
            await self.dana.browser.open(page)
            await self.dana.browser.press("Propose", {NOT_REVIEWED: RECORD_ONLY})
            self._demand(self.dana, "Proposed:", MAYA[0])
            await self.maya.browser.open(page)
            await self.maya.browser.press("Confirm")
            self._demand(self.maya, "In force", DANA[0])
            took = await self._until_delivered(self.maya, path)
            step.happened = (
                f"Dana proposed “For Record Only”, Maya confirmed it; delivered {took:.1f} s later."
            )
            step.where = our_pages(self.stack)  # from where people go to the page

    async def _change_behind_her_back(self) -> None:
        with self.tell.step("Somebody deletes an answer in Procore") as step:
            rfi = f"{self.procore_project}/rfis/{self.answered}"
            await self.dana.open_procore(rfi)
            await self.dana.browser.press("Delete reply", within="Follow detail 5/A-512")
            path = f"/projects/{PROJECT_ID}/rfis/{self.answered}"
            took = await self._until(self.maya, path, "The reply was deleted.", DELIVERY_S)
            activity = f"{self.stack.pages}/projects/{PROJECT_ID}/activity"
            await self.maya.browser.open(activity)
            self._demand(self.maya, "is not as it arrived any more")
            await self._open_receipt()
            self._demand(
                self.maya, "Changed since", "The reply was deleted.", "Follow detail 5/A-512"
            )
            step.happened = (
                f"Part3 said so after {took:.1f} s, and by whom; nothing is written back, and the "
                "receipt keeps what Maya returned under its seal."
            )
            step.where = f"{self.stack.part3}{path}"

    async def _open_receipt(self) -> None:
        """Open the receipt of the answer that the newest line of the activity is about."""
        link = self.maya.browser.page.select_one("a[href*='/returns/']")
        if link is None:
            message = f"no receipt is linked on {self.maya.browser.url}"
            raise NotOnPage(message)
        await self.maya.browser.open(str(link["href"]))

    async def _new_rfi_for_tomas(self) -> str:
        """Have Dana ask the engineer in Procore, and return the RFI's path in Part3."""
        await self.dana.open_procore(f"{self.procore_project}/rfis/new")
        subject = "Dowel size at the stair landing"
        form: dict[str, str | bool] = {
            "Subject": subject,
            "Question": "Which dowels are wanted where the landing meets the core wall?",
            "RFI Manager": f"Dana Whitfield ({BUILDERS})",
            "Assignees": "Tomás Rivera (Rivera Structural)",
        }
        await self.dana.browser.press("Create", form)
        rfi = self.dana.browser.url.rsplit("/", 1)[1]
        await self.maya.open_part3(f"/projects/{PROJECT_ID}/rfis")
        await self.maya.browser.wait_for(subject, seconds=MIRROR_S)
        return f"/projects/{PROJECT_ID}/rfis/{rfi}"

    async def _turn_of(self, person: Person, register: str) -> tuple[str, str]:
        """Return path and title of the first record that waits for this person in Part3."""
        await person.open_part3(f"/projects/{PROJECT_ID}/{register}")
        for row in person.browser.page.select("tbody tr"):
            link = row.select_one("td.title a")
            words = row.get_text(" ")
            if link is not None and person.name in words and "In review" in words:
                return str(link["href"]), " ".join(link.get_text(" ").split())
        message = f"nothing among the {register} waits for {person.name}"
        raise NotOnPage(message)

    async def _until(self, person: Person, path: str, words: str, seconds: float) -> float:
        began = time.monotonic()
        await person.open_part3(path)
        await person.browser.wait_for(words, seconds=seconds, step_s=POLL_S)
        return time.monotonic() - began

    async def _until_delivered(self, person: Person, path: str) -> float:
        return await self._until(person, path, "Receipt from Procore", DELIVERY_S)

    def _demand(self, person: Person, *words: str) -> None:
        for one in words:
            if not person.browser.has(one):
                message = f"“{one}” is not on {person.browser.url}"
                raise NotOnPage(message)


def _bar_of(label: str) -> str:
    return "rfi" if label == "RFIs" else "submittal"


def our_pages(stack: Stack) -> str:
    """Return the address in Part3 that leads to our pages, whether one is logged in or not."""
    return f"{stack.part3}/projects/{PROJECT_ID}/settings/integrations"


LOGINS = [
    (name, email, what)
    for (name, email), what in (
        (DANA, "general contractor, Admin in Procore"),
        (MAYA, "architect, authorized"),
        (TOMAS, "engineer, authorized at the end"),
    )
]
