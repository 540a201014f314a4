"""`connector pause`, `resume` and `drain`: let work rest in its rows, and let it go on in order."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich.console import Console
from rich.progress import Progress

from connector.patience import at_most
from connector.reaching import ask_postgres
from connector.scopes import Scope, directions_of, scope_of, scoped
from connector.speaking import BY, REASON
from services.pauses import Direction, Pauses, read_pauses
from services.postgres import Postgres, Queries, Row

STEP_S = 1.0

# Whoever connects a project at this moment reads the pauses too: they wait for us, or we for them.
LOCK = "LOCK TABLE mirror.pauses IN ACCESS EXCLUSIVE MODE"
PAUSE = """
INSERT INTO mirror.pauses (scope, scope_id, direction, paused_by, reason)
SELECT $1, $2, unnest($3::text[]), $4, $5
ON CONFLICT (scope, scope_id, direction) DO UPDATE
SET paused_by = EXCLUDED.paused_by, reason = EXCLUDED.reason
"""
RESUME = """
DELETE FROM mirror.pauses
WHERE scope = $1 AND scope_id = $2 AND direction = ANY($3::text[]) RETURNING direction
"""
STANDING = """
SELECT project_id, to_part3_paused, to_procore_paused FROM mirror.projects
WHERE project_id = ANY($1) ORDER BY project_id FOR UPDATE
"""
# When looks of a project were last kept back, for what they took is not our queue's.
TAKE_OVER = """
UPDATE mirror.projects SET
  (kept_back_because, kept_back_since, kept_back_until) = (SELECT
    CASE WHEN over THEN 'paused' ELSE kept_back_because END,
    CASE WHEN over THEN (to_part3_paused->>'at')::timestamptz ELSE kept_back_since END,
    CASE WHEN over THEN now() ELSE kept_back_until END
    FROM (SELECT to_part3_paused IS NOT NULL
      AND mirror.pause_of(project_id, procore_company_id, 'part3') IS NULL AS over) AS ended),
  to_part3_paused = mirror.pause_of(project_id, procore_company_id, 'part3'),
  to_procore_paused = mirror.pause_of(project_id, procore_company_id, 'procore')
WHERE project_id = ANY($1) RETURNING project_id, to_part3_paused, to_procore_paused
"""
# What was to be looked at is late only from now on. The order stays: it is that of `due_at`.
LET_LOOK = """
WITH resumed AS (
  UPDATE mirror.projects SET to_part3_resumed_at = now() WHERE project_id = ANY($1)
)
UPDATE mirror.looks SET first_asked_at = now() WHERE project_id = ANY($1)
"""
# Oldest first, and as `waiting` no later return of an author overtakes an earlier one.
LET_GO = """
UPDATE mirror.deliveries SET state = 'waiting', asked = asked + 1, attempts = 0,
  due_at = coalesce(returned_at, created_at)
WHERE project_id = ANY($1) AND state = 'held' AND reason = 'paused'
"""
# An attempt that read the pause and has not noted so yet sees at its end that it is wanted again.
ASK_AGAIN = """
UPDATE mirror.deliveries SET asked = asked + 1
WHERE project_id = ANY($1) AND lease_owner IS NOT NULL
  AND (state, reason) IS DISTINCT FROM ('held', 'paused')
"""
NOTE = """
INSERT INTO mirror.activity (project_id, event, words)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
"""
# A claim of a worker that died lapses and is not taken again, so it is no longer under way.
UNDER_WAY = """
SELECT
  (SELECT count(*) FROM mirror.looks WHERE project_id = ANY($1)
    AND claimed_by IS NOT NULL AND due_at > now()) AS looks,
  (SELECT count(*) FROM mirror.sweeps WHERE project_id = ANY($1)
    AND lease_owner IS NOT NULL AND lease_until > now()) AS sweeps,
  (SELECT count(*) FROM mirror.deliveries WHERE project_id = ANY($2)
    AND lease_owner IS NOT NULL AND lease_until > now()) AS returns
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to rest, and who says so and why."""

    scope: Scope
    directions: Sequence[Direction]
    by: str
    reason: str


@click.command()
@scoped
@REASON
@BY
def pause(
    *,
    project_id: str | None,
    company_id: str | None,
    everything: bool,
    direction: str,
    reason: str,
    by: str,
) -> None:
    """Let a project, a company's projects or everything rest, in one direction or both.

    What is under way is finished (`connector drain` waits for that). All else waits in its rows:
    notices are still taken in, returns are kept and say so in Part3, nothing expires, no alert
    speaks of it. Pages and `connector status` say by whom, since when and why.

    \b
    Examples:
      connector pause prj_42 --reason "wrong company chosen"
      connector pause --all --direction procore --reason "Procore has an incident"
    """  # noqa: D301 - click keeps the lines after its mark
    scope = scope_of(project_id, company_id, everything=everything)
    order = Order(scope, directions_of(direction), by, reason)
    paused = ask_postgres(lambda postgres: let_rest(postgres, order))
    click.echo(_paused_words(order, paused))


@click.command()
@scoped
def resume(
    project_id: str | None, company_id: str | None, everything: bool, direction: str
) -> None:
    """Take back a pause: what waited goes on, oldest first.

    It is named as it was paused: a company's pause is taken back by --company, and not project by
    project. Ends with 1 when another pause still covers some of it, and names that.
    """
    scope = scope_of(project_id, company_id, everything=everything)
    resumed, still = ask_postgres(
        lambda postgres: let_go_on(postgres, scope, directions_of(direction))
    )
    click.echo(resumed)
    if still:
        raise click.ClickException(still)


@click.command()
@scoped
@REASON
@BY
@at_most(300.0, "Seconds to wait; then end with 1 and say what is under way still.")
def drain(
    *,
    project_id: str | None,
    company_id: str | None,
    everything: bool,
    direction: str,
    reason: str,
    by: str,
    at_most_s: float,
) -> None:
    """Pause, and wait until what is under way is finished.

    A look, a return and a page of a listing are finished; a backfill stops after its page and goes
    on there later. Ends with 0 when all of it rests, with 1 when something is under way still after
    --at-most seconds. It stays paused either way, until `connector resume`.
    """
    scope = scope_of(project_id, company_id, everything=everything)
    order = Order(scope, directions_of(direction), by, reason)
    left = ask_postgres(lambda postgres: let_finish(postgres, order, at_most_s))
    if left:
        raise click.ClickException(
            f"still under way after {at_most_s:.0f} s: {left}. It stays paused; run this again to "
            "wait on"
        )
    click.echo("All of it rests. `connector resume` lets it go on.")


def _paused_words(order: Order, paused: Sequence[str]) -> str:
    towards = " and ".join(
        {"part3": "Part3", "procore": "Procore"}[one] for one in order.directions
    )
    again = {"project": order.scope.id, "company": f"--company {order.scope.id}"}
    return (
        f"Paused {order.scope.words} to {towards}: {_counted(len(paused))}. "
        f"`connector resume {again.get(order.scope.kind, '--all')}` lets it go on."
    )


def _counted(projects: int) -> str:
    return f"{projects} project{'' if projects == 1 else 's'}"


async def let_rest(postgres: Postgres, order: Order) -> list[str]:
    """Pause, and return which projects that covers."""
    async with postgres.transaction() as transaction:
        await _must_be_known(transaction, order.scope)
        await _hold_still(transaction, order.scope)
        named = (order.scope.kind, order.scope.id, list(order.directions))
        await transaction.execute(PAUSE, *named, order.by, order.reason)
        return list(await _take_over(transaction, order.scope))


async def _hold_still(queries: Queries, scope: Scope) -> None:
    """Keep projects from being tied anew meanwhile; locks in the order that a worker takes them."""
    _ = await _standing(queries, scope)
    await queries.execute(LOCK)


async def _must_be_known(queries: Queries, scope: Scope) -> None:
    """Refuse a scope without a project as a slip of the pen, unless it is everything."""
    if scope.kind != "everything" and not await scope.projects(queries):
        message = f"no connected project of {scope.words} is known here: `connector status` has all"
        raise click.ClickException(message)


async def _take_over(queries: Queries, scope: Scope) -> dict[str, Pauses]:
    """Let projects follow what is ordered now, free what waited, and tell people.

    Returns:
        what rests now of each project of the scope, by project id.
    """
    before = _by_project(await _standing(queries, scope))
    after = _by_project(await queries.fetch(TAKE_OVER, list(before)))
    look = [one for one, was in before.items() if was.to_part3 and not after[one].to_part3]
    go = [one for one, was in before.items() if was.to_procore and not after[one].to_procore]
    await queries.execute(LET_LOOK, look)
    await queries.execute(ASK_AGAIN, go)
    await queries.execute(LET_GO, go)
    changed = [one for one, was in before.items() if was != after[one]]
    events = ["connection.paused" if after[one].first else "connection.resumed" for one in changed]
    await queries.execute(NOTE, changed, events, [_sentence(after[one]) for one in changed])
    return after


async def _standing(queries: Queries, scope: Scope) -> Sequence[Row]:
    return await queries.fetch(STANDING, await scope.projects(queries))


def _by_project(rows: Sequence[Row]) -> dict[str, Pauses]:
    return {row["project_id"]: read_pauses(row) for row in rows}


def _sentence(pauses: Pauses) -> str:
    """Say for the activity page what rests now."""
    if pauses.first is None:
        return "The operators resumed it; what waited goes on, oldest first."
    return pauses.sentence


async def let_go_on(
    postgres: Postgres, scope: Scope, directions: Sequence[Direction]
) -> tuple[str, str]:
    """Take a pause back; return what to say of it, and what still keeps projects, if anything."""
    async with postgres.transaction() as transaction:
        await _hold_still(transaction, scope)
        gone = await transaction.fetch(RESUME, scope.kind, scope.id, list(directions))
        standing = await _take_over(transaction, scope)
    still = {
        project_id: pause
        for project_id, pauses in standing.items()
        for one in directions
        if (pause := getattr(pauses, f"to_{one}")) is not None
    }
    said = f"Resumed {scope.words}." if gone else f"{scope.words} had no pause of its own."
    if not still:
        return said, ""
    one = min(still)
    return said, (
        f"{_counted(len(still))} of it still rest by another pause: {one} is {still[one].words}. "
        "`connector status` shows them"
    )


async def let_finish(postgres: Postgres, order: Order, at_most_s: float) -> str:
    """Pause and wait; return what is under way still, in words, or nothing."""
    projects = await let_rest(postgres, order)
    click.echo(_paused_words(order, projects))
    reading = projects if "part3" in order.directions else []
    writing = projects if "procore" in order.directions else []
    console = Console(stderr=True)
    started, at_rest, most = time.monotonic(), 0, 0
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("under way", total=None)
        while True:
            row = await postgres.fetchrow(UNDER_WAY, reading, writing)
            counts = dict(row) if row is not None else {}
            left = sum(counts.values())
            # a claim that began before the pause may just be committed: it is seen a second later
            at_rest = at_rest + 1 if left == 0 else 0
            if at_rest > 1:
                return ""
            if left and time.monotonic() - started >= at_most_s:
                return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            most = max(most, left)
            progress.update(bar, total=most or None, completed=most - left)
            await asyncio.sleep(STEP_S)
