"""What reading an authentic delivery can come to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unreadable:
    """It goes to the dead letters, with a cause that is one fixed word."""

    cause: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """It is about something the connector does not mirror."""
