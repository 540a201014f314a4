"""Lists that never end, or say one thing twice; file names and ids that are more than names."""

import email.parser
import email.policy
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.part3.client import Part3
from services.procore.client import PER_PAGE
from services.procore.models import Attachment
from services.settings import Secret
from tests.part3_client.test_part3_client import RETURN
from tests.procore_client.sides import AMY, PLACE, Side, json_answer, procore_at

NEXT = {"Link": '<https://api.procore.test/x?page=2>; rel="next"'}
FULL = [{"id": number, "plain_text_body": "x"} for number in range(PER_PAGE)]
HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    'a"; filename="b.exe',
    "plan.pdf\r\nX-Injected: 1\r\n\r\nbody",
    "план \u202efdp.exe",
    "a" * 300,
    "..",
]


@pytest.mark.parametrize("headers", [None, NEXT])
async def test_a_side_that_ignores_paging_is_asked_twice_and_not_for_ever(
    headers: dict[str, str] | None,
) -> None:
    side = Side([json_answer(FULL, headers=headers)])
    assert len(await procore_at(side).replies(PLACE, "1", whose=AMY)) == PER_PAGE
    assert len(side.requests) == 2


async def test_a_recycle_bin_that_goes_round_ends() -> None:
    side = Side([json_answer(FULL, headers=NEXT)])
    assert len(await procore_at(side).recycled("rfi", PLACE, whose=AMY)) == PER_PAGE
    assert len(side.requests) == 2


async def test_replies_of_pages_that_overlap_come_once_each() -> None:
    later = [{"id": number} for number in range(PER_PAGE - 1, PER_PAGE + 4)]
    side = Side([json_answer(FULL), json_answer(later)])
    found = await procore_at(side).replies(PLACE, "1", whose=AMY)
    assert [one.id for one in found] == [str(number) for number in range(PER_PAGE + 4)]


async def test_pending_returns_whose_pages_go_round_end() -> None:
    side = Side([json_answer({"items": [RETURN], "next_cursor": "c2"})])
    part3 = Part3(side.http("Part3"), "https://part3.test", Secret("t"))
    assert [one.id for one in await part3.pending_returns("p-1")] == ["ret-1"]
    assert len(side.requests) == 2


@pytest.mark.parametrize("odd", ["../../users", "1?x=2", "1#a", "a/b", "%2e%2e"])
async def test_an_id_is_one_segment_of_a_path_whatever_is_in_it(odd: str) -> None:
    side = Side([json_answer({"id": 1, "updated_at": "2026-11-24T00:00:00Z"})])
    await procore_at(side).rfi(PLACE, odd, whose=AMY)
    path = side.requests[0].url.raw_path.decode()
    assert path.startswith("/rest/v1.0/projects/501/rfis/")
    assert path.count("/") == 6
    assert "?" not in path


def parts_of(request: httpx2.Request) -> list[Any]:
    head = b"content-type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    return list(parser.parsebytes(head + request.content).iter_parts())


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_only_data_of_an_upload(name: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"drawing")
    told = {"uuid": "u-1", "url": "https://storage.test/b", "fields": {"key": "k", "policy": "p"}}
    api, storage = Side([json_answer(told, 201)]), Side([httpx2.Response(204)])
    await procore_at(api, storage=storage).upload(PLACE, path, name, "application/pdf", whose=AMY)
    key, policy, file = parts_of(storage.requests[0])
    assert (key.get_content(), policy.get_content()) == ("k", "p")
    assert file.get_payload(decode=True) == b"drawing"
    assert file["X-Injected"] is None


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_never_becomes_a_path(name: str, tmp_path: Path) -> None:
    storage = Side([httpx2.Response(200, content=b"drawing")])
    attachment = Attachment(id="7", name=name, url="https://storage.test/f")
    folder = tmp_path / "in"
    folder.mkdir()
    procore = procore_at(Side(), storage=storage)
    got = await procore.download(PLACE, attachment, folder / "7", whose=AMY)
    assert got.size == 7
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["7", "in"]
