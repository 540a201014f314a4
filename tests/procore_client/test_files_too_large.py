"""B55: a file of more bytes than may be copied, or than the disk takes, leaves nothing behind."""

import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from services.http_client import HttpClient
from services.procore.client import Procore
from services.procore.files import FileBytes, FileNotWhole, Files, FileTooLarge
from services.procore.models import Attachment
from services.procore.origins import Origins
from tests.procore_client.sides import AMY, API, PLACE, Side, caller_to

STORAGE = "https://storage.test"
CHUNK = b"%PDF" * 16_384
ETAG = {"etag": '"v1"', "content-type": "application/pdf"}


class Body(httpx2.AsyncByteStream):
    """So many chunks; counts what was taken of them."""

    def __init__(self, chunks: int) -> None:
        self.left, self.taken = chunks, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left:
            self.left, self.taken = self.left - 1, self.taken + 1
            yield CHUNK


async def copied(body: Body, into: Path, most_bytes: int | None, **headers: str) -> FileBytes:
    answer = httpx2.Response(200, headers=ETAG | headers, stream=body)
    caller = caller_to(Side([]))
    http = HttpClient("the storage", transport=httpx2.MockTransport(lambda _: answer))
    procore = Procore(caller, Files(caller, http, caller.tokens, Origins((STORAGE,), (), API)))
    attachment = Attachment(id="71", name="set.pdf", url=f"{STORAGE}/a")
    return await procore.download(PLACE, attachment, into, whose=AMY, most_bytes=most_bytes)


async def test_b55_a_file_that_announces_too_much_is_not_begun(tmp_path: Path) -> None:
    body, announced = Body(1_000), {"content-length": str(10 * 2**30)}
    with pytest.raises(FileTooLarge, match="pdf has more than 1,000,000 bytes"):
        await copied(body, tmp_path / "f", 1_000_000, **announced)
    assert body.taken == 0
    assert list(tmp_path.iterdir()) == []


async def test_b55_a_file_that_announces_nothing_is_ended_at_the_limit(tmp_path: Path) -> None:
    body = Body(1_000)
    with pytest.raises(FileTooLarge):
        await copied(body, tmp_path / "f", 1_000_000)
    assert body.taken * len(CHUNK) < 1_500_000
    assert list(tmp_path.iterdir()) == []


async def test_a_file_of_just_the_limit_is_copied(tmp_path: Path) -> None:
    got = await copied(Body(1), tmp_path / "f", len(CHUNK))
    assert got.size == len(CHUNK)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let each byte of a file beyond 100,000 fail, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
async def test_b55_what_finds_no_room_leaves_the_disk_to_smaller_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotWhole, match="pdf cannot be kept here"):
        await copied(Body(1_000), tmp_path / "f", None)
    assert list(tmp_path.iterdir()) == []
    assert (await copied(Body(1), tmp_path / "g", None)).size == len(CHUNK)
