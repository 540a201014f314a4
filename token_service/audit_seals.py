"""Seals the lines of the audit once they are sure to be all there, and says so in the log.

The log leaves the house by the platform's ways: whoever changes the audit and all seals behind it
with the key at hand still does not have what the log said of them.
"""

import structlog

from services.audit_chain import LAST_SEAL, LINE_COLUMNS, MOST_LINES, AuditSeal, seal_behind
from services.postgres import Postgres
from services.settings import KeyRing

SETTLED_S = 120.0
"""Lines younger than this wait: a number is given before its line is committed.

A transaction of ours is over long before: its statements and its pauses have limits.
"""

# No line behind one that may still be joined by a smaller number. Looked for among the next lines
# alone: there may be millions that no seal covers yet.
SETTLED_LINES = f"""
WITH next AS MATERIALIZED (
  SELECT {LINE_COLUMNS}, at AS written_at FROM authority.audit WHERE id > $1 ORDER BY id LIMIT $3)
SELECT id, at, event, actor, user_id, project_id, detail FROM next
WHERE id < coalesce((SELECT min(id) FROM next
    WHERE written_at >= now() - make_interval(secs => $2)), 9223372036854775807)
ORDER BY id
"""  # noqa: S608 - constants
# another replica may have sealed the same lines in this very moment
KEEP_SEAL = """
INSERT INTO authority.audit_seals (number, up_to, lines, chain, key_id, code)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (number) DO NOTHING RETURNING 1
"""

log = structlog.get_logger()


class AuditSeals:
    """Seals what is settled."""

    def __init__(self, database: Postgres, ring: KeyRing, *, settled_s: float = SETTLED_S) -> None:
        self._database = database
        self._ring = ring
        self._settled_s = settled_s

    async def seal(self) -> None:
        """Seal all lines that are settled; after a key rotation once more, by the new key."""
        while await self._seal_some() == MOST_LINES:
            continue

    async def _seal_some(self) -> int:
        row = await self._database.fetchrow(LAST_SEAL)
        last = AuditSeal(*row.values()) if row else None
        found = await self._database.fetch(
            SETTLED_LINES, last.up_to if last else 0, self._settled_s, MOST_LINES
        )
        if not found and (last is None or last.key_id == self._ring.first.id):
            return 0
        made = seal_behind(last, [tuple(line.values()) for line in found], self._ring)
        kept = await self._database.fetchval(
            KEEP_SEAL, made.number, made.up_to, made.lines, made.chain, made.key_id, made.code
        )
        if kept is None:
            return 0
        log.info("audit.sealed", number=made.number, up_to=made.up_to, chain=made.chain.hex())
        return len(found)
