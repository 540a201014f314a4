"""`connector resync` and `replay`: put right what went wrong."""

import asyncio

import click

from connector.dead_letters import TAKEN, LetterSettings, hand_in, letters
from connector.reaching import ask_postgres
from services.kafka import KafkaAway
from services.postgres import Postgres
from services.settings import read_or_exit

PROJECT_STATE = "SELECT state FROM mirror.projects WHERE project_id = $1"
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
FAILING_LOOKS = """
SELECT project_id, kind, procore_id, attempts, reason FROM mirror.looks
WHERE attempts > 0 AND ($1::text IS NULL OR project_id = $1) ORDER BY project_id, first_asked_at
"""
FAILING_SWEEPS = """
SELECT project_id, kind, attempts, reason FROM mirror.sweeps
WHERE attempts > 0 AND ($1::text IS NULL OR project_id = $1) ORDER BY project_id, kind
"""
STOPPED_PROJECTS = """
SELECT project_id, attention_reason AS reason FROM mirror.projects
WHERE state = 'active' AND attention_reason IS NOT NULL AND ($1::text IS NULL OR project_id = $1)
ORDER BY project_id
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
REPLAY_SWEEPS = """
UPDATE mirror.sweeps SET retry_at = NULL
WHERE attempts > 0 AND ($1::text IS NULL OR project_id = $1)
"""
PROBE_NOW = """
UPDATE mirror.projects SET probe_after = now()
WHERE attention_reason IS NOT NULL AND ($1::text IS NULL OR project_id = $1)
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
    named = _named(record)
    click.echo(ask_postgres(lambda postgres: _resync(postgres, project_id, named)))


def _named(record: str | None) -> tuple[str, str] | None:
    """Read KIND:ID; ends with 2 and how to write it."""
    if record is None:
        return None
    kind, _, procore_id = record.partition(":")
    if kind not in ("rfi", "submittal") or not procore_id.isdecimal() or not procore_id.isascii():
        message = f"--record {record!r}: write rfi:ID or submittal:ID with Procore's numeric id"
        raise click.UsageError(message)
    return kind, procore_id


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
    after a release that can read what an earlier one could not; ends with 1 when the gateway did
    not take all of them.
    """
    if project_id is not None and everything:
        message = "--project ID or --all, not both"
        raise click.UsageError(message)
    settings = read_or_exit(LetterSettings.read) if dead_letters else None
    ask_postgres(lambda postgres: _replay(postgres, project_id, everything))
    if settings is not None:
        try:
            whole = asyncio.run(_replay_letters(settings, project_id, everything))
        except KafkaAway as error:
            raise click.ClickException(str(error)) from error
        if not whole:
            raise SystemExit(1)


async def _replay_letters(
    settings: LetterSettings, project_id: str | None, everything: bool
) -> bool:
    """Show the dead letters, and hand them in if asked to; tell whether all of those were taken."""
    found = await letters(settings, project_id)
    for letter in found:
        place = letter.source or "(from a worker)"
        click.echo(f"{letter.project_id or '(no project)'}  {place}: {letter.cause}")
    if not found:
        click.echo("There are no dead letters.")
        return True
    if project_id is None and not everything:
        click.echo(f"{len(found)} dead letters. Say --project ID or --all to hand them in again.")
        return True
    outcomes = await hand_in(settings, found)
    words = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    click.echo(f"Of {len(found)} dead letters: {words}.")
    return set(outcomes) == {TAKEN}


async def _resync(postgres: Postgres, project_id: str, named: tuple[str, str] | None) -> str:
    state = await postgres.fetchval(PROJECT_STATE, project_id)
    if state != "active":
        raise click.ClickException(NOT_ACTIVE.get(state, NOT_ACTIVE[None]).format(project_id))
    async with postgres.transaction() as transaction:
        if named is None:
            await transaction.execute(FORGET_VERSIONS, project_id)
            await transaction.execute(LIST_EVERYTHING_AGAIN, project_id)
            return f"{project_id}: everything is read again, in the background."
        kind, procore_id = named
        await transaction.execute(FORGET_VERSION, project_id, kind, procore_id)
        await transaction.execute(LOOK_NOW, project_id, kind, procore_id)
        return f"{project_id}: {kind} {procore_id} is read again now."


async def _replay(postgres: Postgres, project_id: str | None, everything: bool) -> None:
    stopped = await postgres.fetch(STOPPED_PROJECTS, project_id)
    sweeps = await postgres.fetch(FAILING_SWEEPS, project_id)
    looks = await postgres.fetch(FAILING_LOOKS, project_id)
    returns = await postgres.fetch(WAITING_RETURNS, project_id)
    for row in stopped:
        click.echo(f"{row['project_id']}  needs attention ({row['reason']})")
    for row in sweeps:
        click.echo(
            f"{row['project_id']}  sweep of {row['kind']}s: "
            f"failed {row['attempts']} times ({row['reason']})"
        )
    for row in looks:
        click.echo(
            f"{row['project_id']}  {row['kind']} {row['procore_id']}: "
            f"failed {row['attempts']} times ({row['reason']})"
        )
    for row in returns:
        click.echo(
            f"{row['project_id']}  return {row['return_id']}: {row['state']} ({row['reason']})"
        )
    if not (stopped or sweeps or looks or returns):
        click.echo("Nothing waits and nothing failed.")
    elif project_id is None and not everything:
        click.echo("Nothing was changed: say --project ID or --all to try these again now.")
    else:
        async with postgres.transaction() as transaction:
            for order in (PROBE_NOW, REPLAY_SWEEPS, REPLAY_LOOKS, REPLAY_RETURNS):
                await transaction.execute(order, project_id)
        click.echo(
            f"{len(stopped)} projects, {len(sweeps)} sweeps, {len(looks)} records and "
            f"{len(returns)} returns are tried again now."
        )
