"""How values read to people: times, numbers, durations, names."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

MINUTE_S = 60
HOUR_S = 3600
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
