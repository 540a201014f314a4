"""Part3 in memory: the mirror with every state it showed, returns, and what it was told of them."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from schemas.records import File, Kind, Record, StoredRecord
from schemas.returns import Delivery, Member, Project, Return
from services.part3.client import Outdated
from simulation.counting import History
from simulation.wire import Wire

STATE = re.compile(r"state (\d+)$")
FINAL = ("delivered", "failed")


@dataclass(slots=True)
class Part3Model:
    """What the architects see."""

    clock: Callable[[], datetime]
    history: History
    project: Project
    on_report: Callable[[Return, Delivery], None] = lambda *_: None
    records: dict[tuple[Kind, str], StoredRecord] = field(default_factory=dict)
    newest_shown: dict[tuple[Kind, str], int] = field(default_factory=dict)
    returns: dict[str, Return] = field(default_factory=dict)
    reports: dict[str, list[Delivery]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    puts: int = 0
    versions: int = 0

    def put(self, record: Record, if_match: str | None) -> StoredRecord:
        """Create or replace a record. The mirror must never go back to an older state (I3)."""
        key = (record.kind, record.procore_id)
        there = self.records.get(key)
        if there is not None and Record(**_shown(there)) == record:
            return there  # this very put was applied, only its answer was lost
        held = there.version if there is not None else None
        if held != if_match:
            self.history.count("put refused as outdated")
            raise Outdated
        state = state_shown(record)
        newest = self.newest_shown.get(key, 0)
        if state < newest:
            self.history.violate("I3", f"Part3 shows {record.title} after state {newest}")
        self.newest_shown[key] = max(state, newest)
        self.versions += 1
        self.puts += 1
        fields = msgspec.structs.asdict(record)
        stored = StoredRecord(
            **fields | {"version": str(self.versions), "updated_at": self.clock(), "id": key[1]}
        )
        self.records[key] = stored
        self.history.tell("part3", "shows", record=record.title, status=record.status)
        return stored

    def report(self, return_id: str, delivery: Delivery) -> None:
        """Take where a return stands; its last word stays."""
        known = self.reports.setdefault(return_id, [])
        if known and known[-1].state in FINAL:
            if delivery.state in FINAL and known[-1].state != delivery.state:
                self.history.violate("I7", f"{return_id} was final and is now {delivery.state}")
            return
        if known and delivery.as_of < known[-1].as_of and delivery.state not in FINAL:
            return  # executed late
        known.append(delivery)
        answer = self.returns[return_id]
        if delivery.state in ("delivered", "held", "failed") and answer.state != "withdrawn":
            self.returns[return_id] = replace(answer, state=delivery.state)
        self.history.tell(
            "part3", "is told", of=return_id, state=delivery.state, reason=delivery.reason
        )
        self.on_report(self.returns[return_id], delivery)


def _shown(stored: StoredRecord) -> dict[str, Any]:
    return {name: getattr(stored, name) for name in Record.__struct_fields__}


def state_shown(record: Record) -> int:
    """Return the number of Procore's state that a record shows."""
    found = STATE.search(record.title)
    return int(found[1]) if found else 0


class Part3Port:
    """Part3 as one worker reaches it."""

    def __init__(self, model: Part3Model, wire: Wire) -> None:
        self._model = model
        self._wire = wire

    async def project(self, project_id: str) -> Project | None:
        """Return the project with its team."""
        return await self._wire.read(lambda: self._model.project)

    async def record(self, project_id: str, kind: Kind, procore_id: str) -> StoredRecord | None:
        """Return a record as Part3 holds it."""
        return await self._wire.read(lambda: self._model.records.get((kind, procore_id)))

    async def put_record(
        self, project_id: str, record: Record, *, if_match: str | None = None
    ) -> StoredRecord:
        """Create or replace a record."""
        return await self._wire.write(lambda: self._model.put(record, if_match))

    async def put_records(self, project_id: str, records: list[Record]) -> list[StoredRecord | str]:
        """Put several records."""

        def put(one: Record) -> StoredRecord | str:
            try:
                return self._model.put(one, None)
            except Outdated:
                return "Part3 holds it already"

        return await self._wire.write(lambda: [put(one) for one in records])

    async def has_file(self, project_id: str, sha256: str) -> bool:
        """Tell whether Part3 has a file."""
        return await self._wire.read(lambda: sha256 in self._model.files)

    async def put_file(self, project_id: str, path: Path, file: File) -> None:
        """Store a file."""
        content = await asyncio.to_thread(path.read_bytes)

        def execute() -> None:
            self._model.files[file.sha256] = content

        await self._wire.write(execute)

    async def fetch_file(self, project_id: str, sha256: str, into: Path) -> bool:
        """Write a file's bytes; False when Part3 does not have it."""
        content = await self._wire.read(lambda: self._model.files.get(sha256))
        if content is None:
            return False
        await asyncio.to_thread(into.write_bytes, content)
        return True

    async def fetch_return(self, project_id: str, return_id: str) -> Return | None:
        """Read one return."""
        return await self._wire.read(lambda: self._model.returns.get(return_id))

    async def pending_returns(self, project_id: str) -> tuple[Return, ...]:
        """List what is pending."""
        return await self._wire.read(
            lambda: tuple(one for one in self._model.returns.values() if one.state == "pending")
        )

    async def report(self, project_id: str, return_id: str, delivery: Delivery) -> None:
        """Tell where a return stands."""
        await self._wire.write(lambda: self._model.report(return_id, delivery))

    async def put_readiness(self, project_id: str, kind: str, procore_id: str, told: Any) -> None:
        """Take who could return a record; nobody reads it here."""
        await self._wire.write(lambda: None)


def member_of(project: Project, user_id: str) -> Member:
    """Return a member who is surely there."""
    found = project.member(user_id)
    assert found is not None
    return found
