"""Part3, grants and the database in memory: fast, and able to fail at every step."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from schemas.dispositions import DispositionMap
from schemas.returns import Delivery, Member, Project, Return
from services.errors import NeedsPerson, TryLater
from services.part3.client import Part3Refused
from services.procore.models import Place, ResponseOption, Rfi, Submittal
from sync_worker.outbound.compose import OutgoingFile
from sync_worker.outbound.delivery_store import Change, Task
from sync_worker.outbound.intent_store import LeaseLost, ServerIsNew
from sync_worker.outbound.intents import Intent
from sync_worker.outbound.memory import Tie
from sync_worker.outbound.standing import Standing
from sync_worker.outbound.versions import SeenVersion
from tests.outbound.samples import NOON, PROCORE_IDS, seen_of

PLACE = Place(company_id="10", project_id="20")


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Clock:
    """Time that only a test moves."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class FakeGrants:
    ids: dict[str, str] = field(default_factory=lambda: dict(PROCORE_IDS))
    refusal: str = "not_authorized"
    agreed: DispositionMap | None = None
    agreed_reads: int = 0

    async def dispositions(self, project_id: str) -> DispositionMap | None:
        self.agreed_reads += 1
        return self.agreed

    async def procore_user_id(self, user_id: str) -> str:
        if user_id not in self.ids:
            raise NeedsPerson("no grant", reason=self.refusal)
        return self.ids[user_id]


@dataclass
class FakePart3:
    """Part3's returns, files and the reports it took. `down` and `silent` are faults."""

    returns: dict[str, Return] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    reports: list[tuple[str, Delivery]] = field(default_factory=list)
    down: bool = False
    takes_reports: bool = True
    refuses: bool = False
    hears: bool = True
    team: tuple[Member, ...] = ()

    async def project(self, project_id: str) -> Project | None:
        self._check()
        return Project(id=project_id, name="Harbour Library", team=self.team)

    async def fetch_return(self, project_id: str, return_id: str) -> Return | None:
        self._check()
        return self.returns.get(return_id)

    async def pending_returns(self, project_id: str) -> tuple[Return, ...]:
        self._check()
        return tuple(r for r in self.returns.values() if r.state == "pending")

    async def fetch_file(self, project_id: str, sha256: str, into: Path) -> bool:
        self._check()
        if sha256 not in self.files:
            return False
        into.write_bytes(self.files[sha256])
        return True

    async def report(self, project_id: str, return_id: str, delivery: Delivery) -> None:
        self._check()
        if not self.takes_reports:
            raise TryLater("Part3 is away", reason="part3_down")
        if self.refuses:
            raise Part3Refused("409")
        states = self.states(return_id)
        final = [state for state in states if state in ("delivered", "failed")]
        assert not final or delivery.state == final[0], "a report went back"
        self.reports.append((return_id, delivery))
        if not self.hears:
            raise TryLater("no answer", reason="part3_down")

    def states(self, return_id: str) -> list[str]:
        return [delivery.state for known, delivery in self.reports if known == return_id]

    def store(self, content: bytes) -> None:
        self.files[hashlib.sha256(content).hexdigest()] = content

    def _check(self) -> None:
        if self.down:
            raise TryLater("Part3 is away", reason="part3_down")


@dataclass
class FakeIntents:
    """`Intents` in memory. `lease` is the fence that stands; a lower one is another's."""

    clock: Clock
    lease: int = 1
    rows: dict[str, Intent] = field(default_factory=dict)
    remote_ids: dict[str, str] = field(default_factory=dict)
    server_since: datetime | None = None  # of a server that this database was not on before

    async def plan(self, intent: Intent, request_hash: str) -> tuple[Intent, datetime]:
        self.rows.setdefault(intent.op_key, replace(intent, changed_at=self.clock()))
        return self.rows[intent.op_key], self.clock()

    async def of_return(self, return_id: str) -> list[Intent]:
        return [intent for intent in self.rows.values() if intent.return_id == return_id]

    async def arm(
        self, intent: Intent, fence: int, quiet_s: float, response: ResponseOption | None
    ) -> None:
        row, now = self.rows[intent.op_key], self.clock()
        free = row.state == "planned" or (
            row.state in ("sending", "unknown", "needs_human")
            and row.not_before is not None
            and row.not_before <= now
        )
        if fence != self.lease or fence < row.fence or row.sends != intent.sends or not free:
            raise LeaseLost(intent.return_id)
        if self.server_since is not None:
            quiet_until = self.server_since + timedelta(seconds=quiet_s)
            if quiet_until > now:
                raise ServerIsNew(intent.return_id, quiet_until)
        self._put(
            row,
            state="sending",
            sends=row.sends + 1,
            sent_at=now,
            not_before=now + timedelta(seconds=quiet_s),
            fence=fence,
            response=response,
        )

    async def disarm(self, intent: Intent, fence: int, why: str) -> None:
        row = self.rows[intent.op_key]
        if row.state == "sending" and row.fence == fence:
            self._put(row, state="planned", sends=row.sends - 1, not_before=None)

    async def leave_unknown(self, intent: Intent, fence: int, why: str) -> None:
        row = self.rows[intent.op_key]
        if row.state == "sending" and row.fence == fence:
            self._put(row, state="unknown")

    async def confirm(self, intent: Intent, remote_id: str) -> None:
        row = self.rows[intent.op_key]
        if row.state not in ("confirmed", "abandoned"):
            self._put(row, state="confirmed", remote_id=remote_id)
        self.remote_ids[intent.return_id] = remote_id

    async def ask_person(self, intent: Intent) -> None:
        row = self.rows[intent.op_key]
        if row.state in ("sending", "unknown", "planned"):
            self._put(row, state="needs_human")

    async def abandon(self, return_id: str) -> bool:
        for row in await self.of_return(return_id):
            if row.state == "planned" and row.sends == 0:
                self._put(row, state="abandoned")
        return all(row.state == "abandoned" for row in await self.of_return(return_id))

    def _put(self, row: Intent, **changes: Any) -> None:
        self.rows[row.op_key] = replace(row, changed_at=self.clock(), **changes)


@dataclass
class FakeUploads:
    rows: dict[tuple[str, str, str], str] = field(default_factory=dict)

    async def known(self, return_id: str, file: OutgoingFile) -> str | None:
        return self.rows.get((return_id, file.sha256, file.name))

    async def note(self, return_id: str, file: OutgoingFile, uuid: str) -> None:
        self.rows[return_id, file.sha256, file.name] = uuid


@dataclass
class FakeMemory:
    seen_versions: dict[str, SeenVersion]
    connection: Tie | None = field(
        default_factory=lambda: Tie(state="active", place=PLACE, reader_user_id="u-owner")
    )
    own: frozenset[str] = frozenset()
    newer: str | None = None
    earlier: str | None = None
    writes: int = 0

    @classmethod
    def of(cls, record: Rfi | Submittal) -> "FakeMemory":
        return cls({"v1": seen_of(record)})

    async def tie(self, project_id: str) -> Tie | None:
        return self.connection

    async def seen(self, answer: Return) -> SeenVersion | None:
        return self.seen_versions.get(answer.seen_content_version)

    async def ours(self, answer: Return) -> frozenset[str]:
        return self.own

    async def record_words(self, answer: Return) -> str:
        return "RFI A-014"

    async def newer_revision(self, answer: Return) -> str | None:
        return self.newer

    async def writes_lately(self, answer: Return) -> int:
        return self.writes

    async def corrected(self, answer: Return) -> str | None:
        return self.earlier

    async def app_missing(self, project_id: str, words: str) -> None:
        assert self.connection is not None
        self.connection = replace(
            self.connection, attention_reason="app_not_installed", attention_message=words
        )

    async def install_key(self) -> bytes:
        return b"k" * 32


@dataclass
class FakeDeliveries:
    """`DeliveryStore` in memory for one delivery at a time."""

    clock: Clock
    may_go: bool = True
    tasks: dict[str, Task] = field(default_factory=dict)
    due_at: dict[str, datetime | None] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    async def identify(self, task: Task, answer: Return) -> bool:
        return self.may_go

    async def settle(self, task: Task, standing: Standing, change: Change | None) -> None:
        row = self.tasks.get(task.return_id, task)
        if row.fence != task.fence:
            raise LeaseLost(task.return_id)
        stood = (row.state, row.reason, row.message, row.mended_by, row.receipt)
        stands = (standing.state, standing.reason, standing.message, standing.mended_by)
        self.tasks[task.return_id] = replace(
            row,
            reported=row.reported if stood == (*stands, standing.receipt) else None,
            state=standing.state,
            reason=standing.reason,
            message=standing.message,
            mended_by=standing.mended_by,
            receipt=standing.receipt,
        )
        if change is not None:
            self.changes.append(change)

    async def release(self, task: Task, standing: Standing, told: Delivery | None) -> None:
        row = self.tasks.get(task.return_id, task)
        keep = standing.state == "waiting" or standing.is_final
        self.tasks[task.return_id] = replace(
            row,
            attempts=row.attempts if keep else 0,
            reported=told or row.reported,
            reported_asked=task.asked if told else row.reported_asked,
        )
        due = standing.again_at
        if due is None and standing.again_in_s is not None:
            due = self.clock() + timedelta(seconds=standing.again_in_s)
        self.due_at[task.return_id] = due

    def claim(self, return_id: str) -> Task:
        row = self.tasks[return_id]
        self.tasks[return_id] = replace(row, fence=row.fence + 1, attempts=row.attempts + 1)
        return self.tasks[return_id]
