"""The real client in front of Part3's stand-in, over ASGI: both read the contract alike."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec.structs import replace

from sandbox.part3.house import House
from schemas.records import File, Person, Record, Reply, WorkflowStep
from schemas.returns import Delivery, Readiness, Receipt, ReceiptAuthor, ReceiptFile
from services.errors import TryLater
from services.http_client import HttpClient
from services.part3.client import Outdated, Part3, Part3Refused
from services.settings import Secret
from tests.sandbox.part3.conftest import (
    MAYA,
    PROJECT,
    TOKEN,
    Part3Api,
    api,  # noqa: F401 - a fixture
    part3,  # noqa: F401 - a fixture
)

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
AMY = Person(name="Amy", procore_id="31", email="amy@arch.test", company="Arch")
RFI = Record(
    kind="rfi",
    procore_id="101",
    number="A-014",
    title="Anchor bolts at grid C4",
    status="open",
    status_label="Open",
    private=False,
    question="<p>Which?</p>",
    due_on=date(2026, 12, 1),
    ball_in_court=(AMY,),
    manager=AMY,
    extras={"Location": "Level 2", "files_pending": 1},
    content_version="cv-1",
)
SUBMITTAL = Record(
    kind="submittal",
    procore_id="7",
    number="05 12 00-7",
    title="Shop drawings",
    status="distributed",
    status_label="Closed",
    private=True,
    distributed_at=NOW,
    workflow=(
        WorkflowStep(
            procore_id="902",
            step=1,
            person=AMY,
            role="approver",
            required=True,
            response="Approved",
            disposition="proceed",
            responded_at=NOW,
        ),
    ),
    content_version="cv-1",
)


@pytest.fixture
async def client(part3: tuple[Any, House]) -> AsyncIterator[Part3]:  # noqa: F811 - the fixture
    http = HttpClient("Part3", transport=httpx2.ASGITransport(app=part3[0]))
    yield Part3(http, "http://part3.test", Secret(TOKEN))
    await http.close()


def a_file(path: Path, body: bytes, name: str = "Étage 2.pdf") -> File:
    path.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    return File(
        sha256=digest, name=name, content_type="application/pdf", size=len(body), procore_id="71"
    )


@pytest.mark.parametrize("record", [RFI, SUBMITTAL])
async def test_a_record_reads_back_as_it_was_put(client: Part3, record: Record) -> None:
    put = await client.put_record(PROJECT, record)
    there = await client.record(PROJECT, record.kind, record.procore_id)
    assert there == put
    for field in Record.__struct_fields__:
        assert getattr(put, field) == getattr(record, field), field


async def test_the_same_put_twice_is_one_record(client: Part3) -> None:
    first = await client.put_record(PROJECT, RFI)
    again = await client.put_record(PROJECT, RFI)
    assert again.id == first.id
    items, cursor = await client.records(PROJECT, kind="rfi")
    assert ([one.procore_id for one in items], cursor) == (["101"], None)


async def test_a_put_over_a_version_it_has_not_seen_is_stopped(client: Part3) -> None:
    old = await client.put_record(PROJECT, RFI)
    changed = replace(RFI, title="Anchor bolts", content_version="cv-2")
    new = await client.put_record(PROJECT, changed, if_match=old.version)
    assert new.version != old.version
    with pytest.raises(Outdated):
        await client.put_record(PROJECT, replace(RFI, content_version="cv-3"), if_match=old.version)
    there = await client.record(PROJECT, "rfi", "101")
    assert there is not None
    assert there.content_version == "cv-2"


async def test_a_first_put_that_is_executed_late_replaces_nothing(client: Part3) -> None:
    put = await client.put_record(PROJECT, RFI)
    newer = replace(RFI, title="Anchor bolts", content_version="cv-2")
    _ = await client.put_record(PROJECT, newer, if_match=put.version)
    older = replace(RFI, title="Anchors", content_version="cv-0")
    with pytest.raises(Outdated):
        await client.put_record(PROJECT, older)
    refused, made = await client.put_records(PROJECT, [older, SUBMITTAL])
    assert isinstance(refused, str)
    assert not isinstance(made, str)
    there = await client.record(PROJECT, "rfi", "101")
    assert there is not None
    assert there.title == "Anchor bolts"


async def test_a_record_names_only_files_that_are_stored(client: Part3, tmp_path: Path) -> None:
    file = a_file(tmp_path / "f", b"drawing")
    with_file = replace(RFI, files=(file,), extras={}, content_version="cv-2")
    with pytest.raises(Part3Refused):
        await client.put_record(PROJECT, with_file)
    assert not await client.has_file(PROJECT, file.sha256)
    await client.put_file(PROJECT, tmp_path / "f", file)
    await client.put_file(PROJECT, tmp_path / "f", file)
    assert await client.has_file(PROJECT, file.sha256)
    stored = await client.put_record(PROJECT, with_file)
    assert stored.files == (file,)
    assert await client.fetch_file(PROJECT, file.sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"drawing"


async def test_a_file_under_another_files_hash_is_refused(client: Part3, tmp_path: Path) -> None:
    wrong = replace(a_file(tmp_path / "f", b"drawing"), sha256="0" * 64)
    with pytest.raises(Part3Refused):
        await client.put_file(PROJECT, tmp_path / "f", wrong)


async def test_in_a_batch_only_the_bad_record_fails(client: Part3, tmp_path: Path) -> None:
    bad = replace(RFI, procore_id="102", files=(a_file(tmp_path / "f", b"never stored"),))
    results = await client.put_records(PROJECT, [RFI, bad, SUBMITTAL])
    assert [isinstance(one, str) for one in results] == [False, True, False]
    assert await client.record(PROJECT, "rfi", "102") is None
    assert await client.record(PROJECT, "submittal", "7") is not None


async def test_records_are_listed_by_page(client: Part3) -> None:
    for number in range(7):
        await client.put_record(PROJECT, replace(RFI, procore_id=str(number)))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        items, cursor = await client.records(PROJECT, cursor=cursor)
        seen += [one.procore_id for one in items]
        if cursor is None:
            break
    assert sorted(seen) == [str(number) for number in range(7)]


async def test_a_project_comes_with_its_team(client: Part3) -> None:
    project = await client.project(PROJECT)
    assert project is not None
    maya = project.member(MAYA)
    assert maya is not None
    assert maya.role == "prime_consultant"
    assert await client.project("prj_nowhere") is None


async def test_returns_are_listed_while_pending_and_reported_on(
    client: Part3,
    api: Part3Api,  # noqa: F811 - the fixture
) -> None:
    replies = (
        Reply(procore_id="8", author=AMY, text="<p>M20</p>", official=False, created_at=NOW),
    )
    await client.put_record(PROJECT, replace(RFI, replies=replies))
    made = [(await api.make_return(text=f"Answer {n}"))["id"] for n in range(4)]
    pending = await client.pending_returns(PROJECT)
    assert [one.id for one in pending] == made
    assert pending[0].author.user_id == MAYA
    assert pending[0].seen_content_version == "cv-1"
    await client.report(PROJECT, made[0], Delivery(state="sending", as_of=NOW))
    receipt = Receipt(
        procore_id="8",
        author=ReceiptAuthor(procore_id="31", name="Maya"),
        at=NOW,
        text="Answer 0",
        files=(ReceiptFile(name="a.pdf", size=3, sha256="0" * 64, procore_id="71"),),
    )
    delivered = Delivery(state="delivered", as_of=NOW, receipt=receipt)
    await client.report(PROJECT, made[0], delivered)
    await client.report(PROJECT, made[0], delivered)
    await client.report(PROJECT, made[0], Delivery(state="sending", as_of=NOW))  # keeps the last
    held = Delivery(
        state="held", as_of=NOW, reason="not_authorized", message="Maya authorizes.", mended_by=AMY
    )
    await client.report(PROJECT, made[1], held)
    assert [one.id for one in await client.pending_returns(PROJECT)] == made[2:]
    first = await client.fetch_return(PROJECT, made[0])
    assert first is not None
    assert first.state == "delivered"
    assert await client.fetch_return(PROJECT, "ret_nowhere") is None
    with pytest.raises(Part3Refused):
        await client.report(PROJECT, "ret_nowhere", held)


async def test_readiness_is_noted_again_and_again(client: Part3) -> None:
    readiness = Readiness(
        returnable=False, as_of=NOW, reason="not_your_turn", message="Wait.", mended_by=AMY
    )
    await client.put_record(PROJECT, RFI)
    await client.put_readiness(PROJECT, "rfi", "101", readiness)
    await client.put_readiness(PROJECT, "rfi", "101", readiness)


async def test_a_wrong_service_token_waits_for_its_correction(
    part3: tuple[Any, House],  # noqa: F811 - the fixture
) -> None:
    http = HttpClient("Part3", transport=httpx2.ASGITransport(app=part3[0]))
    stranger = Part3(http, "http://part3.test", Secret("wrong"))
    with pytest.raises(TryLater, match="PART3_API_TOKEN"):
        await stranger.project(PROJECT)
    await http.close()
