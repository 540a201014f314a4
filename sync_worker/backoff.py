"""How long to wait before the next attempt: doubling, with jitter, up to a longest."""

import random

MOST_CRASHES = 3
"""After so many ends of a worker in a row, work that it had in hands each time rests."""

CRASH_REST_S, CRASH_REST_MOST_S = 10.0, 900.0
"""How long at first, doubling with each further end, and at most."""

CRASHED = (MOST_CRASHES, CRASH_REST_S, CRASH_REST_MOST_S)

FIRST_S = 1.0
MOST_DOUBLINGS = 20


def backoff_s(attempts: int, longest_s: float) -> float:
    """Return seconds to wait after `attempts` failures: half to all of the doubled time.

    The lower half is fixed, so that a fault is never met with attempts in quick succession.
    """
    full_s: float = min(longest_s, FIRST_S * 2.0 ** min(attempts, MOST_DOUBLINGS))
    return full_s / 2 + random.uniform(0, full_s / 2)  # noqa: S311 - spreads load, guards nothing
