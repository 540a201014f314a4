"""Errors sorted by what to do about them.

`TryLater` goes to the retries with a due time; `NeedsPerson` is held with a reason code, plain
words and who can mend it. Anything else is a fault of ours and ends up at the top of a program.
"""

from datetime import datetime

from schemas.records import Person


class ConnectorError(Exception):
    """Root of the errors that our own code raises on purpose."""


class TryLater(ConnectorError):  # noqa: N818 - the name says what to do
    """It fails for now and may well succeed by itself.

    Attributes:
        reason: code shown with waiting work, e.g. rate_limited, procore_down, part3_down.
        not_before: the earliest sensible time to try again (aware UTC), or None for back-off.
    """

    def __init__(self, message: str, *, reason: str, not_before: datetime | None = None) -> None:
        self.reason = reason
        self.not_before = not_before
        super().__init__(message)


class OutcomeUnknown(TryLater):
    """A write was sent and its effect cannot be told from the answer, so it must be looked up."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="outcome_unknown")


class NeedsPerson(ConnectorError):  # noqa: N818 - the name says what to do
    """It waits until a named person does something.

    Attributes:
        reason: code, e.g. not_authorized, not_permitted, record_closed.
        mended_by: who can clear it, or None when only the reader can know.
    """

    def __init__(self, message: str, *, reason: str, mended_by: Person | None = None) -> None:
        self.reason = reason
        self.mended_by = mended_by
        super().__init__(message)
