"""What the operators have paused of a project, in the same words wherever it is shown."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Direction = Literal["part3", "procore"]
"""Where to: looks, sweeps and the backfill bring to Part3; deliveries bring returns to Procore."""


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Why one direction of a project rests, as `mirror.projects` keeps it."""

    by: str  # which operator, as they name themselves
    reason: str
    at: datetime  # aware

    @property
    def words(self) -> str:
        """Say who paused it, since when and why."""
        since = self.at.astimezone(UTC)
        return (
            f"paused by the operators ({self.by}) since {since.day} {since:%b %Y, %H:%M} UTC: "
            f"{self.reason}"
        )


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """Which directions of a project rest."""

    to_part3: Pause | None = None
    to_procore: Pause | None = None

    @property
    def first(self) -> Pause | None:
        """The pause to name where there is room for one: the older one."""
        there = [one for one in (self.to_part3, self.to_procore) if one is not None]
        return min(there, key=lambda one: one.at, default=None)

    @property
    def effect(self) -> str:
        """Say in one sentence what rests, or nothing."""
        if self.to_part3 and self.to_procore:
            return "Nothing crosses in either direction for now."
        if self.to_part3:
            return "Nothing new comes over from Procore for now; returns still go there."
        if self.to_procore:
            return "Returns are kept here for now; what changes in Procore still comes over."
        return ""

    @property
    def words(self) -> str:
        """Say by whom, since when and why, and what becomes of what waits; or nothing."""
        if self.first is None:
            return ""
        said = self.first.words
        return f"{said[0].upper()}{said[1:]}. Nothing is lost; it goes on when they resume it."

    @property
    def sentence(self) -> str:
        """Say what rests, by whom, since when and why; or nothing."""
        return f"{self.effect} {self.words}".strip()


NO_PAUSES = Pauses()


def read_pause(value: Any) -> Pause | None:
    """Read one of the two JSON columns."""
    return msgspec.convert(value, Pause) if value is not None else None


def read_pauses(row: Mapping[str, Any]) -> Pauses:
    """Read both of them from a row of `mirror.projects`."""
    return Pauses(
        to_part3=read_pause(row["to_part3_paused"]),
        to_procore=read_pause(row["to_procore_paused"]),
    )
