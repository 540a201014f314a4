"""`mirror.pacing`: the windows of each grant, as workers and token services together know them.

Two statements a call, on an unlogged table. See decisions 0013 and 0019.
"""

import structlog

from services.errors import TryLater
from services.postgres import Postgres
from services.procore.pacer import RESERVE_SHARE, Priority
from services.procore.sharing import Window

FORGOTTEN_AFTER_S = 60.0
"""Without a call for so long, none is under way: whoever had begun it is dead or has given up."""

# $2: how much of a window has to be left beside this call, as a share of it.
TAKE = """
INSERT INTO mirror.pacing AS p (user_id, under_way, last_begun_at) VALUES ($1, 1, now())
ON CONFLICT (user_id) DO UPDATE SET
  under_way = 1 + CASE WHEN p.last_begun_at > now() - make_interval(secs => $3)
    THEN p.under_way ELSE 0 END,
  last_begun_at = now(), spike_left = p.spike_left - 1, long_left = p.long_left - 1
WHERE (p.closed_until IS NULL OR p.closed_until <= now())
  AND (p.spike_reset_at IS NULL OR p.spike_reset_at <= now()
    OR p.spike_left >= 1 + $2 * p.spike_limit)
  AND (p.long_reset_at IS NULL OR p.long_reset_at <= now()
    OR p.long_left >= 1 + $2 * p.long_limit)
RETURNING true
"""
OPENS_IN_S = """
SELECT extract(epoch FROM GREATEST(closed_until,
  CASE WHEN spike_left < 1 + $2 * spike_limit THEN spike_reset_at END,
  CASE WHEN long_left < 1 + $2 * long_limit THEN long_reset_at END) - now())::float8
FROM mirror.pacing WHERE user_id = $1
"""
# Within one window the count only falls: answers come in any order. What a new window says counts
# none of the calls that are still under way.
NOTE = """
UPDATE mirror.pacing SET under_way = GREATEST(0, under_way - 1),
  closed_until = GREATEST(closed_until,
    CASE WHEN $2::float8 > 0 THEN now() + make_interval(secs => $2) END)
WHERE user_id = $1
"""
NOTE_WINDOW = """
UPDATE mirror.pacing SET under_way = GREATEST(0, under_way - 1),
  closed_until = GREATEST(closed_until,
    CASE WHEN $2::float8 > 0 THEN now() + make_interval(secs => $2) END),
  {0}_left = CASE
    WHEN abs(extract(epoch FROM {0}_reset_at - now())::float8 - $5) < 2 THEN LEAST({0}_left, $4)
    ELSE $4 - GREATEST(0, under_way - 1) END,
  {0}_limit = $3, {0}_reset_at = now() + make_interval(secs => $5)
WHERE user_id = $1
"""
NOTE_SPIKE = NOTE_WINDOW.format("spike")
NOTE_LONG = NOTE_WINDOW.format("long")
SHORTEST_WAIT_S = 0.05

log = structlog.get_logger()


class PostgresPace:
    """`SharedPace` in Postgres."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def take(self, user_id: str, priority: Priority) -> float | None:
        """Take one call of a grant's windows; None: it may go, else the seconds to wait."""
        share = RESERVE_SHARE if priority >= Priority.SWEEP else 0.0
        if await self._postgres.fetchval(TAKE, user_id, share, FORGOTTEN_AFTER_S):
            return None
        wait_s: float | None = await self._postgres.fetchval(OPENS_IN_S, user_id, share)
        return max(wait_s or 0.0, SHORTEST_WAIT_S)

    async def note(self, user_id: str, window: Window | None, closed_s: float) -> None:
        """Give a call's place back, with what its answer said; that it was answered comes first."""
        try:
            if window is None:
                await self._postgres.execute(NOTE, user_id, closed_s)
            else:
                sql = NOTE_SPIKE if window.is_spike else NOTE_LONG
                said = (window.limit, window.left, window.ends_in_s)
                await self._postgres.execute(sql, user_id, closed_s, *said)
        except TryLater as error:
            log.warning("pacing.not_shared", why=str(error))
