"""The one source of time of the stand-in: real time plus a shift, or frozen.

Whatever has a deadline (tokens, codes, storage links, rate windows, webhook back-off) asks this
clock, so that twelve hours of failed deliveries pass in one call to `POST /_sandbox/clock`.
"""

import asyncio
from datetime import UTC, datetime, timedelta


class Clock:
    """Aware UTC times that can be shifted, set, frozen and waited for."""

    def __init__(self, *, shift_s: float = 0.0, frozen_at: datetime | None = None) -> None:
        self._shift = timedelta(seconds=shift_s)
        self._frozen_at = frozen_at
        self._moved = asyncio.Event()

    @property
    def shift_s(self) -> float:
        """Seconds that this clock is ahead of real time while it runs."""
        return self._shift.total_seconds()

    @property
    def frozen_at(self) -> datetime | None:
        """The time it stands still at, or None while it runs."""
        return self._frozen_at

    def now(self) -> datetime:
        """The present time of the stand-in."""
        return self._frozen_at or datetime.now(UTC) + self._shift

    def advance(self, seconds: float) -> None:
        """Move forward, or back when negative."""
        if self._frozen_at is not None:
            self._frozen_at += timedelta(seconds=seconds)
        else:
            self._shift += timedelta(seconds=seconds)
        self._wake()

    def set(self, to: datetime) -> None:
        """Make `to` (aware) the present."""
        if self._frozen_at is not None:
            self._frozen_at = to
        else:
            self._shift = to - datetime.now(UTC)
        self._wake()

    def freeze(self) -> None:
        """Stand still until `resume`."""
        self._frozen_at = self.now()
        self._wake()

    def resume(self) -> None:
        """Run on from where it stands."""
        if self._frozen_at is not None:
            self._shift = self._frozen_at - datetime.now(UTC)
            self._frozen_at = None
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def moved(self) -> None:
        """Return once somebody moves the clock."""
        await self._moved.wait()

    async def sleep(self, seconds: float) -> None:
        """Wait that long by this clock: moving the clock forward ends the wait early."""
        until = self.now() + timedelta(seconds=seconds)
        while (left := (until - self.now()).total_seconds()) > 0:
            waiting = self._moved.wait()
            try:
                async with asyncio.timeout(None if self._frozen_at else left):
                    await waiting
            except TimeoutError:
                continue
