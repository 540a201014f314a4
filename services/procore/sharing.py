"""What programs that use one grant know together of its limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from services.procore.pacer import Priority, number_in
from services.procore.waiting import seconds_until_reset

SPIKE_WITHIN_S = 15.0
"""A window that ends within this is the short one; Procore's is 10 s long."""


@dataclass(frozen=True, slots=True)
class Window:
    """What an answer said of a window: calls it still takes, and in how many seconds it ends."""

    limit: float
    left: float
    ends_in_s: float

    @property
    def is_spike(self) -> bool:
        """Tell the short window from the long one."""
        return self.ends_in_s <= SPIKE_WITHIN_S


class SharedPace(Protocol):
    """The windows of all grants, the same for every worker and every token service."""

    async def take(self, user_id: str, priority: Priority) -> float | None:
        """Take one call of a grant's windows; None: it may go, else the seconds to wait.

        Raises:
            TryLater: it cannot be told, so nothing is sent.
        """

    async def note(self, user_id: str, window: Window | None, closed_s: float) -> None:
        """Give the place of a call back, with what its answer said.

        Args:
            user_id: whose grant.
            window: None where the answer said nothing, or none came.
            closed_s: for how long nobody may call, after a 429; else 0.
        """


class Alone:
    """Nobody else uses the grants: each pacer knows all there is to know."""

    async def take(self, user_id: str, priority: Priority) -> float | None:
        """Let everything go."""

    async def note(self, user_id: str, window: Window | None, closed_s: float) -> None:
        """Remember nothing."""


def window_in(headers: Mapping[str, str]) -> Window | None:
    """Read the rate headers; None where one is missing or its window is over."""
    limit, left = number_in(headers, "limit"), number_in(headers, "remaining")
    ends_in_s = seconds_until_reset(headers)
    if limit is None or left is None or ends_in_s is None or ends_in_s <= 0:
        return None
    return Window(limit, max(left, 0.0), min(ends_in_s, 3_600.0))
