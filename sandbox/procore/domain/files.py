"""Files: bytes kept once, uploads that their owner alone may use, attachments on records."""

import hashlib
import uuid as uuids
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from sandbox.procore.domain import directory
from sandbox.procore.domain.attachments import Attachment, StoredFile
from sandbox.procore.domain.people import Actor, Project
from sandbox.procore.errors import BadRequest, Gone, NotFound, Unprocessable
from sandbox.procore.store import Kept
from sandbox.procore.world import World

START_WITHIN = timedelta(hours=1)
ATTACH_WITHIN = timedelta(weeks=1)
SMALLEST_SEGMENT = 5 * 1024 * 1024


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A file that comes with a form: a page's or a multipart call's."""

    name: str
    content_type: str
    content: bytes


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    size: int
    sha256: str
    md5: str | None = None
    etag: str | None = None  # set once its bytes are here
    content_sha256: str | None = None


class Upload(Kept, frozen=True, kw_only=True):
    """Bytes on their way: announced, brought to storage, then attached by uuid."""

    uuid: str
    company_id: int
    project_id: int
    owner_id: int
    name: str
    content_type: str
    size: int | None
    created_at: datetime
    segments: tuple[Segment, ...] = ()
    status: Literal["ready", "complete"] = "ready"
    file_id: int | None = None

    @property
    def key(self) -> str:
        return self.uuid


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says of a file before it brings the bytes."""

    name: str
    content_type: str | None = None
    size: int | None = None
    segments: tuple[Segment, ...] = ()


def announce(world: World, actor: Actor, project_id: int, announced: Announced) -> Upload:
    """Open an upload that only this person may use."""
    project = directory.project(world, actor, project_id)
    if not announced.name.strip():
        raise BadRequest(fields={"response_filename": ["can't be blank"]})
    small = [s for s in announced.segments[:-1] if s.size < SMALLEST_SEGMENT]
    if small:
        raise BadRequest(fields={"segments": ["must be at least 5 MB, except the last one"]})
    upload = Upload(
        uuid=str(uuids.uuid4()),
        company_id=project.company_id,
        project_id=project_id,
        owner_id=actor.user_id,
        name=announced.name,
        content_type=announced.content_type or "application/octet-stream",
        size=announced.size,
        created_at=world.now(),
        segments=announced.segments,
    )
    with world.transaction():
        world.store.put(upload)
        world.note_effect(actor, "upload.announced", "uploads", upload.uuid, upload.name)
    return upload


def own_upload(world: World, actor: Actor, project_id: int, uuid: str) -> Upload:
    """Raises NotFound for somebody else's upload, Gone once it was purged."""
    upload = world.store.get(Upload, uuid)
    if upload is None or upload.owner_id != actor.user_id or upload.project_id != project_id:
        raise NotFound
    if world.now() > upload.created_at + ATTACH_WITHIN:
        raise Gone("The upload has expired.")
    return upload


def receive_whole(world: World, uuid: str, content: bytes) -> Upload:
    """Storage takes the bytes of an unsegmented upload. Raises Refusal as storage would."""
    upload = _open_upload(world, uuid)
    if upload.size is not None and upload.size != len(content):
        raise BadRequest("EntityTooLarge or EntityTooSmall: the size differs from the policy.")
    return _complete(world, upload, content)


def receive_segment(world: World, uuid: str, number: int, content: bytes) -> str:
    """Storage takes one segment and answers its ETag."""
    upload = _open_upload(world, uuid)
    if not 0 <= number < len(upload.segments):
        raise NotFound("NoSuchUpload")
    segment = upload.segments[number]
    if len(content) != segment.size or hashlib.sha256(content).hexdigest() != segment.sha256:
        raise BadRequest("XAmzContentSHA256Mismatch: the bytes differ from what was announced.")
    etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
    kept = msgspec.structs.replace(segment, etag=etag, content_sha256=world.files.keep(content))
    segments = (*upload.segments[:number], kept, *upload.segments[number + 1 :])
    world.store.put(msgspec.structs.replace(upload, segments=segments))
    return etag


def complete(world: World, actor: Actor, project_id: int, uuid: str, etags: list[str]) -> Upload:
    """Put the segments together; the etags must be storage's, in order."""
    upload = own_upload(world, actor, project_id, uuid)
    if upload.status == "complete":
        return upload
    wanted = [s.etag for s in upload.segments]
    if None in wanted or [e.strip('"') for e in etags] != [str(w).strip('"') for w in wanted]:
        raise Unprocessable(fields={"segments": ["etags do not match the uploaded segments"]})
    content = b"".join(world.files.read(s.content_sha256 or "") for s in upload.segments)
    return _complete(world, upload, content)


def _open_upload(world: World, uuid: str) -> Upload:
    upload = world.store.get(Upload, uuid)
    if upload is None:
        raise NotFound("NoSuchUpload")
    if world.now() > upload.created_at + START_WITHIN:
        raise Gone("AccessDenied: Policy expired.")
    return upload


def _complete(world: World, upload: Upload, content: bytes) -> Upload:
    with world.transaction():
        file = keep(
            world,
            upload.owner_id,
            upload.company_id,
            Incoming(name=upload.name, content_type=upload.content_type, content=content),
        )
        done = msgspec.structs.replace(upload, status="complete", file_id=file.id)
        world.store.put(done)
        world.note_effect(None, "upload.received", "uploads", upload.uuid, file.sha256)
    return done


def keep(world: World, owner_id: int, company_id: int, incoming: Incoming) -> StoredFile:
    """Store bytes as a file of the company."""
    base = directory.company(world, company_id).id_base
    file = StoredFile(
        id=world.next_id(base),
        company_id=company_id,
        name=incoming.name,
        content_type=incoming.content_type,
        size=len(incoming.content),
        sha256=world.files.keep(incoming.content),
        uploaded_by_id=owner_id,
        created_at=world.now(),
    )
    world.store.put(file)
    return file


def attach(world: World, actor: Actor, project: Project, file: StoredFile) -> Attachment:
    """A new place for a stored file."""
    base = directory.company(world, project.company_id).id_base
    return Attachment(
        id=world.next_id(base),
        file_id=file.id,
        name=file.name,
        content_type=file.content_type,
        size=file.size,
        sha256=file.sha256,
        attached_at=world.now(),
        attached_by_id=actor.user_id,
    )


def gather(
    world: World,
    actor: Actor,
    project: Project,
    *,
    upload_ids: Iterable[str] = (),
    file_ids: Iterable[int] = (),
    incoming: Iterable[Incoming] = (),
) -> tuple[Attachment, ...]:
    """Attachments from uploads (own ones, complete), stored files and files of a form."""
    found = [_uploaded(world, actor, project, uuid) for uuid in upload_ids]
    for file_id in file_ids:
        stored = world.store.get(StoredFile, file_id)
        if stored is None or stored.company_id != project.company_id:
            raise BadRequest(fields={"prostore_file_ids": [f"{file_id} is not a valid file"]})
        found.append(stored)
    found += [keep(world, actor.user_id, project.company_id, one) for one in incoming]
    return tuple(attach(world, actor, project, file) for file in found)


def _uploaded(world: World, actor: Actor, project: Project, uuid: str) -> StoredFile:
    invalid = BadRequest(fields={"upload_ids": [f"{uuid} is not a valid upload"]})
    try:
        upload = own_upload(world, actor, project.id, uuid)
    except NotFound:
        raise invalid from None
    file = world.store.get(StoredFile, upload.file_id) if upload.file_id else None
    if file is None:
        raise invalid
    world.note_effect(actor, "upload.attached", "uploads", uuid)
    return file
