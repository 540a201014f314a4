"""The reviewer's Return, and what its author can do with it afterwards."""

import mimetypes
from collections.abc import AsyncIterator
from pathlib import PurePath

from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import Route

from sandbox.part3.authoring import CHUNK_BYTES, Authoring, Upload
from sandbox.part3.pages.frame import Frame, PageRefused, Visit, nothing_here
from sandbox.part3.pages.projects import place_of
from sandbox.part3.pages.registers import TYPED, RegisterPages, open_record
from sandbox.part3.pages.revisions import offer_of
from sandbox.part3.pages.words import DISPOSITION_WORDS, REGISTERS
from sandbox.part3.returns import NotNow
from sandbox.part3.wire import Return


async def _chunks(upload: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await upload.read(CHUNK_BYTES):
        yield chunk


def _upload(upload: UploadFile) -> Upload:
    name = PurePath((upload.filename or "file").replace("\\", "/")).name
    guessed = mimetypes.guess_type(name)[0]
    content_type = upload.content_type or guessed or "application/octet-stream"
    return Upload(name=name, content_type=content_type, chunks=_chunks(upload))


def fault_of(kind: str, text: str, disposition: str) -> str | None:
    """What is missing before a return can go, in words for the form."""
    if kind == "rfi" and not text:
        return "Write the answer before you return it."
    if kind == "submittal" and disposition not in DISPOSITION_WORDS:
        return "Choose a disposition before you return it."
    return None


class ReturnPages:
    def __init__(self, frame: Frame, registers: RegisterPages, authoring: Authoring) -> None:
        self._frame = frame
        self._house = frame.house
        self._registers = registers
        self._authoring = authoring

    async def make(self, visit: Visit) -> Response:
        opened = open_record(self._frame, visit)
        if not opened.may_return:
            return self._frame.go(
                visit, opened.path, "There is nothing for you to return here at the moment."
            )
        record = opened.record
        typed = {name: visit.text(name) for name in TYPED}
        disposition = typed["disposition"] if record.kind == "submittal" else ""
        if fault := fault_of(record.kind, typed["text"], disposition):
            return self._registers.show(visit, opened, status=422, fault=fault, given=typed)
        stamp = typed["stamp"] or DISPOSITION_WORDS[disposition] if disposition else None
        covers = visit.uploads("cover_page")
        await self._authoring.finish(
            record=record,
            project_id=opened.place.project.id,
            author=opened.place.me,
            # of the page the author read, not of what the record has become meanwhile
            seen_content_version=visit.text("seen_content_version"),
            text=typed["text"],
            disposition=disposition or None,
            stamp=stamp,
            uploads=[_upload(upload) for upload in visit.uploads("files")],
            cover_page=_upload(covers[0]) if covers else None,
            team_note=typed["team_note"],
        )
        return self._frame.go(visit, opened.path + "#returns", "Returned. It is on its way.")

    async def carry_notes(self, visit: Visit) -> Response:
        """Show the team's notes of the revision before on this one too."""
        opened = open_record(self._frame, visit)
        record, place = opened.record, opened.place
        offer = offer_of(self._house, place, record)
        if offer is None or not offer.notes:
            return self._frame.go(visit, opened.path, "There is nothing to carry over.")
        earlier = offer.previous.procore_id
        count = self._house.notes.carry(
            place.project.id, record.kind, earlier, record.procore_id, by=place.me.user_id
        )
        words = "1 note was" if count == 1 else f"{count} notes were"
        return self._frame.go(visit, f"{opened.path}#notes", f"{words} carried over.")

    async def begin(self, visit: Visit) -> Response:
        """The form of a return, with the words of one that did not go to the revision before."""
        opened = open_record(self._frame, visit)
        offer = offer_of(self._house, opened.place, opened.record)
        if offer is None or offer.unsent is None or not opened.may_return:
            return self._frame.go(visit, opened.path, "There are no words to begin with.")
        given = dict.fromkeys(TYPED, "") | {"text": offer.unsent.text or ""}
        return self._registers.show(visit, opened, given=given)

    def _own(self, visit: Visit) -> tuple[Return, str]:
        """The return the path names, if it is this person's, and the path of its record."""
        place = place_of(self._frame, visit)
        answer = self._house.returns.get(place.project.id, visit.path("return_id"))
        if answer.author.user_id != place.me.user_id:
            raise PageRefused(403, "Not yours to change", "Only its author can do this.")
        register = next((name for name, kind in REGISTERS.items() if kind == answer.kind), None)
        if register is None:
            raise nothing_here()
        return answer, f"/projects/{place.project.id}/{register}/{answer.procore_id}#returns"

    async def confirm(self, visit: Visit) -> Response:
        answer, path = self._own(visit)
        try:
            self._house.returns.confirm(answer.project_id, answer.id)
        except NotNow as error:
            return self._frame.go(visit, path, str(error))
        return self._frame.go(visit, path, "Confirmed. It is on its way again.")

    async def withdraw(self, visit: Visit) -> Response:
        answer, path = self._own(visit)
        try:
            self._house.returns.withdraw(answer.project_id, answer.id)
        except NotNow as error:
            return self._frame.go(visit, path, str(error))
        return self._frame.go(visit, path, "Withdrawn.")

    def routes(self) -> list[Route]:
        wrap = self._frame.closed
        one_return = "/projects/{project_id}/returns/{return_id}"
        record = "/projects/{project_id}/{register}/{procore_id}"
        return [
            Route(one_return + "/confirm", wrap(self.confirm), methods=["POST"]),
            Route(one_return + "/withdraw", wrap(self.withdraw), methods=["POST"]),
            Route(record + "/return", wrap(self.make), methods=["POST"]),
            Route(record + "/return", wrap(self.begin), methods=["GET"]),
            Route(record + "/carry-notes", wrap(self.carry_notes), methods=["POST"]),
        ]
