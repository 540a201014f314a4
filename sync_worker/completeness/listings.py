"""`mirror.listed`: what Procore listed in full, kept until the two sides have been compared.

The full listing is one that a sweep makes anyhow, so the comparison itself costs Procore no list.
"""

from typing import Any, Literal

from schemas.records import Kind
from services.postgres import Postgres

ListedState = Literal["same", "changed", "draft", "unreadable"]

OPEN_READ_EVERY_S = 72_000.0
"""An open RFI is read in full once a day (a little less, as days are not exact) ..."""

CLOSED_READ_EVERY_S = 590_000.0
"""... and a closed one once a week: a list shows neither its thread nor its files."""

BEGIN = "DELETE FROM mirror.listed WHERE (project_id, kind) = ($1, $2)"
NOTE = """
INSERT INTO mirror.listed (project_id, kind, procore_id, state) VALUES ($1, $2, $3, $4)
ON CONFLICT (project_id, kind, procore_id) DO UPDATE SET state = EXCLUDED.state, listed_at = now()
"""
# What our own returns of the last week became is read in any case: their markers are counted.
TO_READ_IN_FULL = """
SELECT r.procore_id FROM mirror.records r
WHERE (r.project_id, r.kind) = ($1, $2) AND r.record IS NOT NULL AND r.removed_at IS NULL
  AND (r.kind = 'rfi' AND coalesce(r.looked_at, '-infinity') < now() - make_interval(secs =>
      CASE WHEN r.status = 'open' THEN $3::float8 ELSE $4::float8 END)
    OR EXISTS (SELECT 1 FROM mirror.deliveries d
      JOIN mirror.write_intents w USING (return_id)
      WHERE (d.project_id, d.kind, d.procore_id) = (r.project_id, r.kind, r.procore_id)
        AND w.state = 'confirmed' AND w.changed_at > now() - interval '7 days')
    OR NOT EXISTS (SELECT 1 FROM mirror.listed l
      WHERE (l.project_id, l.kind, l.procore_id) = (r.project_id, r.kind, r.procore_id)))
  AND NOT EXISTS (SELECT 1 FROM mirror.removals m
    WHERE (m.project_id, m.kind, m.procore_id, m.state)
      = (r.project_id, r.kind, r.procore_id, 'held'))
"""
ENDED = """
INSERT INTO mirror.comparisons (project_id, kind, listed_at, due_at)
VALUES ($1, $2, now(), now() + interval '1 second')
ON CONFLICT (project_id, kind) DO UPDATE SET listed_at = now(), due_at = EXCLUDED.due_at, pass = 0
"""


class Listings:
    """The full listings, in Postgres."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def begin(self, project_id: str, kind: Kind) -> None:
        """Forget the listing before."""
        await self._postgres.execute(BEGIN, project_id, kind)

    async def note(self, project_id: str, kind: Kind, states: dict[str, ListedState]) -> None:
        """Keep how the records of a page were listed."""
        rows: list[tuple[Any, ...]] = [
            (project_id, kind, procore_id, state) for procore_id, state in states.items()
        ]
        await self._postgres.executemany(NOTE, rows)

    async def to_read_in_full(self, project_id: str, kind: Kind) -> list[str]:
        """Return the records that a list says too little of, or that it does not have."""
        rows = await self._postgres.fetch(
            TO_READ_IN_FULL, project_id, kind, OPEN_READ_EVERY_S, CLOSED_READ_EVERY_S
        )
        return [row["procore_id"] for row in rows]

    async def ended(self, project_id: str, kind: Kind) -> None:
        """Have the listing compared."""
        await self._postgres.execute(ENDED, project_id, kind)
