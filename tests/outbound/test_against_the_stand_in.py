"""Returns brought to Procore's stand-in by the real client, over ASGI."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sandbox.procore import seeding
from sandbox.procore.app import build_app
from sandbox.procore.control import AppOrder, register
from sandbox.procore.world import World
from schemas.connections import AccessToken
from schemas.dispositions import DispositionMap
from schemas.returns import Member
from services.http_client import HttpClient
from services.part3.client import Part3
from services.procore.call import Caller
from services.procore.client import Procore
from services.procore.errors import GrantRefused
from services.procore.files import Files
from services.procore.models import Place
from services.procore.origins import Origins
from services.token_client import TokenClient
from sync_worker.outbound.memory import Tie
from sync_worker.outbound.outside import (
    Authority,
    Part3Readiness,
    Part3Returns,
    ProcoreWrites,
)
from tests.outbound.bench import Bench
from tests.outbound.samples import answer_to, file_of, seen_of
from tests.sandbox.procore.site import (
    API,
    ARCHITECT,
    CLIENT_ID,
    CLIENT_SECRET,
    ENGINEER,
    MANAGER,
    REDIRECT,
    STORAGE,
    Site,
    small_spec,
)

DRAWING = b"%PDF-1.7 drawing"


def fits(procore: Procore, part3: Part3, tokens: TokenClient) -> tuple[object, ...]:
    """Checked by mypy: the real clients are what the outbound half asks for."""
    writes: ProcoreWrites = procore
    returns: Part3Returns = part3
    readiness: Part3Readiness = part3
    grants: Authority = tokens
    return writes, returns, readiness, grants


class Hosts(httpx2.AsyncBaseTransport):
    """Sends each request to the app of its host, and may lose an answer on the way back."""

    def __init__(self, hosts: dict[str, httpx2.AsyncBaseTransport]) -> None:
        self._hosts = hosts
        self.lose_answer_to: str | None = None
        self.writes: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._hosts[request.url.host].handle_async_request(request)
        if request.method != "GET":
            self.writes.append(request.url.path)
        if self.lose_answer_to is not None and request.url.path.endswith(self.lose_answer_to):
            self.lose_answer_to = None
            message = "cut"
            raise httpx2.ReadError(message)
        return answer


class SiteTokens:
    """Everybody has authorized but those in `without`. Part3's user ids are logins here."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._held: dict[str, AccessToken] = {}
        self.without: set[str] = set()

    async def access_token(self, user_id: str) -> AccessToken:
        if user_id in self.without:
            raise GrantRefused(user_id, reason="not_authorized")
        if user_id not in self._held:
            self._held[user_id] = AccessToken(
                access_token=self._site.tokens(user_id)["access_token"],
                expires_at=datetime.now(UTC) + timedelta(hours=1),
                procore_user_id=str(self._site.person(user_id).id),
            )
        return self._held[user_id]

    async def replacement_for(self, user_id: str, rejected: AccessToken) -> AccessToken:
        self._held.pop(user_id)
        return await self.access_token(user_id)

    async def procore_user_id(self, user_id: str) -> str:
        return (await self.access_token(user_id)).procore_user_id

    async def dispositions(self, project_id: str) -> DispositionMap | None:
        return None


class Stage:
    """The stand-in with the real client in front of it."""

    def __init__(self, site: Site, hosts: Hosts) -> None:
        self.site = site
        self.hosts = hosts
        self.tokens = SiteTokens(site)
        self.place = Place(company_id=str(site.company_id), project_id=str(site.project.id))
        self.http = HttpClient("Procore", transport=hosts)
        caller = Caller(self.http, API, self.tokens)
        files = Files(caller, self.http, self.tokens, Origins((), (API, STORAGE), API))
        self.procore = Procore(caller, files)

    async def bench(self, kind: str, record_id: int, author: str, **changes: Any) -> Bench:
        """A return of `author` to what they see now."""
        read = self.procore.rfi if kind == "rfi" else self.procore.submittal
        record = await read(self.place, str(record_id), whose=author)
        member = Member(
            user_id=author,
            name=self.site.person(author).name,
            email=author,
            company="Marsh Lindqvist",
            role="prime_consultant",
        )
        plain: dict[str, Any] = {"author": member, "files": (file_of(DRAWING, "SK-1.pdf"),)}
        bench = Bench(record, answer_to(record, **(plain | changes)))
        bench.part3.store(DRAWING)
        bench.memory.connection = Tie(state="active", place=self.place, reader_user_id=MANAGER)
        bench.memory.seen_versions = {"v1": seen_of(record)}
        bench.writes, bench.authority = self.procore, self.tokens
        return bench


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "procore")
    made.public_url, made.storage_url = API, STORAGE
    order = AppOrder(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, redirect_uris=(REDIRECT,))
    register(made, order)
    seeding.build(made, small_spec())
    yield made
    made.close()


@pytest.fixture
async def stage(world: World) -> AsyncIterator[Stage]:
    app = build_app(world)
    hosts = Hosts(
        {
            "procore.test": httpx2.ASGITransport(app=app),
            "storage.test": httpx2.ASGITransport(app=app.state.storage),
        }
    )
    async with httpx2.AsyncClient(transport=hosts, base_url=API) as http:
        stage = Stage(Site(world, http), hosts)
        yield stage
        await stage.http.close()


async def test_an_rfi_reply_arrives_under_the_architects_name(stage: Stage) -> None:
    manager = stage.site.as_(MANAGER)
    rfi_id = (await manager.new_rfi())["id"]
    bench = await stage.bench("rfi", rfi_id, ARCHITECT, text='Yes: <6"> & "shim".')
    await bench.attempt()
    assert bench.told == ["sending", "delivered"], bench.task.message
    (reply,) = (await manager.rfi(rfi_id))["questions"][0]["answers"]
    assert reply["created_by_id"] == stage.site.person(ARCHITECT).id
    assert '&lt;6"&gt; &amp; "shim".' in reply["rich_text_body"]
    assert [file["filename"] for file in reply["attachments"]] == ["SK-1.pdf"]
    assert reply["official"] is False
    receipt = bench.last_told.receipt
    assert receipt is not None
    assert [file.sha256 for file in receipt.files] == [file_of(DRAWING, "SK-1.pdf").sha256]


async def test_a_submittal_response_arrives_in_the_architects_row(stage: Stage) -> None:
    manager = stage.site.as_(MANAGER)
    submittal_id = (await manager.new_submittal([ARCHITECT], [ENGINEER]))["id"]
    bench = await stage.bench("submittal", submittal_id, ARCHITECT)
    await bench.attempt()
    assert bench.told == ["sending", "delivered"], bench.task.message
    first, second = (
        row
        for row in (await manager.submittal(submittal_id))["approvers"]
        if row["approver_type"] == "Approver"
    )
    assert first["response"]["considered"] == "approved as noted"
    assert first["comment"].startswith("Use 150 mm.")
    assert second["response"]["considered"] == "pending"
    assert bench.last_told.receipt is not None
    assert bench.last_told.receipt.response == first["response"]["name"]


async def test_parallel_approvers_are_each_held_to_their_own_turn(stage: Stage) -> None:
    manager = stage.site.as_(MANAGER)
    submittal_id = (await manager.new_submittal([ARCHITECT], [ENGINEER]))["id"]
    engineer = await stage.bench("submittal", submittal_id, ENGINEER)
    await engineer.attempt()
    assert engineer.last_told.reason == "not_your_turn"
    architect = await stage.bench("submittal", submittal_id, ARCHITECT)
    await architect.attempt()
    await engineer.until_due()
    assert engineer.told[-1] == "delivered", engineer.task.message


@pytest.mark.parametrize("kind", ["rfi", "submittal"])
async def test_an_answer_lost_on_the_way_back_is_adopted(stage: Stage, kind: str) -> None:
    manager = stage.site.as_(MANAGER)
    if kind == "rfi":
        record_id, path = (await manager.new_rfi())["id"], "/replies"
    else:
        submittal = await manager.new_submittal([ARCHITECT])
        record_id = submittal["id"]
        path = str(
            next(r["id"] for r in submittal["approvers"] if r["approver_type"] == "Approver")
        )
    bench = await stage.bench(kind, record_id, ARCHITECT)
    stage.hosts.lose_answer_to = path
    await bench.attempt()
    assert bench.last_told.reason == "outcome_unknown"
    await bench.until_due()
    assert bench.told[-1] == "delivered", bench.task.message
    assert len([write for write in stage.hosts.writes if write.endswith(path)]) == 1


async def test_who_has_not_authorized_waits_and_then_it_goes(stage: Stage) -> None:
    rfi_id = (await stage.site.as_(MANAGER).new_rfi())["id"]
    bench = await stage.bench("rfi", rfi_id, ARCHITECT)
    stage.tokens.without = {ARCHITECT}
    await bench.attempt()
    assert bench.last_told.reason == "not_authorized"
    stage.tokens.without = set()
    await bench.until_due()
    assert bench.told[-1] == "delivered"


async def test_a_deleted_rfi_is_told_from_a_private_one(stage: Stage) -> None:
    manager = stage.site.as_(MANAGER)
    rfi_id = (await manager.new_rfi())["id"]
    bench = await stage.bench("rfi", rfi_id, ARCHITECT)
    other = {"private": True, "assignee_ids": [stage.site.person(ENGINEER).id]}
    await manager.ok("PATCH", f"{manager.rfis}/{rfi_id}", json={"rfi": other})
    await bench.attempt()
    assert bench.last_told.reason == "not_permitted"
    await manager.ok("PATCH", f"{manager.rfis}/{rfi_id}/recycle")
    await bench.until_due()
    assert bench.last_told.reason == "record_removed"


async def test_an_edited_question_is_asked_about(stage: Stage) -> None:
    manager = stage.site.as_(MANAGER)
    rfi_id = (await manager.new_rfi())["id"]
    bench = await stage.bench("rfi", rfi_id, ARCHITECT)
    changed = {"question": {"body": "<p>Move it west?</p>"}}
    await manager.ok("PATCH", f"{manager.rfis}/{rfi_id}", json={"rfi": changed})
    await bench.attempt()
    assert bench.last_told.reason == "question_changed"


async def test_a_closed_rfi_takes_the_return_once_it_is_reopened(stage: Stage) -> None:
    manager = stage.site.as_(MANAGER)
    rfi_id = (await manager.new_rfi())["id"]
    bench = await stage.bench("rfi", rfi_id, ARCHITECT)
    await manager.ok("PATCH", f"{manager.rfis}/{rfi_id}", json={"rfi": {"accepted": True}})
    await bench.attempt()
    assert bench.last_told.reason == "record_closed"
    await manager.ok("PATCH", f"{manager.rfis}/{rfi_id}", json={"rfi": {"accepted": False}})
    await bench.until_due()
    assert bench.told[-1] == "delivered", bench.task.message


async def test_an_answer_given_in_procore_itself_is_not_overwritten(stage: Stage) -> None:
    manager, architect = stage.site.as_(MANAGER), stage.site.as_(ARCHITECT)
    submittal = await manager.new_submittal([ARCHITECT], [ENGINEER])
    bench = await stage.bench("submittal", submittal["id"], ARCHITECT)
    answered = await architect.respond(submittal, ARCHITECT, "rejected", comment="By web")
    assert answered.is_success
    await bench.attempt()
    assert bench.last_told.reason == "already_answered"
    rows = (await manager.submittal(submittal["id"]))["approvers"]
    assert "By web" in [row["comment"] for row in rows]


async def test_a_list_and_a_show_say_the_same_of_what_is_answered(stage: Stage) -> None:
    manager = stage.site.as_(MANAGER)
    submittal_id = str((await manager.new_submittal([ARCHITECT]))["id"])
    shown = await stage.procore.submittal(stage.place, submittal_id, whose=ARCHITECT)
    listed = await stage.procore.submittals(stage.place, [submittal_id], whose=ARCHITECT)
    assert seen_of(listed[submittal_id]) == seen_of(shown)
