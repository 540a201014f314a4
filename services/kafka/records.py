"""From aiokafka's record to ours."""

from datetime import UTC, datetime
from typing import Any

from services.kafka.lanes import ConsumedRecord


def consumed(record: Any, prefix: str) -> ConsumedRecord:
    """Return a record of aiokafka's as ours; of headers that come twice the last one counts."""
    return ConsumedRecord(
        topic=record.topic.removeprefix(prefix),
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=dict(record.headers),
        written_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
    )
