"""The daily count of our own writes: each marker of the last week stands exactly once.

Counted in what was read from Procore and put into Part3 since the listing, so it costs no call of
its own. What it counts on: docs/reliability.md, A6.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sync_worker.outbound.marker import MARKER

Verdict = Literal["once", "missing", "doubled", "unread"]
READS_LAG = timedelta(minutes=1)
"""So long after a write a read may still not show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A write of ours that Procore had confirmed, and the record as it was last read."""

    marker: str
    return_id: str
    procore_id: str
    record: Mapping[str, Any] | None
    looked_at: datetime | None
    removed_at: datetime | None
    written_at: datetime


def times_in(record: Mapping[str, Any], marker: str) -> int:
    """Return how many replies and approver's comments of a record carry a marker."""
    texts = [one.get("text") for one in record.get("replies") or ()]
    texts += [one.get("comment") for one in record.get("workflow") or ()]
    return sum(marker in MARKER.findall(text) for text in texts if text)


def verdict_of(written: Written, listed_at: datetime) -> Verdict:
    """Say how often a marker stands; `unread` while that cannot be told.

    Args:
        written: the write.
        listed_at: what was read before says nothing of today.
    """
    if written.record is None or written.removed_at is not None:
        return "unread"
    if written.looked_at is None or written.looked_at < listed_at:
        return "unread"
    times = times_in(written.record, written.marker)
    if not times and written.looked_at < written.written_at + READS_LAG:
        return "unread"
    return "once" if times == 1 else "doubled" if times else "missing"
