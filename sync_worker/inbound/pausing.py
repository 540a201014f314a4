"""When not to look: a side that is away, or a limit that has been reached.

Looks that would only fail again are left where they are, so that an outage of an hour costs a few
calls and not one for each record that waits.
"""

import time
from collections.abc import Callable

from services.errors import TryLater
from sync_worker.inbound.look_store import BACKFILL

AWAY = ("part3_down", "procore_down", "token_service_down")
IN_A_ROW = 3
"""Failures without a success between them before a side counts as away: one record can be bad."""

LONGEST_PAUSE_S = 30.0
LONGEST_REST_S = 3_600.0


class Pauses:
    """What this worker has seen fail lately."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._failures = 0
        self._closed_until = 0.0
        self._resting: dict[tuple[str, bool], float] = {}

    def note_success(self) -> None:
        """Both sides answer."""
        self._failures = 0
        self._closed_until = 0.0

    def note(self, project_id: str, priority: int, error: TryLater) -> None:
        """Learn from a look that failed for now."""
        if error.reason == "rate_limited" and error.not_before is not None:
            until = min(error.not_before.timestamp(), self._now() + LONGEST_REST_S)
            self._resting[project_id, priority >= BACKFILL] = until
        elif error.reason in AWAY:
            self._failures += 1
            if self._failures >= IN_A_ROW:
                pause_s = min(2.0 ** (self._failures - IN_A_ROW), LONGEST_PAUSE_S)
                self._closed_until = max(self._closed_until, self._now() + pause_s)

    def closed_s(self) -> float:
        """Return for how many seconds no look at all should begin; 0 when they may."""
        return max(0.0, self._closed_until - self._now())

    def resting(self, *, backfill: bool) -> list[str]:
        """Return the projects whose grant has reached its limit, for all looks or a backfill's."""
        now = self._now()
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        return [project_id for project_id, only in self._resting if only is backfill]
