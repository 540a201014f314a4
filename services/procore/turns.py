"""The turns of all grants: a call waits for its grant's, and its answer teaches the next one.

A pacer a grant stands in front of what all programs know together of its limits.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.http_client import Answer
from services.procore.pacer import LONGEST_PATIENCE_S, TOO_MANY_REQUESTS, Pacer, Priority
from services.procore.sharing import Alone, SharedPace, Window, window_in


@dataclass(slots=True)
class Turns:
    """Makes calls at each grant's pace.

    Args:
        shared: what other programs know of the grants' limits.
        patience_s: the longest wait that is sat out; a longer one is `rate_limited` at once.
    """

    shared: SharedPace = field(default_factory=Alone)
    patience_s: float = LONGEST_PATIENCE_S
    _pacers: dict[str, Pacer] = field(default_factory=dict)

    def pacer(self, user_id: str) -> Pacer:
        """Return the pacer of a grant."""
        return self._pacers.setdefault(user_id, Pacer(patience_s=self.patience_s))

    def budget_left(self) -> float:
        """Return the calls left to the grant that has the fewest; infinite while none is known."""
        return min((pacer.budget_left for pacer in self._pacers.values()), default=math.inf)

    async def take(
        self, user_id: str, priority: Priority, send: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Send once it is this call's turn; return or raise what `send` does.

        Raises:
            TryLater: `rate_limited`, with the time from which it is sensible to come again; or it
                cannot be told whether others' calls leave room. Nothing was sent.
        """
        pacer = self.pacer(user_id)
        while True:
            async with pacer.turn(priority):
                wait_s = await self.shared.take(user_id, priority)
                if wait_s is None:
                    return await self._sent(user_id, pacer, send)
                pacer.learn(wait_s, priority)

    async def _sent(
        self, user_id: str, pacer: Pacer, send: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        window: Window | None = None
        closed_s = 0.0
        try:
            answer = await send()
            pacer.note(answer.status, answer.headers)
            window = window_in(answer.headers)
            if answer.status == TOO_MANY_REQUESTS:
                closed_s = pacer.closed_s
        finally:
            await self.shared.note(user_id, window, closed_s)
        return answer
