"""The real client in front of Procore's stand-in, over ASGI: both read the contract alike."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sandbox.procore.app import build_app
from sandbox.procore.switches import Switches
from sandbox.procore.world import World
from schemas.connections import AccessToken
from services.errors import NeedsPerson, OutcomeUnknown, TryLater
from services.http_client import HttpClient
from services.procore.call import Caller
from services.procore.client import Procore
from services.procore.errors import NotVisible
from services.procore.files import FileNotWhole, Files
from services.procore.models import Place
from services.procore.origins import Origins
from services.procore.pacer import Priority
from tests.sandbox.procore.conftest import world as world  # noqa: PLC0414 - a fixture
from tests.sandbox.procore.site import API, ARCHITECT, ENGINEER, MANAGER, STORAGE, Site

DRAWING = b"%PDF-1.7 drawing" * 1000


class Hosts(httpx2.AsyncBaseTransport):
    """Sends each request to the app of its host and keeps what was answered."""

    def __init__(self, hosts: dict[str, httpx2.AsyncBaseTransport]) -> None:
        self._hosts = hosts
        self.answers: list[httpx2.Response] = []
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._hosts[request.url.host].handle_async_request(request)
        self.requests.append(request)
        self.answers.append(answer)
        return answer


class SiteTokens:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._held: dict[str, AccessToken] = {}

    async def access_token(self, user_id: str) -> AccessToken:
        if user_id not in self._held:
            self._held[user_id] = AccessToken(
                access_token=self._site.tokens(user_id)["access_token"],
                expires_at=datetime.now(UTC) + timedelta(hours=1),
                procore_user_id=str(self._site.person(user_id).id),
            )
        return self._held[user_id]

    async def replacement_for(self, user_id: str, rejected: AccessToken) -> AccessToken:
        self._held.pop(user_id, None)
        return await self.access_token(user_id)


class Front:
    """The stand-in, its people by hand, and the client."""

    def __init__(self, world: World, site: Site, hosts: Hosts) -> None:
        self.world, self.site, self.hosts = world, site, hosts
        self.place = Place(company_id=str(site.company_id), project_id=str(site.project.id))
        self.http = HttpClient("Procore", transport=hosts)
        self.tokens = SiteTokens(site)
        caller = Caller(self.http, API, self.tokens)
        files = Files(caller, self.http, self.tokens, Origins((), (API, STORAGE), API))
        self.procore = Procore(caller, files)
        self.manager = site.as_(MANAGER)

    def switch(self, **switches: Any) -> None:
        self.world.switches = Switches(**switches)

    async def page(self, kind: Any, number: int = 1, **window: Any) -> Any:
        return await self.procore.page(
            kind, self.place, whose=MANAGER, priority=Priority.SWEEP, number=number, **window
        )


@pytest.fixture
async def front(world: World) -> AsyncIterator[Front]:
    app = build_app(world)
    hosts = Hosts(
        {
            "procore.test": httpx2.ASGITransport(app=app),
            "storage.test": httpx2.ASGITransport(app=app.state.storage),
        }
    )
    async with httpx2.AsyncClient(transport=hosts, base_url=API) as http:
        front = Front(world, Site(world, http), hosts)
        yield front
        await front.http.close()


async def upload(front: Front, path: Path, whose: str, name: str = "SK-1 é.pdf") -> str:
    path.write_bytes(DRAWING)
    return await front.procore.upload(front.place, path, name, "application/pdf", whose=whose)


async def test_an_rfis_thread_and_files_come_whole(front: Front, tmp_path: Path) -> None:
    made = await front.manager.new_rfi(due_date="2026-12-01")
    uuid = await upload(front, tmp_path / "up", ARCHITECT)
    reply_id = await front.procore.post_reply(
        front.place, str(made["id"]), "<p>Yes &amp; no</p>", (uuid,), whose=ARCHITECT
    )
    rfi = await front.procore.rfi(front.place, str(made["id"]), whose=MANAGER)
    assert (rfi.subject, rfi.status, str(rfi.due_on)) == (made["subject"], "open", "2026-12-01")
    assert rfi.answers is not None
    (answer,) = rfi.answers
    assert (answer.id, answer.author_id) == (reply_id, str(front.site.person(ARCHITECT).id))
    (file,) = answer.attachments
    got = await front.procore.download(front.place, file, tmp_path / "down", whose=MANAGER)
    assert file.name == "SK-1 é.pdf"
    assert (got.sha256, got.size) == (hashlib.sha256(DRAWING).hexdigest(), len(DRAWING))
    assert (tmp_path / "down").read_bytes() == DRAWING
    listed = await front.procore.replies(front.place, str(made["id"]), whose=ARCHITECT)
    assert [one.id for one in listed] == [reply_id]


async def test_what_was_deleted_is_not_listed_and_to_ask_for_it_is_no_404(front: Front) -> None:
    kept, deleted = [str((await front.manager.new_rfi())["id"]) for _ in range(2)]
    await front.manager.ok("PATCH", f"{front.manager.rfis}/{deleted}/recycle")
    ids = [kept, deleted, "9"]
    assert await front.procore.rfis_listed(front.place, ids, whose=MANAGER) == {kept}
    assert front.hosts.answers[-1].status_code == 200


async def test_the_storage_never_sees_a_bearer(front: Front, tmp_path: Path) -> None:
    made = await front.manager.new_rfi()
    uuid = await upload(front, tmp_path / "up", ARCHITECT)
    await front.procore.post_reply(
        front.place, str(made["id"]), "<p>Y</p>", (uuid,), whose=ARCHITECT
    )
    rfi = await front.procore.rfi(front.place, str(made["id"]), whose=MANAGER)
    assert rfi.answers is not None
    file = rfi.answers[0].attachments[0]
    await front.procore.download(front.place, file, tmp_path / "down", whose=MANAGER)
    to_storage = [one for one in front.hosts.requests if one.url.host == "storage.test"]
    assert len(to_storage) >= 2
    assert not [one for one in to_storage if "authorization" in one.headers]


@pytest.mark.parametrize("answer", ["object", "array"])
async def test_an_approver_answers_whatever_shape_procore_answers_in(
    front: Front, answer: str
) -> None:
    front.switch(approver_patch_answer=answer)
    made = await front.manager.new_submittal([ARCHITECT], [ENGINEER])
    submittal = await front.procore.submittal(front.place, str(made["id"]), whose=ARCHITECT)
    row = next(one for one in submittal.approvers if one.type == "approver")
    options = await front.procore.response_options(front.place, whose=ARCHITECT)
    noted = next(one for one in options if one.considered == "approved as noted")
    await front.procore.respond(
        front.place,
        submittal.id,
        row.id,
        response_id=noted.id,
        comment="Use 150 mm.",
        upload_ids=(),
        whose=ARCHITECT,
    )
    after = await front.procore.submittal(front.place, submittal.id, whose=MANAGER)
    first = next(one for one in after.approvers if one.id == row.id)
    assert (first.has_responded, first.comment) == (True, "Use 150 mm.")
    assert [one.id for one in after.ball_in_court] == [str(front.site.person(ENGINEER).id)]
    assert after.updated_at >= submittal.updated_at


async def test_pages_hold_every_record_once_and_say_when_they_end(front: Front) -> None:
    front.switch(max_per_page=2)
    made = {str((await front.manager.new_rfi(subject=f"RFI {n}"))["id"]) for n in range(5)}
    seen: list[str] = []
    number: int | None = 1
    while number is not None:
        page = await front.page("rfi", number)
        assert page.total == 5
        seen += [str(item["id"]) for item in page.items]
        number = page.next_page
    assert (len(seen), set(seen)) == (5, made)


async def test_a_window_lists_what_changed_in_it_and_nothing_else(front: Front) -> None:
    old = await front.manager.new_submittal([ARCHITECT])
    front.world.clock.advance(3_600)
    since = front.world.clock.now()
    front.world.clock.advance(60)
    new = await front.manager.new_submittal([ARCHITECT])
    front.world.clock.advance(60)
    page = await front.page("submittal", updated_from=since, updated_to=front.world.clock.now())
    assert [item["id"] for item in page.items] == [new["id"]]
    assert old["id"] != new["id"]


async def test_submittals_are_read_together_with_one_call(front: Front) -> None:
    ids = [str((await front.manager.new_submittal([ARCHITECT]))["id"]) for _ in range(4)]
    before = len(front.hosts.requests)
    found = await front.procore.submittals(front.place, ids[:3], whose=MANAGER)
    assert set(found) == set(ids[:3])
    assert len(front.hosts.requests) == before + 1
    shown = await front.procore.submittal(front.place, ids[0], whose=MANAGER)
    assert found[ids[0]].approvers == shown.approvers


async def test_what_is_recycled_is_not_visible_and_in_the_bin(front: Front) -> None:
    made = await front.manager.new_rfi()
    await front.manager.ok("PATCH", f"{front.manager.rfis}/{made['id']}/recycle")
    with pytest.raises(NotVisible):
        await front.procore.rfi(front.place, str(made["id"]), whose=MANAGER)
    assert await front.procore.recycled("rfi", front.place, whose=MANAGER) == {str(made["id"])}


async def test_procores_window_is_used_up_without_one_429(front: Front) -> None:
    made = await front.manager.new_rfi()
    front.switch(rate_limit_spike=10)
    front.hosts.answers.clear()

    async def read_on() -> None:
        for _ in range(30):
            await front.procore.rfi(front.place, str(made["id"]), whose=MANAGER)

    with pytest.raises(TryLater) as caught:
        await read_on()
    assert caught.value.reason == "rate_limited"
    assert caught.value.not_before is not None
    statuses = [one.status_code for one in front.hosts.answers]
    assert 429 not in statuses
    assert len(statuses) >= 9


async def test_calls_side_by_side_do_not_overrun_the_window_either(front: Front) -> None:
    made = await front.manager.new_rfi()
    front.switch(rate_limit_spike=10)
    await front.procore.rfi(front.place, str(made["id"]), whose=MANAGER)
    front.hosts.answers.clear()

    async def read() -> bool:
        try:
            await front.procore.rfi(front.place, str(made["id"]), whose=MANAGER)
        except TryLater:
            return False
        return True

    done = await asyncio.gather(*(read() for _ in range(30)))
    statuses = [one.status_code for one in front.hosts.answers]
    assert 429 not in statuses
    assert sum(done) == len(statuses) >= 8


@pytest.mark.parametrize("shape", ["native", "message", "error", "v2", "html"])
async def test_a_missing_record_is_missing_in_every_shape_of_error(
    front: Front, shape: str
) -> None:
    front.switch(error_bodies=shape)
    with pytest.raises(NotVisible):
        await front.procore.rfi(front.place, "999999", whose=MANAGER)


async def test_a_company_without_the_app_is_named_so(front: Front) -> None:
    stranger = Place(company_id=front.place.company_id, project_id=front.place.project_id)
    answer = await front.site.http.post(
        "/_sandbox/installs",
        json={"client_id": "connector", "company_id": front.site.company_id, "installed": False},
    )
    assert answer.is_success, answer.text
    with pytest.raises(NeedsPerson) as caught:
        await front.procore.rfi(stranger, "1", whose=MANAGER)
    assert caught.value.reason == "app_not_installed"


async def test_a_reply_answered_by_a_gateways_page_is_of_unknown_outcome(front: Front) -> None:
    made = await front.manager.new_rfi()
    rules = [
        {"kind": "status", "method": "POST", "path": "/replies$", "status": 502, "body": "html"}
    ]
    front.world.faults.set(1, rules)
    with pytest.raises(OutcomeUnknown):
        await front.procore.post_reply(
            front.place, str(made["id"]), "<p>Y</p>", (), whose=ARCHITECT
        )


async def test_reads_get_over_a_short_trouble(front: Front) -> None:
    made = await front.manager.new_rfi()
    rules = [{"kind": "status", "method": "GET", "path": "/rfis/", "status": 502, "count": 2}]
    front.world.faults.set(1, rules)
    rfi = await front.procore.rfi(front.place, str(made["id"]), whose=MANAGER)
    assert rfi.id == str(made["id"])


async def test_an_expired_address_of_a_file_is_a_file_not_whole(
    front: Front, tmp_path: Path
) -> None:
    made = await front.manager.new_rfi()
    uuid = await upload(front, tmp_path / "up", ARCHITECT)
    await front.procore.post_reply(
        front.place, str(made["id"]), "<p>Y</p>", (uuid,), whose=ARCHITECT
    )
    rules = [
        {"kind": "status", "path": "/(files|fas|storage|object)", "status": 403, "body": "html"}
    ]
    rfi = await front.procore.rfi(front.place, str(made["id"]), whose=MANAGER)
    assert rfi.answers is not None
    file = rfi.answers[0].attachments[0]
    front.world.faults.set(1, rules)
    with pytest.raises(FileNotWhole):
        await front.procore.download(front.place, file, tmp_path / "down", whose=MANAGER)
