"""A person's visit to the pages, as consents and forms are bound to it."""

import hashlib
from dataclasses import dataclass

from services.settings import Secret


def csrf_token_of(session_secret: Secret) -> str:
    """Return what every form of a visit carries; derived, so that nothing has to be stored."""
    return hashlib.sha256(f"csrf/{session_secret.reveal()}".encode()).hexdigest()


def choice_key(csrf_token: str) -> bytes:
    """Return what a choice that waits for this very visit is stored under."""
    return hashlib.sha256(f"choice/{csrf_token}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Visit:
    """The browser session in which somebody consents. `secret` is its cookie's value."""

    user_id: str
    secret: Secret

    @property
    def hashed(self) -> bytes:
        """What the database knows the session by."""
        return hashlib.sha256(self.secret.reveal().encode()).digest()

    @property
    def choice_key(self) -> bytes:
        """What a choice that waits for this visit is stored under."""
        return choice_key(csrf_token_of(self.secret))
