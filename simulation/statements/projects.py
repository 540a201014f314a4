"""`mirror.projects`: one connected project, and what keeps it from being read."""

from collections.abc import Sequence
from typing import Any

from simulation.database import Database, Row, answers
from sync_worker import consume, projects
from sync_worker.outbound import memory


@answers(consume.READ_PROJECTS)
def read_projects(db: Database, ids: Sequence[str]) -> list[Row]:
    names = ("project_id", "procore_company_id", "procore_project_id")
    return [
        {name: row[name] for name in names}
        for row in db.projects.all()
        if row["project_id"] in ids and row["state"] == "active"
    ]


@answers(projects.READER)
def reader(db: Database, project_id: str) -> list[Row]:
    row = db.projects.get(project_id)
    if row is None or row["state"] != "active" or row["attention_reason"] is not None:
        return []
    names = (
        "procore_company_id", "procore_project_id", "reader_user_id", "options",
        "kept_back_because", "kept_back_since", "kept_back_until",
    )  # fmt: skip
    return [{name: row[name] for name in names}]


@answers(projects.ATTENTION)
def attention(
    db: Database,
    project_id: str,
    reason: str,
    message: str,
    mended_by: Any,
    probe_s: float,
    whose: str,
) -> list[Row]:
    row = db.projects.get(project_id)
    if row is None or row["reader_user_id"] != whose or row["attention_reason"] == reason:
        return []
    db.projects.change(
        project_id,
        attention_reason=reason,
        attention_message=message,
        attention_mended_by=mended_by,
        attention_since=row["attention_since"] or db.now,
        probe_after=db.after(probe_s),
    )
    return [{"one": 1}]


CONNECTION = (
    "state", "procore_company_id", "procore_project_id", "reader_user_id", "attention_reason",
    "attention_message", "attention_mended_by", "options", "to_procore_paused",
)  # fmt: skip


@answers(memory.CONNECTION)
def connection(db: Database, project_id: str) -> list[Row]:
    row = db.projects.get(project_id)
    return [] if row is None else [{name: row[name] for name in CONNECTION}]
