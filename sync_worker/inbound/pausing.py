"""When not to look: a side that is away, or a limit that has been reached.

Looks that would only fail again are left where they are, so that an outage of an hour costs a few
calls and not one for each record that waits.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from services.errors import TryLater
from services.waits import Closed, waiting_on
from sync_worker.backoff import MOST_DOUBLINGS
from sync_worker.inbound.look_store import BACKFILL

AWAY = ("part3_down", "procore_down", "token_service_down")
IN_A_ROW = 3
"""Failures without a success between them before a side counts as away: one record can be bad."""

LONGEST_PAUSE_S = 30.0
LONGEST_REST_S = 3_600.0
REMEMBERED = 200
"""Pauses that looks waiting through them can still be told of."""


class Pauses:
    """What this worker has seen fail lately."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._failures = 0
        self._closed_until = 0.0
        self._resting: dict[tuple[str, bool], float] = {}
        self._outage: Closed | None = None
        self._taken: deque[tuple[str | None, Closed]] = deque(maxlen=REMEMBERED)

    def note_success(self) -> None:
        """Both sides answer."""
        self._end_outage()
        self._failures = 0
        self._closed_until = 0.0

    def note(self, project_id: str, priority: int, error: TryLater) -> None:
        """Learn from a look that failed for now."""
        if error.reason == "rate_limited" and error.not_before is not None:
            until = min(error.not_before.timestamp(), self._now() + LONGEST_REST_S)
            self._resting[project_id, priority >= BACKFILL] = until
            if priority < BACKFILL:
                rest = Closed(
                    self._moment(self._now()), self._moment(until), waiting_on(error.reason)
                )
                self._taken.append((project_id, rest))
        elif error.reason in AWAY:
            self._failures += 1
            if self._failures >= IN_A_ROW:
                doublings = min(self._failures - IN_A_ROW, MOST_DOUBLINGS)
                pause_s = min(2.0**doublings, LONGEST_PAUSE_S)
                self._closed_until = max(self._closed_until, self._now() + pause_s)
                self._note_outage(error)

    def closed_s(self) -> float:
        """Return for how many seconds no look at all should begin; 0 when they may."""
        return max(0.0, self._closed_until - self._now())

    def resting(self, *, backfill: bool) -> list[str]:
        """Return the projects whose grant has reached its limit, for all looks or a backfill's."""
        now = self._now()
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        return [project_id for project_id, only in self._resting if only is backfill]

    def taken(self, project_id: str) -> list[Closed]:
        """Return in which pauses no look of a project was taken up lately, and who took them."""
        over = [one for of, one in self._taken if of in (None, project_id)]
        return over if self._outage is None else [*over, self._outage]

    def _note_outage(self, error: TryLater) -> None:
        """Remember a pause; one that goes on is one, the failing attempts within it included."""
        on, until = waiting_on(error.reason), self._moment(self._closed_until)
        if self._outage is not None and self._outage.on == on:
            self._outage = replace(self._outage, until=until)
            return
        self._end_outage()
        self._outage = Closed(self._moment(self._now()), until, on)

    def _end_outage(self) -> None:
        """That side answers again, or another one fails, perhaps before the last pause was over."""
        if self._outage is not None:
            until = min(self._outage.until, self._moment(self._now()))
            self._taken.append((None, replace(self._outage, until=max(self._outage.since, until))))
            self._outage = None

    @staticmethod
    def _moment(seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, UTC)
