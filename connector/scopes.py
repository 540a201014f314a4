"""What a command is meant for: one project, all of a Procore company's, or everything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click

from services.pauses import Direction
from services.postgres import Queries

# Disconnected projects rest anyway.
IN_SCOPE = """
SELECT project_id FROM mirror.projects
WHERE state <> 'disconnected' AND ($1::text IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR procore_company_id = $2)
ORDER BY project_id
"""
BOTH: tuple[Direction, ...] = ("part3", "procore")


@dataclass(frozen=True, slots=True)
class Scope:
    """One of the three; `id` is empty for everything."""

    kind: Literal["project", "company", "everything"]
    id: str = ""

    @property
    def words(self) -> str:
        """Name it as the commands do."""
        return "everything" if self.kind == "everything" else f"{self.kind} {self.id}"

    async def projects(self, queries: Queries) -> list[str]:
        """Return the ids of its projects that are connected."""
        project_id = self.id if self.kind == "project" else None
        company_id = self.id if self.kind == "company" else None
        rows = await queries.fetch(IN_SCOPE, project_id, company_id)
        return [row["project_id"] for row in rows]


def scoped(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command its PROJECT_ID, --company, --all and --direction."""
    for option in (
        click.option(
            "--direction",
            type=click.Choice([*BOTH, "both"]),
            default="both",
            show_default=True,
            help="part3: looks, sweeps and backfill. procore: returns.",
        ),
        click.option("--all", "everything", is_flag=True, help="Every project, new ones too."),
        click.option("--company", "company_id", metavar="ID", help="All of a Procore company's."),
        click.argument("project_id", required=False),
    ):
        command = option(command)
    return command


def scope_of(project_id: str | None, company_id: str | None, *, everything: bool) -> Scope:
    """Read which one is meant; ends with 2 unless it is exactly one."""
    if sum((project_id is not None, company_id is not None, everything)) != 1:
        raise click.UsageError("say one of PROJECT_ID, --company ID and --all")
    if project_id is not None:
        return Scope("project", project_id)
    return Scope("company", company_id) if company_id is not None else Scope("everything")


def directions_of(direction: str) -> Sequence[Direction]:
    """Read --direction."""
    return tuple(one for one in BOTH if direction in (one, "both"))
