"""Procore, Part3 and the token service as small fakes that keep what they were asked."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from schemas.connections import Authorization, Connection, ConnectionPage
from schemas.records import File, Kind, Record, StoredRecord
from schemas.returns import Member, Project, Return
from services.errors import TryLater
from services.part3.client import Outdated
from services.procore.errors import GrantRefused, NotVisible
from services.procore.files import FileBytes
from services.procore.models import Attachment, Page, Place, Rfi, Submittal
from services.procore.pacer import Priority
from services.procore.reading import read_rfi, read_submittal

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
PROJECT, OWNER = "prj_1", "usr_owner"
Raise = Callable[..., None]


def rfi_json(record_id: int, *, files: Sequence[int] = (), **fields: Any) -> dict[str, Any]:
    return {
        "id": record_id,
        "number": str(record_id),
        "subject": f"Question {record_id}",
        "status": "open",
        "updated_at": START.isoformat(),
        "questions": [{"body": "<p>Why?</p>", "answers": [], "attachments": _files(files)}],
    } | fields


def submittal_json(record_id: int, *, files: Sequence[int] = (), **fields: Any) -> dict[str, Any]:
    return {
        "id": record_id,
        "number": str(record_id),
        "title": f"Submittal {record_id}",
        "status": {"name": "Open", "status": "Open"},
        "updated_at": START.isoformat(),
        "attachments": _files(files),
    } | fields


def later(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def _files(ids: Sequence[int]) -> list[dict[str, Any]]:
    return [{"id": one, "name": f"file-{one}.pdf", "url": f"https://s.test/{one}"} for one in ids]


class FakeProcore:
    """Holds records as JSON; `on` raises or waits before a call of that name is answered.

    What names its `project_id` is listed in that project alone, anything else in all of them.
    """

    per_page = 2

    def __init__(self) -> None:
        self.held: dict[tuple[Kind, str], dict[str, Any]] = {}
        self.bin: dict[tuple[Kind, str], dict[str, Any]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.readers: list[str] = []
        self.admins: set[str] = {OWNER}
        self.on: defaultdict[str, Callable[..., Any]] = defaultdict(lambda: _nothing)
        self.answered_at: datetime | None = None

    def hold(self, kind: Kind, *records: dict[str, Any]) -> None:
        for one in records:
            self.held[kind, str(one["id"])] = one

    def recycle(self, kind: Kind, record_id: str) -> None:
        self.bin[kind, record_id] = self.held.pop((kind, record_id))

    def restore(self, kind: Kind, record_id: str) -> None:
        self.held[kind, record_id] = self.bin.pop((kind, record_id))

    def asked(self, name: str) -> list[Any]:
        return [what for called, what in self.calls if called == name]

    async def _called(self, name: str, what: Any, whose: str = OWNER) -> None:
        self.calls.append((name, what))
        self.readers.append(whose)
        waits = self.on[name](what, whose)
        if waits is not None:
            await waits

    async def rfi(self, place: Place, rfi_id: str, *, whose: str, priority: Priority) -> Rfi:
        await self._called("rfi", rfi_id, whose)
        if ("rfi", rfi_id) not in self.held:
            raise NotVisible(rfi_id)
        return read_rfi(self.held["rfi", rfi_id], full=True)

    async def rfis_listed(
        self, place: Place, ids: Sequence[str], *, whose: str, priority: Priority
    ) -> frozenset[str]:
        await self._called("rfis_listed", sorted(ids), whose)
        return frozenset(one for one in ids if ("rfi", one) in self.held)

    async def submittals(
        self, place: Place, ids: Sequence[str], *, whose: str, priority: Priority
    ) -> dict[str, Submittal]:
        await self._called("submittals", sorted(ids), whose)
        found = {one: self.held.get(("submittal", one)) for one in ids}
        return {one: read_submittal(raw) for one, raw in found.items() if raw is not None}

    async def page(
        self,
        kind: Kind,
        place: Place,
        *,
        whose: str,
        priority: Priority,
        number: int,
        updated_from: datetime | None,
        updated_to: datetime | None,
    ) -> Page:
        await self._called("page", (kind, number), whose)
        there = (
            raw
            for (of, _), raw in self.held.items()
            if of == kind and raw.get("project_id", place.project_id) == place.project_id
        )
        listed = sorted(there, key=lambda raw: raw["id"])
        if updated_from is not None:
            listed = [
                one for one in listed if datetime.fromisoformat(one["updated_at"]) >= updated_from
            ]
        first = (number - 1) * self.per_page
        items = listed[first : first + self.per_page]
        more = number + 1 if first + self.per_page < len(listed) else None
        return Page(items, len(listed), more, self.answered_at)

    async def recycled(self, kind: Kind, place: Place, *, whose: str) -> frozenset[str]:
        await self._called("recycled", kind, whose)
        return frozenset(record_id for of, record_id in self.bin if of == kind)

    async def is_admin_of_both(self, place: Place, *, whose: str) -> bool:
        await self._called("manifest", whose, whose)
        return whose in self.admins

    async def download(
        self,
        place: Place,
        attachment: Attachment,
        into: Path,
        *,
        whose: str,
        most_bytes: int | None = None,
    ) -> FileBytes:
        await self._called("download", attachment.id, whose)
        content = f"bytes of {attachment.id}".encode()
        await asyncio.to_thread(into.write_bytes, content)
        return FileBytes(hashlib.sha256(content).hexdigest(), len(content), "application/pdf")


class FakePart3:
    """Holds records with versions, files, and a team; `on` as Procore's."""

    def __init__(self) -> None:
        self.held: dict[tuple[Kind, str], StoredRecord] = {}
        self.files: set[str] = set()
        self.puts: list[str] = []
        self.batches: list[list[str]] = []
        self.on: defaultdict[str, Callable[..., Any]] = defaultdict(lambda: _nothing)
        self.team: list[Member] = [member(OWNER, "Olive Owner")]
        self.pending: list[Return] = []
        self._versions = 0

    async def _called(self, name: str, what: Any) -> None:
        waits = self.on[name](what)
        if waits is not None:
            await waits

    async def put_record(
        self, project_id: str, record: Record, *, if_match: str | None = None
    ) -> StoredRecord:
        await self._called("put", record)
        there = self.held.get((record.kind, record.procore_id))
        if (there.version if there else None) != if_match:
            raise Outdated
        self.puts.append(record.procore_id)
        return self.store(record)

    async def put_records(self, project_id: str, records: list[Record]) -> list[StoredRecord | str]:
        await self._called("batch", records)
        self.batches.append([one.procore_id for one in records])
        return [
            "Part3 holds it already" if (one.kind, one.procore_id) in self.held else self.store(one)
            for one in records
        ]

    def store(self, record: Record) -> StoredRecord:
        self._versions += 1
        fields = msgspec.structs.asdict(record)
        fields |= {"version": str(self._versions), "updated_at": START, "id": record.procore_id}
        stored = StoredRecord(**fields)
        self.held[record.kind, record.procore_id] = stored
        return stored

    async def record(self, project_id: str, kind: Kind, procore_id: str) -> StoredRecord | None:
        await self._called("record", procore_id)
        return self.held.get((kind, procore_id))

    async def records(
        self, project_id: str, *, kind: Kind | None = None, cursor: str | None = None
    ) -> tuple[list[StoredRecord], str | None]:
        await self._called("records", cursor)
        held = [one for (of, _), one in self.held.items() if kind in (None, of)]
        first = int(cursor or 0)
        more = str(first + 2) if first + 2 < len(held) else None
        return held[first : first + 2], more

    async def has_file(self, project_id: str, sha256: str) -> bool:
        return sha256 in self.files

    async def put_file(self, project_id: str, path: Path, file: File) -> None:
        await self._called("put_file", file)
        self.files.add(file.sha256)

    async def project(self, project_id: str) -> Project | None:
        return Project(id=project_id, name="Harbour", team=tuple(self.team))

    async def pending_returns(self, project_id: str) -> tuple[Return, ...]:
        await self._called("pending", project_id)
        return tuple(self.pending)


class FakeTokenService:
    """Connections, and who has authorized since when."""

    def __init__(self) -> None:
        self.held: dict[str, Connection] = {}
        self.authorized: dict[str, datetime] = {OWNER: START}
        self.hooks: dict[str, str] = {}
        self.away = False
        self.forgotten: list[str] = []

    def connect(self, project_id: str = PROJECT, **fields: Any) -> Connection:
        now, before = datetime.now(UTC), self.held.get(project_id)
        goes_on = before is not None and before.state != "disconnected"
        plain: dict[str, Any] = {
            "project_id": project_id,
            "state": "active",
            "procore_company_id": "77",
            "procore_project_id": "501",
            "owner_user_id": OWNER,
            "updated_at": now,
            "connected_at": before.connected_at if before and goes_on else now,
        }
        self.held[project_id] = Connection(**(plain | fields))
        return self.held[project_id]

    def _answer(self) -> None:
        if self.away:
            message = "away"
            raise TryLater(message, reason="token_service_down")

    async def connection(self, project_id: str) -> Connection | None:
        self._answer()
        return self.held.get(project_id)

    async def connections(
        self, *, updated_after: datetime | None, cursor: str | None
    ) -> ConnectionPage:
        """One connection a page, by number of the last one."""
        self._answer()
        listed = sorted(self.held.values(), key=lambda one: one.updated_at)
        listed = [one for one in listed if updated_after is None or one.updated_at > updated_after]
        at = int(cursor or 0)
        more = str(at + 1) if at + 1 < len(listed) else None
        return ConnectionPage(items=tuple(listed[at : at + 1]), next_cursor=more)

    async def authorized_among(self, user_ids: Sequence[str]) -> tuple[Authorization, ...]:
        self._answer()
        found = [(since, one) for one, since in self.authorized.items() if one in user_ids]
        return tuple(
            Authorization(user_id=one, authorized_at=since) for since, one in sorted(found)
        )

    async def ensure_hook(self, project_id: str) -> str:
        self._answer()
        return self.hooks.get(project_id, "ok")

    def forget(self, user_id: str) -> None:
        self.forgotten.append(user_id)

    def refuse(self, _what: Any, whose: str) -> None:
        """Put in front of Procore's calls: nobody reads without a grant."""
        if whose not in self.authorized:
            raise GrantRefused(whose, reason="needs_reauthorization")


def member(user_id: str, name: str, role: Any = "general_contractor") -> Member:
    return Member(user_id=user_id, name=name, email=f"{user_id}@x.test", company="GC", role=role)


def _nothing(*_: Any) -> None:
    return None
