"""Files between Procore and Part3: flat memory, and what is left of them after a fault."""

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.errors import TryLater
from sync_worker.inbound.partials import KEPT_S, Partials

BIG_BYTES = 300_000_000
BLOCK = os.urandom(100_000)
MOST_GROWTH_BYTES = 48_000_000


class _Side:
    """Gives a large file, and takes it: a storage and a Part3 that keep nothing."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int, str]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer((await reader.readuntil(b"\r\n\r\n")).decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, path, _ = head.split(" ", 2)
        if method == "PUT":
            length = next(
                int(line.partition(":")[2])
                for line in head.splitlines()
                if line.lower().startswith("content-length:")
            )
            digest, left = hashlib.sha256(), length
            while left:
                chunk = await reader.read(min(left, 1_000_000))
                digest.update(chunk)
                left -= len(chunk)
            self.taken.append((path.rpartition("/")[2], length, digest.hexdigest()))
            writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")
        elif method == "HEAD":
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        else:
            size = BIG_BYTES if path == "/big" else len(BLOCK)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/pdf\r\n"
                b'etag: "v1"\r\ncontent-length: %d\r\n\r\n' % size
            )
            for _ in range(size // len(BLOCK)):
                writer.write(BLOCK)
                await writer.drain()
        await writer.drain()


@asynccontextmanager
async def side() -> AsyncIterator[tuple[_Side, str]]:
    made = _Side()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=1_000_000)
    try:
        yield made, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_a_file_of_300_mb_goes_through_without_a_worker_growing_by_it(
    tmp_path: Path,
) -> None:
    async with side() as (taken_by, url):
        copying = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.worker.big_file", url, str(tmp_path / "files")),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await copying.communicate()
    grown = int(said)
    (sha256, size, counted) = taken_by.taken[-1]
    assert (size, sha256) == (BIG_BYTES, counted)
    assert 0 <= grown < MOST_GROWTH_BYTES
    assert [one for one in (tmp_path / "files").iterdir() if one.suffix != ".lock"] == []


async def test_what_failed_for_now_is_kept_and_what_went_through_is_not(tmp_path: Path) -> None:
    partials = Partials(tmp_path / "files")

    async def fails() -> None:
        async with partials.place_of("prj_1", "7") as path:
            path.write_bytes(b"half")
            message = "cut"
            raise TryLater(message, reason="file_unavailable")

    with pytest.raises(TryLater):
        await fails()
    async with Partials(tmp_path / "files").place_of("prj_1", "7") as again:
        assert again.read_bytes() == b"half"
    async with partials.place_of("prj_1", "7") as anew:
        assert not anew.exists()


async def test_two_that_copy_one_attachment_have_two_places(tmp_path: Path) -> None:
    one, other = Partials(tmp_path / "files"), Partials(tmp_path / "files")
    async with one.place_of("prj_1", "7") as first, other.place_of("prj_1", "7") as second:
        assert first != second
        second.write_bytes(b"x")
    async with one.place_of("prj_1", "7") as first, one.place_of("prj_2", "7") as elsewhere:
        assert first != elsewhere


async def test_what_nobody_goes_on_with_is_removed_after_a_day(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    async with Partials(folder).place_of("prj_1", "7"):
        pass
    (folder / "old").write_bytes(b"x")
    (folder / "young").write_bytes(b"x")
    yesterday = time.time() - KEPT_S - 60
    os.utime(folder / "old", (yesterday, yesterday))
    async with Partials(folder).place_of("prj_1", "8"):
        assert not (folder / "old").exists()
        assert (folder / "young").exists()


async def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    folder.chmod(0o777)
    async with Partials(folder).place_of("prj_1", "7") as path:
        assert folder not in path.parents
