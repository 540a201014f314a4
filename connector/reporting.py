"""`connector status`: how every project is, or one of them in detail."""

import asyncio
import json
from dataclasses import asdict
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from connector.health import ProjectFigures, health_of
from services.errors import TryLater
from services.postgres import open_postgres
from services.settings import read_or_exit

FIGURES = """
SELECT p.project_id, p.state, p.attention_message,
  (SELECT count(*) FROM mirror.sweeps s
    WHERE s.project_id = p.project_id AND s.backfilled_at IS NULL) AS backfills_open,
  (SELECT max(s.finished_at) FROM mirror.sweeps s
    WHERE s.project_id = p.project_id) AS last_sweep_at,
  (SELECT count(*) FROM mirror.looks l
    WHERE l.project_id = p.project_id AND l.due_at <= now()) AS looks_due,
  (SELECT count(*) FROM mirror.looks l
    WHERE l.project_id = p.project_id AND l.attempts > 0) AS looks_failing,
  (SELECT count(*) FROM mirror.records r
    WHERE r.project_id = p.project_id AND r.mirrored_at IS NOT NULL) AS records,
  (SELECT count(*) FROM mirror.records r
    WHERE r.project_id = p.project_id AND r.files_pending > 0) AS records_with_files_pending,
  d.held AS returns_held, d.waiting AS returns_waiting, d.delivered AS returns_delivered,
  d.oldest_held_words
FROM mirror.projects p
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE state = 'held') AS held,
    count(*) FILTER (WHERE state IN ('new', 'sending', 'waiting')) AS waiting,
    count(*) FILTER (WHERE state = 'delivered') AS delivered,
    (array_agg(message ORDER BY changed_at) FILTER (WHERE state = 'held'))[1] AS oldest_held_words
  FROM mirror.deliveries WHERE project_id = p.project_id
) d
WHERE $1::text IS NULL OR p.project_id = $1
ORDER BY p.project_id
"""


@click.command()
@click.argument("project_id", required=False)
@click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON document.")
def status(project_id: str | None, as_json: bool) -> None:
    """Show each project's health word and the next step; PROJECT_ID shows one of them.

    Ends with 0 when nothing needs a person, with 1 when a project needs attention or has held
    returns.
    """
    url = read_or_exit(lambda reader: reader.secret("DATABASE_URL")).reveal()
    try:
        projects = asyncio.run(_figures(url, project_id))
    except TryLater as error:
        raise click.ClickException(str(error)) from error
    if project_id and not projects:
        message = f"no project {project_id!r} is known here: was it ever connected?"
        raise click.ClickException(message)
    if as_json:
        click.echo(json.dumps({"projects": [_as_json(p) for p in projects]}, indent=2))
    else:
        _print_table(projects)
    if any(health_of(p).word in ("attention", "returns held") for p in projects):
        raise SystemExit(1)


async def _figures(url: str, project_id: str | None) -> list[ProjectFigures]:
    async with open_postgres(url, max_size=1) as postgres:
        rows = await postgres.fetch(FIGURES, project_id)
    return [ProjectFigures(**dict(row)) for row in rows]


def _as_json(project: ProjectFigures) -> dict[str, object]:
    health = health_of(project)
    figures = asdict(project)
    figures["last_sweep_at"] = project.last_sweep_at and project.last_sweep_at.isoformat()
    return {**figures, "health": health.word, "next_step": health.next_step}


def _print_table(projects: list[ProjectFigures]) -> None:
    table = Table(title=None, show_lines=False)
    for heading in ("project", "health", "records", "files open", "returns ✓/…/held", "last sweep"):
        table.add_column(heading)
    table.add_column("next step", overflow="fold")
    for project in projects:
        health = health_of(project)
        returns = f"{project.returns_delivered}/{project.returns_waiting}/{project.returns_held}"
        table.add_row(
            project.project_id,
            health.word,
            str(project.records),
            str(project.records_with_files_pending),
            returns,
            _clock(project.last_sweep_at),
            health.next_step,
        )
    Console().print(table if projects else "No project is connected yet.")


def _clock(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else "never"
