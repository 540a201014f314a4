"""What Procore's refusals mean, and one reader of their bodies that never raises.

Source: Procore's documentation, `api_essentials/error_reference.md`, and what others met: eight
shapes of body, HTML from gateways, 404 for invisible (behaviours 48 and 52 of docs/stand-ins.md).
"""

from typing import Any

import msgspec

from schemas.records import Person
from services.errors import ConnectorError, NeedsPerson

MOST_WORDS = 400


class NotVisible(ConnectorError):  # noqa: N818 - says what happened
    """Procore answered 404: absent, in the recycle bin, or hidden from this person."""


class NotAllowed(ConnectorError):  # noqa: N818 - says what happened
    """Procore answered 403: below the needed level, tool off, or outside the app's projects."""


class Refused(ConnectorError):  # noqa: N818 - says what happened
    """Procore refused what was sent (400, 409, 422, ...); the message is Procore's own words."""


class GrantRefused(NeedsPerson):
    """A person has not authorized, or Procore no longer honours their grant."""

    def __init__(self, user_id: str, *, reason: str) -> None:
        self.user_id = user_id
        super().__init__(
            f"Part3 user {user_id} has no working Procore authorization: "
            "they authorize in Account Settings, Integrations",
            reason=reason,
        )


class AppNotInstalled(NeedsPerson):
    """The app is not connected to the company any more."""

    def __init__(self, mended_by: Person | None = None) -> None:
        super().__init__(
            "This app is not installed in the Procore company: "
            "a company administrator installs it in Procore's App Management",
            reason="app_not_installed",
            mended_by=mended_by,
        )


def words_of(body: bytes, content_type: str) -> str:
    """Return what an error body says to a person, at most 400 characters; never raises."""
    if "html" in content_type.lower():
        return "an HTML error page"
    try:
        found = _words_in(msgspec.json.decode(body))
    except (msgspec.DecodeError, RecursionError):
        found = body[:MOST_WORDS].decode("utf-8", "replace")
    return " ".join(found.split())[:MOST_WORDS] or "no words"


def is_app_not_installed(words: str) -> bool:
    """Tell the 403 of a company without the app from the others."""
    return "not connected to this company" in words.lower()


def _words_in(value: Any) -> str:  # noqa: PLR0911 - one line a shape
    match value:
        case str():
            return value
        case list():
            return "; ".join(filter(None, map(_words_in, value)))
        case {"error": dict() as error}:
            return _words_in(error)
        case {"errors": errors}:
            return _words_in(errors)
        case {"error_description": str() as words} | {"message": str() as words}:
            return words
        case {"error": str() as words} | {"reason": str() as words}:
            return words
        case dict():
            parts = ((key, _words_in(part)) for key, part in value.items())
            return "; ".join(f"{key}: {words}" for key, words in parts if words)
        case _:
            return ""
