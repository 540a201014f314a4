"""Who is at the browser: sessions in the store, known to the browser by an unguessable cookie."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from sandbox.procore.domain import directory
from sandbox.procore.domain.people import Person
from sandbox.procore.errors import Refusal
from sandbox.procore.store import Kept
from sandbox.procore.world import World

COOKIE = "procore_session"
LASTS = timedelta(days=7)


class PageSession(Kept, frozen=True, kw_only=True):
    """One browser's login. `id` is the hash of the cookie's value."""

    id: str
    user_id: int
    csrf: str
    ends_at: datetime
    flash: str = ""  # words for the next page, with "!" in front for a refusal


def begin(world: World, person: Person, response: Response) -> None:
    """Log a person in at this browser."""
    value = secrets.token_urlsafe(32)
    session = PageSession(
        id=_hash(value),
        user_id=person.id,
        csrf=secrets.token_urlsafe(24),
        ends_at=world.now() + LASTS,
    )
    world.store.put(session)
    response.set_cookie(COOKIE, value, httponly=True, samesite="lax", max_age=604800)


def end(response: Response) -> None:
    """Log out at this browser."""
    response.delete_cookie(COOKIE)


def session_of(world: World, request: Request) -> PageSession | None:
    """The browser's session, if it has one that still lasts."""
    value = request.cookies.get(COOKIE)
    session = world.store.get(PageSession, _hash(value)) if value else None
    return session if session and session.ends_at > world.now() else None


def person_at(world: World, request: Request) -> Person | None:
    """Who is logged in at this browser, or None."""
    session = session_of(world, request)
    try:
        return directory.person(world, session.user_id) if session else None
    except Refusal:
        return None


def same_csrf(session: PageSession, sent: object) -> bool:
    """Tell whether a form came from a page of this session."""
    return isinstance(sent, str) and hmac.compare_digest(sent.encode(), session.csrf.encode())


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
