"""A connected project on a whole system, for tests that break parts of it and look at both sides.

What is true is read from the stand-ins' ledgers and from Procore's own API, never from us.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2

from connector.demo.people import PASSWORD, Person
from connector.demo.stack import Stack
from connector.demo.worlds import BUILDERS, DANA, MAYA, PROJECT, PROJECT_ID, TOMAS, seed
from services.postgres import open_postgres
from services.service_tokens import issue_service_token
from services.settings import Reader

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long anything may take on a busy machine before it counts as lost; nothing asserts speed."""

QUICK = {
    # Long sweeps, so that what arrives was brought by an event; the rest as short as it may be.
    "LOG_LEVEL": "debug",  # nothing may show there either: test_no_canary_shows.py
    "LOOK_DELAY_S": "0.3",
    "SETTLE_S": "3",
    "SWEEP_S": "3600",
    "RECHECK_S": "1",
    "RETRY_MAX_S": "2",
    "WRITE_DEADLINE_S": "3",
    "QUIET_S": "6",
    "KAFKA_SESSION_TIMEOUT_S": "6",
}
CALL_TIMEOUT_S = 20.0
TAIL_CHARACTERS = 3000


@dataclass(slots=True)
class Site:
    """A system with the article's people and their project at work on it."""

    stack: Stack
    http: httpx2.AsyncClient
    made: dict[str, Any]  # what Procore was seeded with
    dana: Person = field(init=False)
    maya: Person = field(init=False)
    tomas: Person = field(init=False)

    def __post_init__(self) -> None:
        self.dana = Person(*DANA, self.stack)
        self.maya = Person(*MAYA, self.stack)
        self.tomas = Person(*TOMAS, self.stack)

    async def close(self) -> None:
        for person in (self.dana, self.maya, self.tomas):
            await person.browser.close()

    async def mend(self) -> None:
        """End every fault, put Procore's switches back, and start again whatever does not run."""
        await self.procore_faults()
        answer = await self.http.delete(f"{self.stack.procore}/_sandbox/switches")
        answer.raise_for_status()
        await self.part3_faults()
        for name in ("gateway", "token-service", "worker-1"):
            program = self.stack.program(name)
            program.resume()
            if not program.is_running:
                await program.start()

    # ------------------------------------------------------------------ people

    @property
    def procore_project(self) -> int:
        return int(self.made["projects"][0]["id"])

    @property
    def procore_company(self) -> int:
        return int(self.made["projects"][0]["company_id"])

    def procore_id_of(self, person: Person) -> int:
        found = next(one for one in self.made["people"] if one["email"] == person.email)
        return int(found["id"])

    async def connect(self) -> None:
        """Let Dana in, and have her connect the project; the backfill begins."""
        name, email = DANA
        await self.part3_sandbox(
            "members",
            {
                "project_id": PROJECT_ID,
                "company": BUILDERS,
                "role": "general_contractor",
                "name": name,
                "email": email,
                "password": PASSWORD,
            },
        )
        dana = self.dana.browser
        await self.dana.log_in_to_part3()
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

    async def until_backfilled(self) -> None:
        async def state() -> bool:
            await self.dana.browser.open(f"{self.stack.pages}/projects/{PROJECT_ID}/integrations")
            return self.dana.browser.state() == "connected"

        await self.until("the project is connected", state)

    async def authorize(self, person: Person) -> None:
        await person.log_in_to_part3()
        await person.authorize()

    # ----------------------------------------------------------------- Procore

    async def ask_rfi(self, subject: str) -> str:
        """Have Dana ask Maya something in Procore; return the RFI's id."""
        await self.dana.open_procore(f"/projects/{self.procore_project}/rfis/new")
        form: dict[str, str | bool] = {
            "Subject": subject,
            "Question": f"How is this to be built: {subject}?",
            "RFI Manager": f"Dana Whitfield ({BUILDERS})",
            "Assignees": "Maya Lindqvist (Lindqvist Architects)",
        }
        await self.dana.browser.press("Create", form)
        return self.dana.browser.url.rsplit("/", 1)[1]

    async def send_submittal(self, title: str) -> str:
        """Have Dana send Maya something to review in Procore; return the submittal's id."""
        await self.dana.open_procore(f"/projects/{self.procore_project}/submittals/new")
        form: dict[str, str | bool] = {
            "Title": title,
            "Description": f"Shop drawings for review: {title}.",
            "Approvers of step 1": "Maya Lindqvist (Lindqvist Architects)",
        }
        await self.dana.browser.press("Create", form)
        return self.dana.browser.url.rsplit("/", 1)[1]

    async def rename_rfi(self, rfi_id: str, subject: str) -> None:
        await self.dana.open_procore(f"/projects/{self.procore_project}/rfis/{rfi_id}/edit")
        await self.dana.browser.press("Save", {"Subject": subject})

    async def rename_submittal(self, submittal_id: str, title: str) -> None:
        path = f"/projects/{self.procore_project}/submittals/{submittal_id}/edit"
        await self.dana.open_procore(path)
        await self.dana.browser.press("Save", {"Title": title})

    async def procore_faults(self, *rules: Mapping[str, Any], seed: int = 7) -> None:
        await self._post(
            f"{self.stack.procore}/_sandbox/faults", {"seed": seed, "rules": list(rules)}
        )

    async def procore_switches(self, **choices: Any) -> None:
        await self._post(f"{self.stack.procore}/_sandbox/switches", choices)

    async def advance_procore(self, seconds: float) -> None:
        """Move Procore's clock: its deadlines, back-off, tokens and updated_at follow.

        It is never put back: a record would seem to go to an older state.
        """
        await self._post(f"{self.stack.procore}/_sandbox/clock", {"advance_s": seconds})

    async def procore_ledger(self) -> dict[str, list[dict[str, Any]]]:
        url = f"{self.stack.procore}/_sandbox/ledger?limit=100000"
        answer = await self.http.get(url)
        answer.raise_for_status()
        ledger: dict[str, list[dict[str, Any]]] = answer.json()
        return ledger

    async def calls(self, method: str, path: str) -> list[dict[str, Any]]:
        """Return the calls on Procore whose path ends so, those under way included."""
        ledger = await self.procore_ledger()
        return [c for c in ledger["calls"] if c["method"] == method and c["path"].endswith(path)]

    async def procore(self, path: str) -> Any:
        """Read Procore's API as the general contractor."""
        answer = await self._procore_get(f"{self.stack.procore}{path}")
        answer.raise_for_status()
        return answer.json()

    async def procore_change(self, path: str, fields: Mapping[str, Any]) -> None:
        """Change something over Procore's API as the general contractor."""
        headers = await self._procore_headers()
        answer = await self.http.patch(f"{self.stack.procore}{path}", json=fields, headers=headers)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"

    async def procore_bytes(self, url: str) -> bytes:
        """Read a file of Procore's as the general contractor."""
        answer = await self._procore_get(url)
        answer.raise_for_status()
        return answer.content

    async def _procore_get(self, url: str) -> httpx2.Response:
        headers = await self._procore_headers()
        return await self.http.get(url, headers=headers, follow_redirects=True)

    async def _procore_headers(self) -> dict[str, str]:
        return {
            "authorization": f"Bearer {await self.dana_access_token()}",
            "procore-company-id": str(self.procore_company),
        }

    async def dana_access_token(self) -> str:
        """Return the general contractor's present access token."""
        project = await self.part3_api(f"/projects/{PROJECT_ID}")
        user_id = next(m["user_id"] for m in project["team"] if m["email"] == DANA[1])
        ring = Reader(self.stack.environment).key_ring("INTERNAL_API_KEYS")
        answer = await self.http.post(
            f"{self.stack.internal}/internal/access-tokens",
            json={"user_id": user_id},
            headers={"authorization": f"Bearer {issue_service_token(ring, 'operator')}"},
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    async def rfi(self, rfi_id: str) -> dict[str, Any]:
        path = f"/rest/v1.0/projects/{self.procore_project}/rfis/{rfi_id}"
        found: dict[str, Any] = await self.procore(path)
        return found

    async def replies(self, rfi_id: str) -> list[dict[str, Any]]:
        """Return an RFI's replies as Procore holds them."""
        answers: list[dict[str, Any]] = (await self.rfi(rfi_id))["questions"][0]["answers"]
        return answers

    async def submittal(self, submittal_id: str) -> dict[str, Any]:
        path = f"/rest/v1.1/projects/{self.procore_project}/submittals/{submittal_id}"
        found: dict[str, Any] = await self.procore(path)
        return found

    # ------------------------------------------------------------------- Part3

    async def part3_sandbox(self, what: str, order: Mapping[str, Any]) -> Any:
        return await self._post(f"{self.stack.part3}/_sandbox/{what}", order)

    async def part3_faults(self, *rules: Mapping[str, Any]) -> None:
        await self.part3_sandbox("faults", {"rules": list(rules)})

    async def part3_ledger(self, **asked: str) -> list[dict[str, Any]]:
        answer = await self.http.get(
            f"{self.stack.part3}/_sandbox/ledger", params={"limit": "100000", **asked}
        )
        answer.raise_for_status()
        entries: list[dict[str, Any]] = answer.json()["entries"]
        return entries

    async def part3_api(self, path: str) -> Any:
        """Read Part3's API; None for what it does not have."""
        answer = await self._part3_get(path)
        return None if answer.status_code == httpx2.codes.NOT_FOUND else answer.json()

    async def part3_file(self, sha256: str) -> bytes:
        answer = await self._part3_get(f"/projects/{PROJECT_ID}/files/{sha256}")
        answer.raise_for_status()
        return answer.content

    async def _part3_get(self, path: str) -> httpx2.Response:
        token = self.stack.environment["PART3_API_TOKEN"]
        return await self.http.get(
            f"{self.stack.part3}/v1{path}", headers={"authorization": f"Bearer {token}"}
        )

    async def record(self, kind: str, procore_id: str) -> Any:
        """Return a record as Part3 holds it, or None."""
        return await self.part3_api(f"/projects/{PROJECT_ID}/records/{kind}/{procore_id}")

    async def records(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return all of Part3's records of a kind by their Procore id."""
        found: dict[str, dict[str, Any]] = {}
        asked, cursor = f"/projects/{PROJECT_ID}/records?kind={kind}&limit=100", ""
        while True:
            page = await self.part3_api(asked + cursor)
            found |= {one["procore_id"]: one for one in page["items"]}
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={quote(page['next_cursor'], safe='')}"

    async def until_titled(self, kind: str, procore_id: str, title: str) -> dict[str, Any]:
        """Wait until Part3 shows a record under this title, all its files there."""

        async def shown() -> dict[str, Any] | None:
            record = await self.record(kind, procore_id)
            whole = record and not record["extras"].get("files_pending")
            return record if whole and record["title"] == title else None

        return await self.until(f"{kind} {procore_id} is “{title}” in Part3", shown)

    async def puts(self, procore_id: str) -> list[dict[str, Any]]:
        """Return, in order, what changed of a record in Part3."""
        return [
            entry
            for entry in await self.part3_ledger(entry="effect")
            if entry["what"] in ("record.created", "record.replaced")
            and entry["procore_id"] == procore_id
        ]

    async def return_rfi(self, rfi_id: str, text: str, **more: Any) -> str:
        """Have Maya answer an RFI; return the return's id."""
        return await self._return({"kind": "rfi", "procore_id": rfi_id, "text": text, **more})

    async def return_submittal(self, submittal_id: str, text: str, **more: Any) -> str:
        """Have Maya approve a submittal as noted; return the return's id."""
        about = {"kind": "submittal", "procore_id": submittal_id, "text": text}
        return await self._return({**about, "disposition": "proceed_as_noted", **more})

    async def _return(self, order: dict[str, Any]) -> str:
        author = {"project_id": PROJECT_ID, "author": MAYA[1]}
        made = await self.part3_sandbox("returns", {**author, **order})
        return str(made["id"])

    async def return_state(self, return_id: str) -> str:
        found = await self.part3_api(f"/projects/{PROJECT_ID}/returns/{return_id}")
        return str(found["state"])

    async def until_return(self, return_id: str, state: str) -> None:
        async def stands() -> bool:
            return await self.return_state(return_id) == state

        await self.until(f"return {return_id} is {state}", stands)

    async def receipts(self, return_id: str) -> list[str]:
        """Return the ids of what Part3 was told a return became, once for each such report."""
        reports = await self.part3_ledger(entry="effect", what="delivery.reported")
        return [
            report["receipt_id"]
            for report in reports
            if report["return_id"] == return_id and report["state"] == "delivered"
        ]

    # ------------------------------------------------------------------- ours

    async def rows(self, sql: str, *arguments: Any) -> list[Mapping[str, Any]]:
        """Ask the connector's database."""
        async with open_postgres(self.stack.environment["DATABASE_URL"], max_size=1) as postgres:
            return list(await postgres.fetch(sql, *arguments))

    async def until(
        self, what: str, ask: Callable[[], Awaitable[T | None]], *, patience_s: float = PATIENCE_S
    ) -> T:
        """Ask until the answer is something, and return it; fail with what the worker says.

        A program that ends by itself fails the test, too: each has to live through what happens.
        """
        deadline = time.monotonic() + patience_s
        while not (answer := await ask()):
            for program in self.stack.run.programs.values():
                if program.has_failed:
                    raise program.failure(f"ended by itself with {program.returncode}")
            if time.monotonic() > deadline:
                raise AssertionError(f"never came true: {what}\n{self._worker_says()}")
            await asyncio.sleep(0.1)
        return answer

    def _worker_says(self) -> str:
        logs = (self.stack.run.folder / "logs").glob("worker-*.log")
        return "\n".join(log.read_text()[-TAIL_CHARACTERS:] for log in logs)

    def faults_logged(self) -> list[str]:
        """Return what our programs logged as faults of their own: error lines and tracebacks."""
        found: list[str] = []
        for name in ("gateway", "token-service", "worker-1"):
            log = self.stack.run.folder / "logs" / f"{name}.log"
            found += (f"{name}: {line}" for line in log.read_text().splitlines() if is_fault(line))
        return found

    async def _post(self, url: str, order: Mapping[str, Any]) -> Any:
        answer = await self.http.post(url, json=order)
        assert answer.is_success, f"{url}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def is_fault(line: str) -> bool:
    """Tell whether a log line speaks of a fault of ours, not of the outside's."""
    if line.startswith("Traceback"):
        return True
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and ("exception" in entry or entry.get("level") == "error")


@asynccontextmanager
async def site_on(stack: Stack, *, rfis: int = 6, submittals: int = 6) -> AsyncIterator[Site]:
    """Seed both stand-ins of a running system, and give its people; nothing is connected yet."""
    made = await seed(stack, rfis=rfis, submittals=submittals)
    async with httpx2.AsyncClient(timeout=CALL_TIMEOUT_S, trust_env=False) as http:
        site = Site(stack, http, made)
        try:
            yield site
        finally:
            await site.close()


@asynccontextmanager
async def connected_site(stack: Stack) -> AsyncIterator[Site]:
    """Give a project that is connected and backfilled, Dana's and Maya's authorizations there."""
    async with site_on(stack) as site:
        await site.connect()
        await site.until_backfilled()
        await site.authorize(site.maya)
        yield site
