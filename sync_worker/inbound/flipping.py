"""When a record goes to and fro between states that had been put before: pure.

Two programs that undo each other's writes, or two of Procore's replicas that disagree, look like
this. Each turn would be put, told and read by people; so after a few the record rests, and what
stands in Part3 stays until the time is over. A state that is new is put at once all the same.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

MOST_FLIPS = 5
WITHIN = timedelta(minutes=10)


def lately(flips: Sequence[datetime], now: datetime) -> tuple[datetime, ...]:
    """Return the flips that still count, oldest first."""
    return tuple(sorted(at for at in flips if at > now - WITHIN))


def rests_until(flips: Sequence[datetime], now: datetime) -> datetime | None:
    """Return until when one more flip has to wait; None when it may be put now.

    Args:
        flips: when former states were put again.
        now: the database's time, as theirs is.
    """
    counted = lately(flips, now)
    return counted[-MOST_FLIPS] + WITHIN if len(counted) >= MOST_FLIPS else None
