"""An intake on a database, what it told others, and notices as they come from Kafka."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.notices import PART3_NOTICES, PROCORE_NOTICES, Part3Notice, ProcoreNotice
from services.kafka import ConsumedRecord
from services.postgres import Postgres
from sync_worker.consume import Intake, Wakers

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
ADD_PROJECT = """
INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
  reader_user_id, state, connection_updated_at) VALUES ($1, '77', '501', 'amy', 'amy', $2, now())
"""
ADD_SWEEP = """
INSERT INTO mirror.sweeps (project_id, kind, due_at, backfilled_at)
VALUES ('prj_1', $1, now() + interval '1 hour', now())
"""


@dataclass
class Bench:
    """An intake, and what it told others."""

    postgres: Postgres
    buried: list[tuple[ConsumedRecord, str]] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    connects: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.intake = Intake(
            postgres=self.postgres,
            bury=self.bury,
            wakers=Wakers(
                looks=lambda: self.woken.append("looks"),
                deliveries=lambda: self.woken.append("deliveries"),
                sweeps=lambda: self.woken.append("sweeps"),
            ),
            look_delay_s=1.5,
            learn=self.learn,
        )

    async def bury(self, record: ConsumedRecord, cause: str) -> None:
        self.buried.append((record, cause))

    async def learn(self, project_id: str) -> None:
        self.learned.append(project_id)
        if project_id in self.connects:
            await self.postgres.execute(ADD_PROJECT, project_id, "active")

    async def rows(self, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.postgres.fetch(f"SELECT * FROM mirror.{table}")]  # noqa: S608 - names a table of ours

    async def due_soon(self, kind: str) -> tuple[bool, bool]:
        """Whether the kind's sweep is due within seconds, and whether it settles afterwards."""
        row = await self.postgres.fetchrow(
            "SELECT LEAST(due_at, wanted_at) < now() + interval '10 s' AS due,"
            " settle_at IS NOT NULL AS settles FROM mirror.sweeps WHERE kind = $1",
            kind,
        )
        assert row is not None
        return row["due"], row["settles"]


def record_of(notice: ProcoreNotice | Part3Notice, **more: Any) -> ConsumedRecord:
    topic = PROCORE_NOTICES if isinstance(notice, ProcoreNotice) else PART3_NOTICES
    fields: dict[str, Any] = {
        "topic": topic,
        "partition": 0,
        "offset": 7,
        "key": notice.project_id.encode(),
        "value": msgspec.json.encode(notice),
        "headers": {},
        "written_at": NOW,
    }
    return ConsumedRecord(**(fields | more))


def from_procore(**fields: Any) -> ProcoreNotice:
    said: dict[str, Any] = {
        "project_id": "prj_1",
        "generation": 1,
        "notice_id": "n-1",
        "resource": "rfi",
        "record_id": "101",
        "reason": "update",
        "procore_company_id": "77",
        "procore_project_id": "501",
        "procore_user_id": "12",
        "occurred_at": NOW,
    }
    return ProcoreNotice(**(said | fields))


def from_part3(type_: str, **fields: Any) -> Part3Notice:
    said: dict[str, Any] = {"project_id": "prj_1", "notice_id": "n-1", "occurred_at": NOW}
    return Part3Notice(type=type_, **(said | fields))  # type: ignore[arg-type]
