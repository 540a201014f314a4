"""`connector resync`: read again what Procore has, and put it into Part3 again."""

import click

from connector.reaching import ask_postgres
from services.postgres import Postgres

PROJECT_STATE = """
SELECT state, to_part3_paused IS NOT NULL AS rests FROM mirror.projects WHERE project_id = $1
"""
NOT_ACTIVE = {
    None: "no project {0!r} is known here: was it ever connected? `connector status` lists them",
    "paused": "project {0!r} is paused: resume it first",
    "disconnected": "project {0!r} is disconnected: connect it in its Integrations settings first",
}
FORGET_VERSIONS = """
UPDATE mirror.records SET content_version = NULL, procore_updated_at = NULL
WHERE project_id = $1
"""
LIST_EVERYTHING_AGAIN = """
UPDATE mirror.sweeps SET due_at = now(), settled_until = NULL, next_page = NULL, attempts = 0,
  retry_at = NULL, lease_owner = NULL, lease_until = NULL, fence = fence + 1
WHERE project_id = $1
"""
FORGET_VERSION = """
UPDATE mirror.records SET content_version = NULL, procore_updated_at = NULL
WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
LOOK_NOW = """
INSERT INTO mirror.looks (project_id, kind, procore_id, due_at, priority)
VALUES ($1, $2, $3, now(), 1)
ON CONFLICT (project_id, kind, procore_id) DO UPDATE
SET due_at = CASE WHEN mirror.looks.claimed_by IS NULL THEN now() ELSE mirror.looks.due_at END,
    priority = 1, asked = mirror.looks.asked + 1, last_asked_at = now(), attempts = 0
"""


@click.command()
@click.argument("project_id")
@click.option("--record", metavar="KIND:ID", help="Only this record, e.g. rfi:54321.")
def resync(project_id: str, record: str | None) -> None:
    """Read a project, or one record of it, again from Procore and put it into Part3 again.

    Nothing is deleted and nobody is mailed. A project is listed in full, after what people are
    waiting for; `connector status PROJECT_ID` shows how far it is.

    \b
    Example: connector resync prj_42 --record rfi:54321
    """  # noqa: D301 - click keeps the lines after its mark
    named = named_record(record)
    click.echo(ask_postgres(lambda postgres: _resync(postgres, project_id, named)))


def named_record(record: str | None) -> tuple[str, str] | None:
    """Read KIND:ID; ends with 2 and how to write it."""
    if record is None:
        return None
    kind, _, procore_id = record.partition(":")
    if kind not in ("rfi", "submittal") or not procore_id.isdecimal() or not procore_id.isascii():
        message = f"--record {record!r}: write rfi:ID or submittal:ID with Procore's numeric id"
        raise click.UsageError(message)
    return kind, procore_id


async def _resync(postgres: Postgres, project_id: str, named: tuple[str, str] | None) -> str:
    project = await postgres.fetchrow(PROJECT_STATE, project_id)
    state = project["state"] if project else None
    if project is None or state != "active":
        raise click.ClickException(NOT_ACTIVE.get(state, NOT_ACTIVE[None]).format(project_id))
    when = "once it is resumed: the operators paused it" if project["rests"] else "from now on"
    async with postgres.transaction() as transaction:
        if named is None:
            await transaction.execute(FORGET_VERSIONS, project_id)
            await transaction.execute(LIST_EVERYTHING_AGAIN, project_id)
            return f"{project_id}: everything is read again, {when}."
        kind, procore_id = named
        await transaction.execute(FORGET_VERSION, project_id, kind, procore_id)
        await transaction.execute(LOOK_NOW, project_id, kind, procore_id)
        return f"{project_id}: {kind} {procore_id} is read again, {when}."
