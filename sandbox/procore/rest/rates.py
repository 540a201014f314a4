"""Rate limits: an hourly and a 10 s window per app and person.

Behaviour 50 of docs/stand-ins.md; Procore's documentation, `plan_your_app/rate_limiting.md`.
"""

from datetime import datetime

import msgspec

from sandbox.procore.world import World

HOUR_S, SPIKE_S = 3600, 10


class Window(msgspec.Struct, kw_only=True):
    length_s: int
    began: float = 0.0  # Unix seconds
    used: int = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers say, and whether the call goes through."""

    limit: int
    remaining: int
    reset: int  # Unix seconds
    refused: bool
    despite_refusal: bool = False  # begun after a 429 and before its reset

    def headers(self) -> dict[str, str]:
        return {
            "X-Rate-Limit-Limit": str(self.limit),
            "X-Rate-Limit-Remaining": str(self.remaining),
            "X-Rate-Limit-Reset": str(self.reset),
        }


class RateLimits:
    """Counts calls by the stand-in's clock. Forgotten at a restart."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._windows: dict[str, tuple[Window, Window]] = {}
        self._refused: dict[str, tuple[float, int]] = {}  # answered at, reset

    def count(self, key: str, begun: datetime) -> Verdict:
        """Count one call against both windows, and name the one nearer to exhaustion."""
        now = self._world.now().timestamp()
        switches = self._world.switches
        limits = (switches.rate_limit_spike, switches.rate_limit_hourly)
        windows = self._windows.setdefault(key, (Window(length_s=SPIKE_S), Window(length_s=HOUR_S)))
        for window in windows:
            if now >= window.began + window.length_s or now < window.began:
                window.began, window.used = now, 0
        refused = any(w.used >= limit for w, limit in zip(windows, limits, strict=True))
        if not refused:
            for window in windows:
                window.used += 1
        return self._verdict(key, windows, limits, begun, refused=refused)

    def _verdict(
        self,
        key: str,
        windows: tuple[Window, Window],
        limits: tuple[int, int],
        begun: datetime,
        *,
        refused: bool,
    ) -> Verdict:
        pairs = list(zip(windows, limits, strict=True))
        nearest, limit = min(pairs, key=lambda p: (p[1] - p[0].used) / max(p[1], 1))
        reset = int(nearest.began + nearest.length_s) + 1
        answered, until = self._refused.get(key, (0.0, 0))
        despite = answered < begun.timestamp() < until
        if refused and not despite:
            self._refused[key] = (self._world.now().timestamp(), reset)
        return Verdict(
            limit=limit,
            remaining=max(0, limit - nearest.used),
            reset=reset,
            refused=refused,
            despite_refusal=despite,
        )
