"""`connector resync` and `replay`: put right what went wrong."""

import asyncio
from collections.abc import Awaitable, Callable

import click

from connector.dead_letters import LetterSettings, hand_in, letters
from services.errors import TryLater
from services.kafka import KafkaAway
from services.postgres import Postgres, open_postgres
from services.settings import read_or_exit

PROJECT_EXISTS = "SELECT state FROM mirror.projects WHERE project_id = $1"
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
FAILING_LOOKS = """
SELECT project_id, kind, procore_id, attempts, reason FROM mirror.looks
WHERE attempts > 0 AND ($1::text IS NULL OR project_id = $1) ORDER BY project_id, first_asked_at
"""
WAITING_RETURNS = """
SELECT project_id, return_id, state, reason FROM mirror.deliveries
WHERE state IN ('waiting', 'held') AND ($1::text IS NULL OR project_id = $1)
ORDER BY project_id, created_at
"""
REPLAY_LOOKS = """
UPDATE mirror.looks SET due_at = now(), attempts = 0
WHERE attempts > 0 AND claimed_by IS NULL AND ($1::text IS NULL OR project_id = $1)
"""
REPLAY_RETURNS = """
UPDATE mirror.deliveries SET due_at = now(), asked = asked + 1
WHERE state IN ('waiting', 'held') AND ($1::text IS NULL OR project_id = $1)
"""


@click.command()
@click.argument("project_id")
@click.option("--record", metavar="KIND:ID", help="Only this record, e.g. rfi:54321.")
def resync(project_id: str, record: str | None) -> None:
    """Read a project, or one record of it, again from Procore and put it into Part3 again.

    Nothing is deleted and nobody is mailed. A project is listed in full, after what people are
    waiting for; `connector status PROJECT_ID` shows how far it is.
    """
    asyncio.run(_with_postgres(lambda postgres: _resync(postgres, project_id, record)))


@click.command()
@click.option("--project", "project_id", metavar="ID", help="Only this project's.")
@click.option("--all", "everything", is_flag=True, help="Of every project.")
@click.option(
    "--dead-letters", is_flag=True, help="Also hand in deliveries that could not be read again."
)
def replay(project_id: str | None, everything: bool, dead_letters: bool) -> None:
    """Try what failed or waits again now, instead of when it is due.

    Without --project or --all: only show what would be tried. A held return is checked again and
    goes only if its cause is gone; nothing is ever sent twice by a replay. --dead-letters is for
    after a release that can read what an earlier one could not.
    """
    asyncio.run(_with_postgres(lambda postgres: _replay(postgres, project_id, everything)))
    if dead_letters:
        settings = read_or_exit(LetterSettings.read)
        try:
            asyncio.run(_replay_letters(settings, project_id, everything))
        except KafkaAway as error:
            raise click.ClickException(str(error)) from error


async def _replay_letters(
    settings: LetterSettings, project_id: str | None, everything: bool
) -> None:
    found = await letters(settings, project_id)
    for letter in found:
        click.echo(f"{letter.project_id}  {letter.source}: {letter.cause}")
    if not found:
        click.echo("There are no dead letters.")
    elif project_id is not None or everything:
        outcomes = await hand_in(settings, found)
        click.echo(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) + ".")


async def _with_postgres(work: Callable[[Postgres], Awaitable[None]]) -> None:
    url = read_or_exit(lambda reader: reader.secret("DATABASE_URL")).reveal()
    try:
        async with open_postgres(url, max_size=2) as postgres:
            await work(postgres)
    except TryLater as error:
        raise click.ClickException(str(error)) from error


async def _resync(postgres: Postgres, project_id: str, record: str | None) -> None:
    state = await postgres.fetchval(PROJECT_EXISTS, project_id)
    if state != "active":
        message = (
            f"project {project_id!r} is not connected ({state or 'unknown'}): "
            "connect it in its Integrations settings first"
        )
        raise click.ClickException(message)
    if record is None:
        async with postgres.transaction() as transaction:
            await transaction.execute(FORGET_VERSIONS, project_id)
            await transaction.execute(LIST_EVERYTHING_AGAIN, project_id)
        click.echo(f"{project_id}: everything is read again, in the background.")
        return
    kind, _, procore_id = record.partition(":")
    if kind not in ("rfi", "submittal") or not procore_id:
        message = f"--record {record!r}: write rfi:ID or submittal:ID with Procore's id"
        raise click.UsageError(message)
    async with postgres.transaction() as transaction:
        await transaction.execute(FORGET_VERSION, project_id, kind, procore_id)
        await transaction.execute(LOOK_NOW, project_id, kind, procore_id)
    click.echo(f"{project_id}: {kind} {procore_id} is read again now.")


async def _replay(postgres: Postgres, project_id: str | None, everything: bool) -> None:
    looks = await postgres.fetch(FAILING_LOOKS, project_id)
    returns = await postgres.fetch(WAITING_RETURNS, project_id)
    for look in looks:
        click.echo(
            f"{look['project_id']}  {look['kind']} {look['procore_id']}: "
            f"failed {look['attempts']} times ({look['reason']})"
        )
    for row in returns:
        click.echo(
            f"{row['project_id']}  return {row['return_id']}: {row['state']} ({row['reason']})"
        )
    if not looks and not returns:
        click.echo("Nothing waits and nothing failed.")
    elif project_id is None and not everything:
        click.echo("Nothing was changed: say --project ID or --all to try these again now.")
    else:
        await postgres.execute(REPLAY_LOOKS, project_id)
        await postgres.execute(REPLAY_RETURNS, project_id)
        click.echo(f"{len(looks)} records and {len(returns)} returns are tried again now.")
