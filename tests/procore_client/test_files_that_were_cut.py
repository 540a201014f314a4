"""Downloads that stop in the middle: what is here is gone on with, if it is still the file."""

import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from services.http_client import HttpClient
from services.procore.arriving import NOTED_EVERY_BYTES, Arriving
from services.procore.client import Procore
from services.procore.files import CHUNK_BYTES, FileBytes, FileNotWhole, Files
from services.procore.models import Attachment
from services.procore.origins import Origins
from tests.procore_client.sides import AMY, API, PLACE, Side, caller_to

STORAGE = "https://storage.test"
DRAWING = bytes(range(256)) * 6_000
NAME = "beam.pdf"


class Storage:
    """Serves ranges of one file, and cuts each body after so many bytes."""

    def __init__(self, content: bytes = DRAWING, *, cut_after: int | None = None) -> None:
        self.content = content
        self.cut_after = cut_after
        self.etag: str | None = '"v1"'
        self.ranges: list[str | None] = []
        self.takes_ranges = True
        self.gives_from: int | None = None

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        asked = request.headers.get("range")
        self.ranges.append(asked)
        headers = {"content-type": "application/pdf"} | ({"etag": self.etag} if self.etag else {})
        whole = len(self.content)
        fits = asked and self.takes_ranges and request.headers.get("if-range") == self.etag
        first = int(asked[6:-1]) if asked and fits else 0
        if self.gives_from is not None:
            first = self.gives_from
        if first >= whole:
            return httpx2.Response(416, headers={"content-range": f"bytes */{whole}"})
        if fits:
            headers["content-range"] = f"bytes {first}-{whole - 1}/{whole}"
        body = self.content[first:]
        return httpx2.Response(206 if fits else 200, headers=headers, stream=_Body(self, body))

    def files(self) -> Procore:
        caller = caller_to(Side([]))
        http = HttpClient("the storage", transport=httpx2.MockTransport(self))
        return Procore(caller, Files(caller, http, caller.tokens, Origins((STORAGE,), (), API)))

    async def download(self, into: Path, *, size: int | None = None) -> FileBytes:
        attachment = Attachment(id="71", name=NAME, url=f"{STORAGE}/a", size=size)
        return await self.files().download(PLACE, attachment, into, whose=AMY)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, storage: Storage, body: bytes) -> None:
        self._storage, self._body = storage, body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        cut = self._storage.cut_after
        yield self._body[:cut]
        if cut is not None and cut < len(self._body):
            message = "cut"
            raise httpx2.ReadError(message)


def is_the_drawing(got: FileBytes, path: Path, content: bytes = DRAWING) -> bool:
    return (
        path.read_bytes() == content
        and got.size == len(content)
        and got.sha256 == hashlib.sha256(content).hexdigest()
    )


async def test_a_cut_download_goes_on_at_once_where_it_stopped(tmp_path: Path) -> None:
    storage = Storage(cut_after=2 * CHUNK_BYTES)
    assert is_the_drawing(await storage.download(tmp_path / "f"), tmp_path / "f")
    assert storage.ranges == [None, "bytes=524288-", "bytes=1048576-"]


async def test_a_later_attempt_goes_on_with_what_an_earlier_one_left(tmp_path: Path) -> None:
    storage = Storage(cut_after=CHUNK_BYTES)
    with pytest.raises(FileNotWhole):
        await storage.download(tmp_path / "f")
    storage.cut_after, before = None, len(storage.ranges)
    assert is_the_drawing(await storage.download(tmp_path / "f"), tmp_path / "f")
    assert storage.ranges[before:] == ["bytes=1048576-"]


async def test_a_file_that_changed_meanwhile_begins_anew(tmp_path: Path) -> None:
    storage = Storage(cut_after=CHUNK_BYTES)
    with pytest.raises(FileNotWhole):
        await storage.download(tmp_path / "f")
    storage.cut_after, storage.etag, storage.content = None, '"v2"', DRAWING[::-1]
    got = await storage.download(tmp_path / "f")
    assert is_the_drawing(got, tmp_path / "f", DRAWING[::-1])


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
async def test_without_a_strong_etag_a_cut_file_begins_anew(
    etag: str | None, tmp_path: Path
) -> None:
    storage = Storage(cut_after=2 * CHUNK_BYTES)
    storage.etag = etag
    with pytest.raises(FileNotWhole):
        await storage.download(tmp_path / "f")
    storage.cut_after = None
    assert is_the_drawing(await storage.download(tmp_path / "f"), tmp_path / "f")
    assert set(storage.ranges) == {None}


async def test_a_storage_without_ranges_gives_the_whole_file_again(tmp_path: Path) -> None:
    storage = Storage(cut_after=CHUNK_BYTES)
    with pytest.raises(FileNotWhole):
        await storage.download(tmp_path / "f")
    storage.cut_after, storage.takes_ranges = None, False
    assert is_the_drawing(await storage.download(tmp_path / "f"), tmp_path / "f")


async def test_what_a_crash_left_on_the_disk_is_trusted_only_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "f"
    storage = Storage(cut_after=CHUNK_BYTES)
    with pytest.raises(FileNotWhole):
        await storage.download(path)
    spoilt = bytearray(path.read_bytes())
    spoilt[5] ^= 1
    path.write_bytes(spoilt)
    storage.cut_after, before = None, len(storage.ranges)
    assert is_the_drawing(await storage.download(path), path)
    assert storage.ranges[before:] == [None]


async def test_a_killed_worker_loses_no_more_than_came_after_the_last_note(tmp_path: Path) -> None:
    whole = b"\0\1" * NOTED_EVERY_BYTES
    killed = await Arriving.at(tmp_path / "f")
    assert await killed.open(200, {"etag": '"v1"'})
    for first in range(0, NOTED_EVERY_BYTES + 3_000_000, 1_000_000):
        await killed.take(whole[first : first + 1_000_000])
    left = shutil.copytree(tmp_path, tmp_path / "left")  # before anything was closed
    await killed.close()
    storage, path = Storage(whole), left / "f"
    assert is_the_drawing(await storage.download(path), path, whole)
    (asked,) = storage.ranges
    assert asked is not None
    assert NOTED_EVERY_BYTES <= int(asked[6:-1]) < NOTED_EVERY_BYTES + 1_000_000


async def test_a_file_that_is_here_already_is_not_sent_again(tmp_path: Path) -> None:
    storage = Storage()
    await storage.download(tmp_path / "f")
    assert is_the_drawing(await storage.download(tmp_path / "f"), tmp_path / "f")
    assert storage.ranges == [None, f"bytes={len(DRAWING)}-"]


async def test_what_is_here_already_has_the_size_that_procores_record_tells(tmp_path: Path) -> None:
    storage = Storage()
    await storage.download(tmp_path / "f")
    with pytest.raises(FileNotWhole, match="in Procore's record"):
        await storage.download(tmp_path / "f", size=len(DRAWING) + 1)
    assert storage.ranges == [None, f"bytes={len(DRAWING)}-"]
    assert not (tmp_path / "f").exists()


async def test_a_part_that_was_not_asked_for_is_no_file(tmp_path: Path) -> None:
    storage = Storage(cut_after=CHUNK_BYTES)
    with pytest.raises(FileNotWhole):
        await storage.download(tmp_path / "f")

    storage.gives_from = 5
    with pytest.raises(FileNotWhole, match="another part"):
        await storage.download(tmp_path / "f")
    assert not (tmp_path / "f").exists()
