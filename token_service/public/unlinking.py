"""What came from a Procore project, read from the worker's tables for whoever unlinks it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.records import Kind
from services.postgres import ProjectReads

MOST_SHOWN = 50

COUNT = """
SELECT count(*) FILTER (WHERE removed_at IS NULL) AS left_to_mark, count(*) AS records
FROM mirror.records WHERE project_id = $1 AND record IS NOT NULL
"""
DELIVERED = """
SELECT d.kind, r.number, r.title, d.author_name AS author, d.changed_at AS at
FROM mirror.deliveries d LEFT JOIN mirror.records r USING (project_id, kind, procore_id)
WHERE d.project_id = $1 AND d.state = 'delivered' ORDER BY d.changed_at DESC
"""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A return that stands in Procore, under its author's name."""

    kind: Kind
    number: str | None
    title: str | None
    author: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class CameOver:
    """What came from a Procore project, and what went there."""

    records: int
    left_to_mark: int
    delivered: Sequence[Delivered]

    @property
    def nothing(self) -> bool:
        """Tell whether nothing crossed in either direction."""
        return not self.records and not self.delivered

    @property
    def shown(self) -> Sequence[Delivered]:
        """The newest returns."""
        return self.delivered[:MOST_SHOWN]


async def read_what_came(mirror: ProjectReads, project_id: str) -> CameOver:
    """Read what crossed. Raises TryLater."""
    async with mirror.of_project(project_id) as database:
        counts = await database.fetchrow(COUNT, project_id)
        delivered = await database.fetch(DELIVERED, project_id)
    if counts is None:
        message = "a count always gives a row"
        raise AssertionError(message)
    return CameOver(
        counts["records"],
        counts["left_to_mark"],
        [Delivered(**dict(row)) for row in delivered],
    )
