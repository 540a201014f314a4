"""`connector status`: how every project is, or one of them in detail."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from connector.health import ProjectFigures, faults_of, health_of
from connector.reaching import ask_postgres
from services.pauses import read_pauses
from services.postgres import Postgres

FIGURES = """
SELECT p.project_id, p.state, p.attention_message, p.to_part3_paused, p.to_procore_paused,
  (SELECT count(*) FROM mirror.sweeps s
    WHERE s.project_id = p.project_id AND s.backfilled_at IS NULL) AS backfills_open,
  (SELECT max(s.finished_at) FROM mirror.sweeps s
    WHERE s.project_id = p.project_id) AS last_sweep_at,
  (SELECT count(*) FROM mirror.sweeps s
    WHERE s.project_id = p.project_id AND s.attempts > 0) AS sweeps_failing,
  (SELECT count(*) FROM mirror.removals m
    WHERE m.project_id = p.project_id AND m.state = 'held') AS removals_held,
  (SELECT count(*) FROM mirror.looks l
    WHERE l.project_id = p.project_id AND l.due_at <= now()) AS looks_due,
  (SELECT count(*) FROM mirror.looks l
    WHERE l.project_id = p.project_id AND l.attempts > 0) AS looks_failing,
  coalesce(
    (SELECT l.message FROM mirror.looks l WHERE l.project_id = p.project_id AND l.attempts > 0
      AND l.message IS NOT NULL ORDER BY l.first_asked_at LIMIT 1),
    (SELECT s.message FROM mirror.sweeps s WHERE s.project_id = p.project_id AND s.attempts > 0
      AND s.message IS NOT NULL LIMIT 1)) AS failing_words,
  (SELECT count(*) FROM mirror.records r
    WHERE r.project_id = p.project_id AND r.mirrored_at IS NOT NULL
      AND r.removed_at IS NULL) AS records,
  (SELECT count(*) FROM mirror.records r
    WHERE r.project_id = p.project_id AND r.files_pending > 0) AS records_with_files_pending,
  d.held AS returns_held, d.waiting AS returns_waiting, d.delivered AS returns_delivered,
  d.oldest_held_words,
  CASE WHEN p.hook_state = 'unchecked' THEN coalesce(p.hook_message, '') END AS hook_fault,
  m.wrong AS markers_wrong,
  CASE WHEN m.wrong > 0 THEN (SELECT string_agg(told.words, ' ' ORDER BY told.id DESC) FROM (
    SELECT latest.id, latest.words FROM (
      SELECT DISTINCT ON (a.return_id) a.id, a.words FROM mirror.activity a
      WHERE a.project_id = p.project_id
        AND a.event IN ('audit.marker_missing', 'audit.marker_doubled')
      ORDER BY a.return_id, a.id DESC) latest
    ORDER BY latest.id DESC LIMIT LEAST(m.wrong, 3)) told) END AS marker_words
FROM mirror.projects p
CROSS JOIN LATERAL (
  SELECT coalesce(sum(c.markers_wrong), 0)::int AS wrong
  FROM mirror.comparisons c WHERE c.project_id = p.project_id
) m
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
    """Show each project's health word and the next step; PROJECT_ID shows one in detail.

    Ends with 0 when it could be said, whatever it is: a held return waits for its author and not
    for an operator. `connector doctor` is the one that judges.
    """
    projects = ask_postgres(lambda postgres: _figures(postgres, project_id))
    if project_id and not projects:
        message = f"no project {project_id!r} is known here: was it ever connected?"
        raise click.ClickException(message)
    if as_json:
        click.echo(json.dumps({"projects": [_as_json(p) for p in projects]}, indent=2))
    elif project_id:
        _print_one(projects[0])
    else:
        _print_table(projects)


async def _figures(postgres: Postgres, project_id: str | None) -> list[ProjectFigures]:
    rows = await postgres.fetch(FIGURES, project_id)
    return [_figures_of(dict(row)) for row in rows]


def _figures_of(row: dict[str, Any]) -> ProjectFigures:
    pauses = read_pauses(row)
    known = {name: value for name, value in row.items() if not name.endswith("_paused")}
    return ProjectFigures(**known, pauses=pauses)


def _as_json(project: ProjectFigures) -> dict[str, object]:
    health = health_of(project)
    figures = asdict(project)
    figures["pauses"] = msgspec.to_builtins(project.pauses)
    figures["last_sweep_at"] = project.last_sweep_at and project.last_sweep_at.isoformat()
    return {**figures, "health": health.word, "next_step": health.next_step}


def _print_table(projects: list[ProjectFigures]) -> None:
    """Print a row a project, so that it can be read at 80 columns too."""
    if not projects:
        click.echo("No project is connected yet.")
        return
    table = Table()
    table.add_column("project", no_wrap=True, overflow="fold")
    table.add_column("health")
    table.add_column("records", justify="right")
    table.add_column("returns")
    table.add_column("swept")
    table.add_column("next step", overflow="fold")
    for project in projects:
        health = health_of(project)
        records = f"{project.records}"
        if project.records_with_files_pending:
            records += f"\n({project.records_with_files_pending} wait for files)"
        table.add_row(
            project.project_id,
            health.word,
            records,
            _returns(project, "\n"),
            _ago(project.last_sweep_at),
            health.next_step,
        )
    Console(highlight=False).print(table, markup=False)


def _print_one(project: ProjectFigures) -> None:
    health = health_of(project)
    swept = project.last_sweep_at
    lines = {
        "project": project.project_id,
        "connection": project.state,
        "health": health.word,
        "next step": health.next_step or "nothing to do",
        "records": f"{project.records} in Part3, {project.records_with_files_pending} of them "
        "wait for files",
        "looks": f"{project.looks_due} due now, {project.looks_failing} failed and tried again",
        "sweeps": f"last ended {_ago(swept)}{f' ({swept:%Y-%m-%d %H:%M:%S} UTC)' if swept else ''}"
        f", {project.sweeps_failing} failed and tried again",
        "backfill": "under way" if project.backfills_open else "done",
        "returns": _returns(project, ", "),
    }
    if project.failing_words:
        lines["why it failed"] = project.failing_words
    if faults := faults_of(project):
        lines["broken"] = " ".join(faults)
    width = max(map(len, lines)) + 2
    for name, words in lines.items():
        click.echo(f"{name + ':':{width}}{words}")


def _returns(project: ProjectFigures, between: str) -> str:
    counts = {
        "delivered": project.returns_delivered,
        "on the way": project.returns_waiting,
        "held": project.returns_held,
    }
    return between.join(f"{count} {word}" for word, count in counts.items() if count) or "none"


def _ago(at: datetime | None) -> str:
    if at is None:
        return "never"
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
