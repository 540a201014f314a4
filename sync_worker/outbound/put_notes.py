"""What the outbound half keeps of every state that was put into Part3."""

import msgspec

from services.postgres import Queries
from services.procore.models import Rfi, Submittal
from sync_worker.outbound.turns import turns_of
from sync_worker.outbound.versions import kind_of, note_version

NOTE_TURNS = """
INSERT INTO mirror.readiness AS r (project_id, kind, procore_id, turns) VALUES ($1, $2, $3, $4)
ON CONFLICT (project_id, kind, procore_id) DO UPDATE
SET turns = excluded.turns, due_at = now(), asked = r.asked + 1
"""


async def note_put(
    queries: Queries, project_id: str, content_version: str, record: Rfi | Submittal
) -> None:
    """Keep what a content version meant and whose turn it is, in the transaction of the put.

    Args:
        queries: the transaction.
        project_id: Part3's.
        content_version: of the record that Part3 now holds.
        record: what Procore held, from which that record was translated.
    """
    await note_version(queries, project_id, content_version, record)
    turns = msgspec.to_builtins(turns_of(record))
    await queries.execute(NOTE_TURNS, project_id, kind_of(record), record.id, turns)
