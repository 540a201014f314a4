"""How often one person's access token is asked for: a worker keeps it for a minute, a thief asks.

Nobody is refused: a wrong guess here would stop a person's returns. It is counted and said.
"""

import time
from collections import Counter
from collections.abc import Callable

import structlog

WINDOW_S = 60.0
MOST = 60
"""In a window, of one person's token from one replica.

A worker asks about once a minute for each person, so this takes 60 workers, or something wrong.
"""

log = structlog.get_logger()


class HandOutRates:
    """Counts hand-outs a person and window, and tells once a window of whoever has too many.

    Args:
        tell: counts such a person.
    """

    def __init__(
        self, tell: Callable[[], object], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._monotonic = monotonic
        self._counts: Counter[str] = Counter()
        self._ends_at = monotonic() + WINDOW_S

    def note(self, user_id: str, caller: str) -> None:
        """Count a token of this person that is handed out to `caller`."""
        if self._monotonic() >= self._ends_at:
            self._counts.clear()
            self._ends_at = self._monotonic() + WINDOW_S
        self._counts[user_id] += 1
        if self._counts[user_id] == MOST + 1:
            log.warning("grant.asked_often", user_id=user_id, caller=caller, within_s=WINDOW_S)
            self._tell()
