"""The RFI and submittal registers and the pages of their records."""

import re
from dataclasses import dataclass
from typing import Any

from starlette.responses import FileResponse, Response
from starlette.routing import Route

from sandbox.part3.files import SHA256
from sandbox.part3.pages.differences import differences
from sandbox.part3.pages.frame import Frame, Visit, nothing_here
from sandbox.part3.pages.projects import Place, place_of
from sandbox.part3.pages.revisions import offer_of, seen
from sandbox.part3.pages.stages import ending_of, rounds_of, stage_of, steps_of
from sandbox.part3.pages.words import (
    REGISTERS,
    REVIEWERS,
    STATUS_WORDS,
    Standing,
    may_see,
    readiness_line,
    standing,
)
from sandbox.part3.wire import (
    Delivery,
    File,
    Member,
    Project,
    Readiness,
    Record,
    Return,
    StoredRecord,
)

MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
TYPED = ("text", "disposition", "stamp", "team_note")
"""The fields of a return's form that come back when it is refused."""


@dataclass(frozen=True, kw_only=True)
class ShownReturn:
    answer: Return
    delivery: Delivery | None
    standing: Standing
    version: int | None = None  # of the question, that its author answered


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A record as the person who opened it may see it."""

    place: Place
    register: str
    record: StoredRecord
    readiness: Readiness | None
    returns: list[ShownReturn]
    veiled: bool = False

    @property
    def may_lift_veil(self) -> bool:
        """Somebody who takes part may show to all what was private until lately."""
        answers = (*REVIEWERS, "general_contractor")
        return self.veiled and not self.record.private and self.place.me.role in answers

    @property
    def path(self) -> str:
        return f"/projects/{self.place.project.id}/{self.register}/{self.record.procore_id}"

    @property
    def may_return(self) -> bool:
        """A reviewer with nothing under way on a record that is still there."""
        own = (s.answer for s in self.returns if s.answer.author.user_id == self.place.me.user_id)
        under_way = any(answer.state in ("pending", "held") for answer in own)
        return (
            self.place.me.role in REVIEWERS
            and self.record.status not in ("removed", "withdrawn", "draft")
            and self.record.extras.get("superseded") is not True
            and not self.place.project.archived
            and not under_way
        )

    @property
    def returned_before(self) -> bool:
        """This person has answered, or it is closed: the form is folded away."""
        own = any(s.answer.author.user_id == self.place.me.user_id for s in self.returns)
        return own or self.record.status in ("closed", "distributed")

    def file(self, sha256: str) -> File | None:
        """A file that this record or a return on it names."""
        answers = [shown.answer for shown in self.returns]
        covers = [answer.cover_page for answer in answers if answer.cover_page]
        returned = [file for answer in answers for file in answer.files]
        named = (*self.record.named_files(), *returned, *covers)
        return next((file for file in named if file.sha256 == sha256), None)


def open_record(frame: Frame, visit: Visit) -> Opened:
    """The record the path names; 404 also for a private one that is not theirs."""
    place = place_of(frame, visit)
    register = visit.path("register")
    if register not in REGISTERS:
        raise nothing_here()
    house, project_id = frame.house, place.project.id
    kind, procore_id = REGISTERS[register], visit.path("procore_id")
    record = house.records.find(project_id, kind, procore_id)
    if record is None:
        raise nothing_here()
    readiness = house.records.readiness(project_id, kind, procore_id)
    answers = house.returns.of_record(project_id, kind, procore_id)
    returned = any(answer.author.user_id == place.me.user_id for answer in answers)
    ready_ids = readiness.for_user_ids if readiness else ()
    veiled = house.records.history.veiled(project_id, kind, procore_id)
    if not may_see(record, place.me, ready_ids, returned=returned, veiled=veiled):
        raise nothing_here()
    shown = []
    for answer in answers:
        delivery = house.returns.delivery(project_id, answer.id)
        stands = standing(answer, delivery, place.me.user_id)
        version = house.records.history.version_seen(
            project_id, kind, procore_id, answer.seen_content_version
        )
        shown.append(
            ShownReturn(answer=answer, delivery=delivery, standing=stands, version=version)
        )
    return Opened(
        place=place,
        register=register,
        record=record,
        readiness=readiness,
        returns=shown,
        veiled=veiled,
    )


class RegisterPages:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._house = frame.house

    async def register(self, visit: Visit) -> Response:
        place = place_of(self._frame, visit)
        register = visit.path("register")
        if register not in REGISTERS:
            raise nothing_here()
        query = visit.request.query_params.get("q", "").strip()
        status = visit.request.query_params.get("status", "")
        visible = self._visible(place, REGISTERS[register])
        lines = [
            line
            for line in visible
            if (not status or line["record"].status == status)
            and query.casefold() in line["searched"]
        ]
        present = {line["record"].status for line in visible}
        return self._frame.render(
            visit,
            "register.html",
            project=place.project,
            place=place,
            register=register,
            kind=REGISTERS[register],
            lines=lines,
            total=len(visible),
            query=query,
            chosen=status,
            statuses=[code for code in STATUS_WORDS if code in present],
        )

    def _visible(self, place: Place, kind: str) -> list[dict[str, Any]]:
        lines = []
        for record in self._house.records.all_of(place.project.id, kind):
            answers = self._house.returns.of_record(place.project.id, kind, record.procore_id)
            own = [answer for answer in answers if answer.author.user_id == place.me.user_id]
            readiness = self._house.records.readiness(place.project.id, kind, record.procore_id)
            ready_ids = readiness.for_user_ids if readiness else ()
            veiled = self._house.records.history.veiled(place.project.id, kind, record.procore_id)
            if not may_see(record, place.me, ready_ids, returned=bool(own), veiled=veiled):
                continue
            latest = None
            if answers:
                delivery = self._house.returns.delivery(place.project.id, answers[0].id)
                latest = standing(answers[0], delivery, place.me.user_id)
            lines.append(
                {
                    "record": record,
                    "stage": stage_of(record, reviewers_of(place.project)),
                    "searched": " ".join(
                        (record.number, record.title, record.spec_section or "")
                    ).casefold(),
                    "latest": latest,
                    "mine": place.me.user_id in ready_ids and _has_the_ball(record, place.me),
                }
            )
        return lines

    async def record(self, visit: Visit) -> Response:
        return self.show(visit, open_record(self._frame, visit))

    def show(
        self,
        visit: Visit,
        opened: Opened,
        *,
        status: int = 200,
        fault: str | None = None,
        given: dict[str, str] | None = None,
    ) -> Response:
        """The record's page; `given` is what stands in the form of a return already."""
        place, record = opened.place, opened.record
        project_id = place.project.id
        previous = None
        if record.previous_revision:
            previous = seen(self._house, place, record.kind, record.previous_revision)
        later = self._house.records.revisions_of(project_id, record.kind, record.procore_id)
        history = self._house.records.history
        versions = history.versions(project_id, record.kind, record.procore_id)
        team = reviewers_of(place.project)
        notes = []
        if place.me.role in REVIEWERS:
            notes = self._house.notes.of_record(project_id, record.kind, record.procore_id)
        return self._frame.render(
            visit,
            f"{record.kind}.html",
            status=status,
            project=place.project,
            place=place,
            register=opened.register,
            opened=opened,
            record=record,
            previous=previous,
            superseded=bool(later) or record.extras.get("superseded") is True,
            later=[one for one in later if seen(self._house, place, one.kind, one.procore_id)],
            versions=versions,
            differences=differences(versions, is_html=record.kind == "rfi"),
            stage=stage_of(record, team),
            ending=ending_of(record, team),
            rounds=rounds_of(record),
            steps=steps_of(record),
            ready=readiness_line(opened.readiness, place.me),
            notes=notes,
            offer=offer_of(self._house, place, record),
            fault=fault,
            given=given or dict.fromkeys(TYPED, ""),
        )

    async def lift_veil(self, visit: Visit) -> Response:
        """Somebody who takes part has checked what was written while it was private."""
        opened = open_record(self._frame, visit)
        if not opened.may_lift_veil:
            return self._frame.go(visit, opened.path, "There is nothing to show to others here.")
        record, place = opened.record, opened.place
        self._house.records.history.lift_veil(
            place.project.id, record.kind, record.procore_id, place.me.user_id
        )
        return self._frame.go(visit, opened.path, "The whole team sees it now.")

    async def download(self, visit: Visit) -> Response:
        opened = open_record(self._frame, visit)
        sha256 = visit.path("sha256")
        file = opened.file(sha256) if SHA256.fullmatch(sha256) else None
        if file is None or not self._house.files.holds(opened.place.project.id, sha256):
            raise nothing_here()
        known = MEDIA_TYPE.fullmatch(file.content_type)
        return FileResponse(
            self._house.files.path(sha256),
            media_type=file.content_type if known else "application/octet-stream",
            filename=file.name,
        )

    async def check_again(self, visit: Visit) -> Response:
        """Somebody thinks this is out of date: tell the connector to look again."""
        opened = open_record(self._frame, visit)
        record = opened.record
        self._house.outbox.add(
            "record.changed",
            project_id=opened.place.project.id,
            kind=record.kind,
            procore_id=record.procore_id,
        )
        return self._frame.go(visit, opened.path, "Procore is being asked for the latest.")

    def routes(self) -> list[Route]:
        wrap = self._frame.closed
        register = "/projects/{project_id}/{register}"
        record = register + "/{procore_id}"
        return [
            Route(register, wrap(self.register), methods=["GET"]),
            Route(record, wrap(self.record), methods=["GET"]),
            Route(record + "/files/{sha256}", wrap(self.download), methods=["GET"]),
            Route(record + "/show-to-all", wrap(self.lift_veil), methods=["POST"]),
            Route(record + "/check", wrap(self.check_again), methods=["POST"]),
        ]


def _has_the_ball(record: Record, me: Member) -> bool:
    """Whose turn it is, by the address that the contractor's side knows somebody by."""
    turns = {person.email.casefold() for person in record.ball_in_court if person.email}
    return me.email.casefold() in turns


def reviewers_of(project: Project) -> frozenset[str]:
    """E-mail addresses of everybody who reviews on a project."""
    return frozenset(one.email.casefold() for one in project.team if one.role in REVIEWERS)
