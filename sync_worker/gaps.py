"""What a gap in Kafka asks for: records are gone before anybody read them, so all is listed."""

import structlog

from services.kafka import Gap
from services.postgres import Postgres

log = structlog.get_logger()

LIST_EVERYTHING = """
UPDATE mirror.sweeps SET due_at = now(), retry_at = NULL WHERE backfilled_at IS NOT NULL
"""
ASK_FOR_ALL_RETURNS = """
UPDATE mirror.projects SET returns_due_at = now() WHERE state = 'active'
"""


async def look_at_everything(postgres: Postgres, gap: Gap) -> None:
    """List what changed in every project, as nobody knows which of them the records spoke of.

    Raises:
        TryLater: Postgres is away; the gap is reported again.
    """
    named = {"topic": gap.topic, "partition": gap.partition}
    log.error("consumer.gap", expected=gap.expected, found=gap.found, **named)
    async with postgres.transaction() as queries:
        await queries.execute(LIST_EVERYTHING)
        await queries.execute(ASK_FOR_ALL_RETURNS)
