"""Runs a probe on the stand-in: who sits at the terminal, what they agree to, what came of it."""

import html
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from msgspec.structs import replace
from starlette.applications import Starlette

from connector.probe.answers import Answers, read_answers
from connector.probe.authorizing import OUT_OF_BAND, App
from connector.probe.command import Wishes, probed
from sandbox.procore.domain import accounts
from sandbox.procore.world import World
from services.settings import Secret
from tests.sandbox.procore.site import (
    API,
    ARCHITECT,
    CLIENT_ID,
    CLIENT_SECRET,
    MANAGER,
    Client,
    Site,
)

CODE = re.compile(r"<code[^>]*>([^<]+)</code>")
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


@dataclass
class Sitting:
    """Somebody at the terminal who authorizes at a browser of their own.

    Attributes:
        told: what they answer to a question that holds a word.
        declines: writes whose words hold one of these are not agreed to.
    """

    app: Starlette
    told: dict[str, str] = field(default_factory=dict)
    declines: tuple[str, ...] = ()
    second_login: str = ARCHITECT
    said: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)

    def say(self, words: str) -> None:
        self.said.append(words)

    async def ask(self, question: str) -> str:
        if question.startswith("Paste"):
            second = "the second" in self.said[-2]
            return await self._authorize(
                self.said[-1].strip(), self.second_login if second else MANAGER
            )
        return next((words for part, words in self.told.items() if part in question), "")

    async def choose(self, question: str, options: list[tuple[str, str]]) -> str:
        return options[0][0]

    async def agree(self, write: str) -> bool:
        self.writes.append(write)
        return not any(part in write for part in self.declines)

    async def _authorize(self, url: str, login: str) -> str:
        transport = httpx2.ASGITransport(app=self.app)
        async with httpx2.AsyncClient(transport=transport, base_url=API) as browser:
            asked = await browser.get(url)
            page = await browser.get(asked.headers["location"])
            form = {**_hidden(page.text), "email": login, "password": "procore"}
            entered = await browser.post("/login", data=form)
            page = await browser.get(entered.headers["location"])
            form = {**_hidden(page.text), "decision": "allow"}
            shown = await browser.post("/oauth/authorize", data=form)
        found = CODE.search(shown.text)
        assert found is not None, shown.text
        return found[1].strip()


def _hidden(page: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in HIDDEN.findall(page)}


@dataclass
class Bench:
    """A stand-in for Procore, and what is needed to probe it."""

    world: World
    http: httpx2.AsyncClient
    starlette: Starlette
    folder: Path

    def switch(self, **switches: Any) -> None:
        self.world.set_switches(replace(self.world.switches, **switches))

    def person(self, **how: Any) -> Sitting:
        return Sitting(self.starlette, **how)

    @property
    def app(self) -> App:
        return App(
            login_url=API,
            api_url=API,
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
            redirect_uri=OUT_OF_BAND,
        )

    def __post_init__(self) -> None:
        self.bearers: set[str] = set()
        self.own_grants: set[str] = set()
        self.http.event_hooks["request"].append(self._note)

    async def _note(self, request: httpx2.Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            self.bearers.add(token)

    async def client(self) -> Client:
        """The project's manager, by a token that the probe has nothing to do with."""
        site = Site(self.world, self.http)
        assert site.app is not None
        code = accounts.issue_code(self.world, site.app, site.person(MANAGER), OUT_OF_BAND)
        pair = accounts.redeem_code(self.world, site.app, code, OUT_OF_BAND)
        self.own_grants.add(accounts.fingerprint(pair["access_token"]))
        return Client(site, pair["access_token"])

    async def submittal_in_a_package(self) -> int:
        """Make one, and return its id."""
        client = await self.client()
        package = client.site.project.packages[0].id
        made = await client.new_submittal(submittal_package_id=package)
        self.bearers.discard(client.token)
        return int(made["id"])

    def fault(self, **rule: Any) -> None:
        """Let one fault strike from now on, or none."""
        self.world.set_faults(1, [rule] if rule else [])

    def calls(self) -> list[dict[str, Any]]:
        return self.world.store.rows("SELECT * FROM calls ORDER BY id")

    def forget_calls(self) -> None:
        self.world.store.run("DELETE FROM calls")

    async def ends_well(self, *only: int, person: Sitting | None = None) -> bool:
        """Probe, and tell with what the command would end."""
        return await self._probed(only, person or self.person(), second=False)

    def answers(self) -> Answers:
        return read_answers(self.folder / "answers.json", run="0a1b2c")

    async def probe(
        self, *only: int, person: Sitting | None = None, second: bool = False
    ) -> dict[str, dict[str, Any]]:
        """Probe, and return the report's parts by their keys."""
        await self._probed(only, person or self.person(), second=second)
        return {part["key"]: part for one in self.report()["unknowns"] for part in one["parts"]}

    async def _probed(self, only: tuple[int, ...], person: Sitting, *, second: bool) -> bool:
        wishes = Wishes(
            folder=self.folder,
            company_id="",
            project_id="",
            other_id="",
            hook_url="https://nobody.invalid/",
            second=second,
            only=frozenset(only),
            event_wait_s=0.05,
            settle_s=0.0,
            poll_s=0.01,
        )
        answers = self.answers()
        answers.kept.began_at = answers.kept.began_at or "2020-01-01T00:00:00Z"
        return await probed(self.app, person, wishes, answers, self.http)

    def report(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.folder / "report.json").read_bytes())
        return read
