"""How values read to people: times, numbers, durations, names."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400
SHOWN_NAME_LENGTH = 160
ROLES: Mapping[str, str] = {
    "prime_consultant": "Prime Consultant",
    "consultant": "Consultant",
    "general_contractor": "General Contractor",
    "subcontractor": "Subcontractor",
    "owner": "Owner",
    "viewer": "Viewer",
}
KINDS: Mapping[str, str] = {"rfi": "RFI", "submittal": "Submittal"}
WAITED_FOR: Mapping[str, str] = {
    "procore": "Procore",
    "part3": "Part3",
    "queue": "our queue",
    "rate_limit": "Procore's rate limit",
    "authorization": "a missing authorization",
    "person": "a person",
}
"""Who took a record's or return's minutes, as `services.waits` names them, in people's words."""


def on_day(at: datetime) -> str:
    """Return a day as people write it, e.g. 24 November 2026."""
    return f"{at.day} {at:%B %Y}"


def at_time(at: datetime) -> str:
    """Return a moment with its zone, e.g. 24 Nov 2026, 14:05 UTC."""
    moment = at.astimezone(UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun, e.g. `1 RFI`, `1,204 RFIs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def lasting(seconds: float) -> str:
    """Return a duration as one would say it: `about 3 minutes`, never a false precision."""
    if seconds < MINUTE_S:
        return "less than a minute"
    if seconds < HOUR_S:
        return f"about {counted(round(seconds / MINUTE_S), 'minute')}"
    return f"about {counted(round(seconds / HOUR_S), 'hour')}"


def exactly(seconds: float) -> str:
    """Return a duration in its two largest units, e.g. `40 s`, `3 min`, `2 h 5 min`, `3 d 4 h`."""
    whole = round(seconds)
    for size, unit, smaller, its_unit in (
        (DAY_S, "d", HOUR_S, "h"),
        (HOUR_S, "h", MINUTE_S, "min"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {its_unit}" if rest else "")
    return f"{whole // MINUTE_S} min" if whole >= 2 * MINUTE_S else f"{whole} s"


def waited(waited_s: Mapping[str, float]) -> str:
    """Say how long something took and who took it, the longest first; below a second is nobody."""
    longest = sorted(waited_s.items(), key=lambda one: -one[1])
    parts = [f"{WAITED_FOR.get(on, on)} {exactly(took)}" for on, took in longest if took >= 1]
    if not parts:
        return "It took less than a second."
    return f"It took {exactly(sum(waited_s.values()))}: {', '.join(parts)}."


def short(name: str) -> str:
    """Cut a name that would break the page; its full text belongs in a `title`."""
    return name if len(name) <= SHOWN_NAME_LENGTH else name[: SHOWN_NAME_LENGTH - 1] + "…"


def role(code: str) -> str:
    """Return Part3's word for a role."""
    return ROLES.get(code, code.replace("_", " ").capitalize())


def kind(code: str | None) -> str:
    """Return the field's word for a kind of record."""
    return KINDS.get(code or "", "")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "on_day": on_day,
    "at_time": at_time,
    "counted": counted,
    "lasting": lasting,
    "short": short,
    "role": role,
    "kind": kind,
    "iso": datetime.isoformat,
}
