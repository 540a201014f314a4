"""What people do that takes more than one part of the house: finish a return, invite someone."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass

from sandbox.part3.house import House
from sandbox.part3.mail import invitation_mail
from sandbox.part3.people import ROLE_WORDS
from sandbox.part3.problems import Problem
from sandbox.part3.wire import File, Member, Return, StoredRecord

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file on its way in from a form."""

    name: str
    content_type: str
    chunks: AsyncIterable[bytes]


async def one_chunk(content: bytes) -> AsyncIterator[bytes]:
    yield content


class Authoring:
    def __init__(self, house: House) -> None:
        self._house = house

    async def keep(self, project_id: str, upload: Upload) -> File:
        blob = await self._house.files.receive(upload.chunks)
        self._house.files.keep(project_id, blob, name=upload.name, by="author")
        return File(
            sha256=blob.sha256, name=upload.name, content_type=upload.content_type, size=blob.size
        )

    async def finish(
        self,
        *,
        record: StoredRecord,
        project_id: str,
        author: Member,
        seen_content_version: str,
        text: str | None,
        disposition: str | None = None,
        stamp: str | None = None,
        uploads: Sequence[Upload] = (),
        cover_page: Upload | None = None,
        team_note: str = "",
    ) -> Return:
        """Store the files first, then the return with its event: it never names a missing file."""
        files = [await self.keep(project_id, upload) for upload in uploads]
        cover = await self.keep(project_id, cover_page) if cover_page else None
        with self._house.store.transaction():
            made = self._house.returns.create(
                project_id=project_id,
                kind=record.kind,
                procore_id=record.procore_id,
                author=author,
                seen_content_version=seen_content_version,
                text=text or None,
                disposition=disposition,
                stamp=stamp,
                files=files,
                cover_page=cover,
            )
            if team_note.strip():
                self._house.notes.add(
                    project_id, record.kind, record.procore_id, author.user_id, team_note.strip()
                )
        return made

    async def invite(self, project_id: str, user_id: str, *, inviter: str) -> None:
        """Mail an invitation; raises NotSent when the mail server does not take it."""
        people = self._house.people
        project, member = people.project(project_id), people.member(project_id, user_id)
        if member is None:
            raise Problem(404, f"{user_id} is not on the team.")
        token = people.invite(project_id, user_id)
        message = invitation_mail(
            name=member.name,
            email=member.email,
            project=project.name,
            inviter=inviter,
            company=member.company,
            role=ROLE_WORDS[member.role],
            link=f"{self._house.settings.public_url}/invitations/{token}",
        )
        await self._house.mailer.send(message)
        people.note_invited(project_id, user_id)
