"""How long Procore asks us to wait, from the headers of a refusal."""

import math
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

SHORTEST_S = 1.0
LONGEST_S = 3_600.0


def seconds_to_wait(
    headers: Mapping[str, str], *, now: Callable[[], float] = time.time
) -> float | None:
    """Return the seconds, 1 to 3600, that a 429 or 503 asks for; None where it says nothing usable.

    `Retry-After` (seconds) wins over `X-Rate-Limit-Reset` (Unix seconds): Procore's pages name
    either. Dates, negative and absurd values are not believed.
    """
    asked = _number(headers.get("retry-after"))
    if asked is None:
        asked = seconds_until_reset(headers, now=now)
    if asked is None or asked < 0:
        return None
    return min(max(asked, SHORTEST_S), LONGEST_S)


def seconds_until_reset(
    headers: Mapping[str, str], *, now: Callable[[], float] = time.time
) -> float | None:
    """Return in how many seconds the window ends that an answer names; None if it names none.

    Counted from the answer's own `Date`, where it has one, as our clock may differ from Procore's.
    """
    reset = _number(headers.get("x-rate-limit-reset"))
    if reset is None:
        return None
    try:
        then = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        then = now()
    return reset - then


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
