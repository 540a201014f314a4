"""A file on its way to us: what is here so far, its hash, and how to go on after a cut.

Beside the bytes lies a note of how many are surely on the disk, their hash, and the storage's ETag.
What a crash or a cut leaves is gone on with only if the bytes still have that hash and the storage
still has that version; otherwise the file begins anew.
"""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

NOTED_EVERY_BYTES = 16 * 1024 * 1024
READ_BYTES = 1024 * 1024
NOTE_SUFFIX = ".so-far"
STRONG_ETAG_PREFIX = '"'
WHOLE, PART, BEYOND = 200, 206, 416


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    size: int
    sha256: str
    etag: str


class TooMuch(Exception):  # noqa: N818 - says what came
    """More bytes than a file may have."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        super().__init__(f"more than {most_bytes} bytes")


@dataclass(slots=True)
class Arriving:
    """The file at `path`, as far as it has come; of more than `most_bytes` none is taken."""

    path: Path
    size: int = 0
    etag: str | None = None
    _digest: Any = field(default_factory=hashlib.sha256)
    _file: IO[bytes] | None = None
    _noted: int = 0
    most_bytes: int | None = None

    @classmethod
    async def at(cls, path: Path) -> "Arriving":
        """Take up what an earlier attempt left at a path; nothing when there is none."""
        return await asyncio.to_thread(_taken_up, path)

    @property
    def sha256(self) -> str:
        """The hash of what is here, in lower-case hex."""
        return str(self._digest.hexdigest())

    @property
    def headers(self) -> dict[str, str]:
        """What a request asks with, so that only the rest comes."""
        if not self.size or self.etag is None:
            return {}
        return {"range": f"bytes={self.size}-", "if-range": self.etag}

    async def open(self, status: int, headers: Mapping[str, str]) -> bool:
        """Make ready for a body; False when the answer cannot go on after what is here.

        Args:
            status: 200 for the whole file, 206 for the rest of it.
            headers: of that answer.
        """
        etag = headers.get("etag", "")
        if status == PART:
            if not self._fits(headers.get("content-range", "")):
                await self.forget()
                return False
        else:
            await self.forget()
            self.etag = etag if etag.startswith(STRONG_ETAG_PREFIX) else None
        self._file = await asyncio.to_thread(self.path.open, "ab")
        return True

    def _fits(self, content_range: str) -> bool:
        unit, _, rest = content_range.partition(" ")
        first = rest.partition("-")[0]
        return bool(self.size) and unit == "bytes" and first == str(self.size)

    def expect(self, count: int) -> None:
        """Raise TooMuch where so many bytes more are beyond the most there may be."""
        if self.most_bytes is not None and self.size + count > self.most_bytes:
            raise TooMuch(self.most_bytes)

    async def take(self, chunk: bytes) -> None:
        """Add bytes. Raises TooMuch."""
        self.expect(len(chunk))
        await asyncio.to_thread(self._add, chunk)

    def _add(self, chunk: bytes) -> None:
        if self._file is None:
            raise AssertionError
        self._digest.update(chunk)
        _ = self._file.write(chunk)
        self.size += len(chunk)
        if self.size - self._noted >= NOTED_EVERY_BYTES:
            self._note()

    async def close(self) -> None:
        """Close the file, with a note of how far it has come."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._file is not None:
            try:
                self._note()
            finally:
                self._file.close()
                self._file = None

    def _note(self) -> None:
        """Write down what is surely on the disk: first the bytes, then the word of them."""
        if self.etag is None or self._file is None or self.size == self._noted:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        note = _Note(size=self.size, sha256=self.sha256, etag=self.etag)
        beside = _note_of(self.path)
        fresh = beside.with_name(f"{beside.name}.new")
        _ = fresh.write_bytes(msgspec.json.encode(note))
        _ = fresh.replace(beside)
        self._noted = self.size

    async def forget(self) -> None:
        """Begin anew."""
        await asyncio.to_thread(_removed, self.path)
        self.size, self.etag, self._noted = 0, None, 0
        self._digest = hashlib.sha256()


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + NOTE_SUFFIX)


def _removed(path: Path) -> None:
    for one in (path, _note_of(path)):
        one.unlink(missing_ok=True)


def _taken_up(path: Path) -> Arriving:
    """What the note says, if the bytes are still those; what came after the note is cut off."""
    try:
        note = msgspec.json.decode(_note_of(path).read_bytes(), type=_Note)
        with path.open("r+b") as file:
            digest, left = hashlib.sha256(), note.size
            while left and (chunk := file.read(min(READ_BYTES, left))):
                digest.update(chunk)
                left -= len(chunk)
            if not left and digest.hexdigest() == note.sha256:
                _ = file.truncate(note.size)
                return Arriving(path, note.size, note.etag, digest, None, note.size)
    except (OSError, msgspec.DecodeError):
        pass
    _removed(path)
    return Arriving(path)
