"""What happened in a history: a line each for who reads it, and counts of what is rare."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

RARE = (
    "adopted by its marker",
    "executed after its caller gave up",
    "refused by a delivery's fence",
    "refused by a record's fence",
    "sent a second time",
    "asked of a person",
    "sent again for a person",
    "too slow between arming and sending",
    "stale read discarded",
    "stale read served",
    "read back too early",
    "answer lost after the effect",
    "half an answer",
    "commit without an answer",
    "transaction rolled back",
    "postgres restarted",
    "worker killed",
    "worker paused",
    "worker replaced while paused",
    "token service killed",
    "delivery lease lapsed",
    "partitions moved",
    "batch repeated",
    "notice lost",
    "notice doubled",
    "notice late",
    "echo put nothing",
    "put refused as outdated",
    "record removed",
    "record restored",
    "return held",
    "return confirmed",
    "return withdrawn in time",
    "return withdrawn too late",
    "return delivered",
    "missed return found",
    "access token refused",
    "grant refreshed",
    "refresh token spent without an answer",
    "refresh tried a last time",
    "grant lost with its answer",
    "authorized again",
    "pair brought home from the spool",
    "refresh lease lapsed",
)
"""Branches that a batch of histories must have taken, or it has proven nothing."""


class Violation(AssertionError):  # noqa: N818 - says what it is
    """An invariant does not hold. `name` is I1 to I7 of docs/reliability.md, or `grant`."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


class History:
    """Counts, and the lines if somebody wants to read them."""

    def __init__(self, now: Callable[[], float], *, told: bool = False) -> None:
        self._now = now
        self.counts: Counter[str] = Counter()
        self.lines: list[str] = []
        self.violations: list[Violation] = []
        self.told = told
        self.digest = 0

    def count(self, what: str) -> None:
        """Count something of `RARE`, or a figure."""
        self.counts[what] += 1

    def tell(self, who: str, what: str, /, **details: Any) -> None:
        """Write down what happened, by whom."""
        if not self.told:
            return
        named = " ".join(f"{name}={_short(value)}" for name, value in details.items())
        self.lines.append(f"{self._now():9.3f}  {who:<12} {what} {named}".rstrip())

    def violate(self, name: str, what: str) -> None:
        """Write down that an invariant does not hold; the history goes on to its end."""
        self.violations.append(Violation(name, what))
        self.tell("CHECK", f"{name} does not hold: {what}")


def _short(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%H:%M:%S")
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
