"""`connector replay`: try what failed or waits now, all of it or what the filters leave."""

import asyncio
from dataclasses import dataclass

import click

from connector.dead_letters import TAKEN, LetterSettings, hand_in, letters
from connector.mending import named_record
from connector.reaching import ask_postgres
from services.kafka import KafkaAway
from services.postgres import Postgres
from services.settings import read_or_exit

STOPPED_PROJECTS = """
SELECT project_id, attention_reason AS reason FROM mirror.projects
WHERE state = 'active' AND attention_reason IS NOT NULL AND ($1::text IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR attention_reason = $2)
ORDER BY project_id
"""
FAILING_SWEEPS = """
SELECT project_id, kind, attempts, reason FROM mirror.sweeps
WHERE attempts > 0 AND ($1::text IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR kind = $3)
ORDER BY project_id, kind
"""
FAILING_LOOKS = """
SELECT project_id, kind, procore_id, attempts, reason FROM mirror.looks
WHERE attempts > 0 AND ($1::text IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR kind = $3)
  AND ($4::text IS NULL OR procore_id = $4)
ORDER BY project_id, first_asked_at
"""
WAITING_RETURNS = """
SELECT project_id, return_id, state, reason FROM mirror.deliveries
WHERE state IN ('waiting', 'held') AND ($1::text IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR kind = $3)
  AND ($4::text IS NULL OR procore_id = $4) AND ($5::text IS NULL OR return_id = $5)
ORDER BY project_id, created_at
"""
PROBE_NOW = """
UPDATE mirror.projects SET probe_after = now()
WHERE attention_reason IS NOT NULL AND ($1::text IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR attention_reason = $2)
"""
REPLAY_SWEEPS = """
UPDATE mirror.sweeps SET retry_at = NULL
WHERE attempts > 0 AND ($1::text IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR kind = $3)
"""
REPLAY_LOOKS = """
UPDATE mirror.looks SET due_at = now(), attempts = 0
WHERE attempts > 0 AND claimed_by IS NULL AND ($1::text IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR kind = $3)
  AND ($4::text IS NULL OR procore_id = $4)
"""
REPLAY_RETURNS = """
UPDATE mirror.deliveries SET due_at = now(), asked = asked + 1
WHERE state IN ('waiting', 'held') AND ($1::text IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR kind = $3)
  AND ($4::text IS NULL OR procore_id = $4) AND ($5::text IS NULL OR return_id = $5)
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a replay is limited to; None does not limit."""

    project_id: str | None
    reason: str | None
    kind: str | None
    procore_id: str | None
    return_id: str | None

    @property
    def projects(self) -> bool:
        """Tell whether stopped projects are meant too: not where records or returns are named."""
        return self.kind is None and self.return_id is None

    @property
    def sweeps(self) -> bool:
        """Tell whether sweeps are meant too: they have no record and no return."""
        return self.procore_id is None and self.return_id is None

    @property
    def looks(self) -> bool:
        """Tell whether looks are meant too: not where one return is named."""
        return self.return_id is None


@click.command()
@click.option("--project", "project_id", metavar="ID", help="Only this project's.")
@click.option("--all", "everything", is_flag=True, help="Of every project.")
@click.option("--reason", metavar="WORD", help="Only what has this reason, e.g. not_authorized.")
@click.option("--kind", type=click.Choice(["rfi", "submittal"]), help="Only this kind's.")
@click.option("--record", metavar="KIND:ID", help="Only this record's, e.g. rfi:54321.")
@click.option("--return", "return_id", metavar="ID", help="Only this return.")
@click.option("--dry-run", is_flag=True, help="Only show what would be tried.")
@click.option(
    "--dead-letters", is_flag=True, help="Also hand in deliveries that could not be read again."
)
def replay(
    *,
    project_id: str | None,
    everything: bool,
    reason: str | None,
    kind: str | None,
    record: str | None,
    return_id: str | None,
    dry_run: bool,
    dead_letters: bool,
) -> None:
    """Try what failed or waits again now, instead of when it is due.

    Without --project or --all, or with --dry-run: only show what would be tried. A held return is
    checked again and goes only if its cause is gone; nothing is ever sent twice by a replay.
    --dead-letters is for after a release that can read what an earlier one could not; ends with 1
    when the gateway did not take all of them.

    \b
    Examples:
      connector replay --all --reason not_authorized --dry-run
      connector replay --project prj_42 --return ret_7
    """  # noqa: D301 - click keeps the lines after its mark
    if project_id is not None and everything:
        message = "--project ID or --all, not both"
        raise click.UsageError(message)
    narrowed = any((reason, kind, record, return_id))
    if dead_letters and narrowed:
        message = "--dead-letters is limited by --project alone: they have no record or return"
        raise click.UsageError(message)
    named = named_record(record)
    if named and kind not in (None, named[0]):
        raise click.UsageError(f"--kind {kind} and --record {record} exclude each other")
    if named:
        kind = named[0]
    choice = Choice(project_id, reason, kind, named[1] if named else None, return_id)
    acting = (project_id is not None or everything) and not dry_run
    settings = read_or_exit(LetterSettings.read) if dead_letters else None
    ask_postgres(lambda postgres: _replay(postgres, choice, acting=acting))
    if settings is not None:
        try:
            whole = asyncio.run(_replay_letters(settings, project_id, acting=acting))
        except KafkaAway as error:
            raise click.ClickException(str(error)) from error
        if not whole:
            raise SystemExit(1)


async def _replay_letters(
    settings: LetterSettings, project_id: str | None, *, acting: bool
) -> bool:
    """Show the dead letters, and hand them in if asked to; tell whether all of those were taken."""
    found = await letters(settings, project_id)
    for letter in found:
        place = letter.source or "(from a worker)"
        click.echo(f"{letter.project_id or '(no project)'}  {place}: {letter.cause}")
    if not found:
        click.echo("There are no dead letters.")
        return True
    if not acting:
        click.echo(f"{len(found)} dead letters. Say --project ID or --all to hand them in again.")
        return True
    outcomes = await hand_in(settings, found)
    words = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    click.echo(f"Of {len(found)} dead letters: {words}.")
    return set(outcomes) == {TAKEN}


async def _replay(postgres: Postgres, choice: Choice, *, acting: bool) -> None:
    """Show what failed or waits within `choice`, and have it tried now if `acting`."""
    where = (choice.project_id, choice.reason)
    of_kind = (*where, choice.kind)
    of_record = (*of_kind, choice.procore_id)
    of_return = (*of_record, choice.return_id)
    stopped = await postgres.fetch(STOPPED_PROJECTS, *where) if choice.projects else []
    sweeps = await postgres.fetch(FAILING_SWEEPS, *of_kind) if choice.sweeps else []
    looks = await postgres.fetch(FAILING_LOOKS, *of_record) if choice.looks else []
    returns = await postgres.fetch(WAITING_RETURNS, *of_return)
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
        return
    if not acting:
        click.echo(
            "Nothing was changed: say --project ID or --all, without --dry-run, to try these now."
        )
        return
    async with postgres.transaction() as transaction:
        if choice.projects:
            await transaction.execute(PROBE_NOW, *where)
        if choice.sweeps:
            await transaction.execute(REPLAY_SWEEPS, *of_kind)
        if choice.looks:
            await transaction.execute(REPLAY_LOOKS, *of_record)
        await transaction.execute(REPLAY_RETURNS, *of_return)
    click.echo(
        f"{len(stopped)} projects, {len(sweeps)} sweeps, {len(looks)} records and "
        f"{len(returns)} returns are tried again now."
    )
