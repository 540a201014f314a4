"""A return's files: brought from Part3 to Procore under the author's grant, and proven after."""

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from schemas.returns import Return
from services import failpoints
from services.errors import NeedsPerson, OutcomeUnknown, TryLater
from services.postgres import Postgres
from services.procore.errors import Refused
from services.procore.files import FileNotWhole
from services.procore.models import Attachment, Place
from sync_worker.outbound import holds
from sync_worker.outbound.compose import OutgoingFile, files_of
from sync_worker.outbound.outside import Part3Returns, ProcoreReads, ProcoreWrites
from sync_worker.outbound.read_back import ReadFile

READ_BYTES = 1 << 20

KNOWN_UPLOAD = """
SELECT upload_uuid FROM mirror.uploads
WHERE (return_id, sha256, name) = ($1, $2, $3) AND uploaded_at > now() - interval '1 day'
"""
NOTE_UPLOAD = """
INSERT INTO mirror.uploads (return_id, sha256, name, upload_uuid) VALUES ($1, $2, $3, $4)
ON CONFLICT (return_id, sha256, name) DO UPDATE
SET upload_uuid = excluded.upload_uuid, uploaded_at = now()
"""


class Uploads(Protocol):
    """Which files have been uploaded already, so that a retry does not bring them again."""

    async def known(self, return_id: str, file: OutgoingFile) -> str | None:
        """Return the uuid of an upload that Procore surely still has, or None."""

    async def note(self, return_id: str, file: OutgoingFile, uuid: str) -> None:
        """Keep an upload's uuid."""


class PostgresUploads:
    """`Uploads` in Postgres. Procore purges what nobody attaches within a week; we trust a day."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def known(self, return_id: str, file: OutgoingFile) -> str | None:
        """Return the uuid of an upload younger than a day, or None."""
        uuid: str | None = await self._postgres.fetchval(
            KNOWN_UPLOAD, return_id, file.sha256, file.name
        )
        return uuid

    async def note(self, return_id: str, file: OutgoingFile, uuid: str) -> None:
        """Keep an upload's uuid."""
        await self._postgres.execute(NOTE_UPLOAD, return_id, file.sha256, file.name, uuid)


async def bring_files(
    answer: Return,
    place: Place,
    *,
    part3: Part3Returns,
    procore: ProcoreWrites,
    uploads: Uploads,
) -> tuple[str, ...]:
    """Upload all files of a return under its author's own grant; return their uuids in order.

    Raises:
        NeedsPerson: `file_rejected`, as Part3 lacks a file or Procore refuses it.
    """
    uuids: list[str] = []
    for file in files_of(answer):
        uuid = await uploads.known(answer.id, file)
        if uuid is None:
            uuid = await _bring(answer, file, place, part3=part3, procore=procore)
            failpoints.reach("f1")
            await uploads.note(answer.id, file, uuid)
            failpoints.reach("f2")
        uuids.append(uuid)
    return tuple(uuids)


async def _bring(
    answer: Return, file: OutgoingFile, place: Place, *, part3: Part3Returns, procore: ProcoreWrites
) -> str:
    with _scratch() as path:
        if not await part3.fetch_file(answer.project_id, file.sha256, path):
            raise _rejected(answer, file, "Part3 no longer has it")
        size, sha256 = await measure(path)
        if (size, sha256) != (file.size, file.sha256.lower()):
            raise _rejected(answer, file, "its bytes are not those that were returned")
        try:
            return await procore.upload(
                place, path, file.name, file.content_type, whose=answer.author.user_id
            )
        except Refused as error:
            raise _rejected(answer, file, f"Procore says: {error}") from error
        except OutcomeUnknown as error:
            # an upload nobody attaches has no effect, so it may simply be brought again
            raise TryLater(str(error), reason="procore_down") from error


def _rejected(answer: Return, file: OutgoingFile, why: str) -> NeedsPerson:
    hold = holds.file_rejected(answer, file.name, why)
    return NeedsPerson(hold.message, reason=hold.reason, mended_by=hold.mended_by)


async def read_files(
    attachments: tuple[Attachment, ...], place: Place, procore: ProcoreReads, *, whose: str
) -> tuple[ReadFile, ...]:
    """Download attachments to the last byte, and return what they are."""
    read: list[ReadFile] = []
    for attachment in attachments:
        with _scratch() as path:
            try:
                file = await procore.download(place, attachment, path, whose=whose)
            except FileNotWhole:
                continue  # not there whole is not there: the comparison says so by name
        read.append(ReadFile(attachment.id, attachment.name, file.size, file.sha256))
    return tuple(read)


async def measure(path: Path) -> tuple[int, str]:
    """Return a file's size in bytes and its SHA-256 in hex."""
    return await asyncio.to_thread(_measure, path)


def _measure(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


@contextmanager
def _scratch() -> Iterator[Path]:
    """Give a path for one file's bytes: drawings may be larger than memory should hold."""
    with tempfile.TemporaryDirectory(prefix="return-") as folder:
        yield Path(folder) / "bytes"
