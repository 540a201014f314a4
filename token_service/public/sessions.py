"""Who is visiting: sessions kept on the server, known to it by the hash of their cookie only."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from services.postgres import Postgres, Queries
from services.service_tokens import Launch
from services.settings import Secret
from token_service.public.csrf import is_own_form
from token_service.public.ports import Session
from token_service.visits import Visit, csrf_token_of

IDLE_S = 2 * 3_600.0
PROVEN_S = 3_600.0
"""How long Part3's word on who somebody is serves for forms that decide."""

LASTS_S = 12 * 3_600.0
COOKIE = "connector_session"
SECRET_FORM = re.compile(r"[A-Za-z0-9_-]{43}")

ADD_SESSION = """
INSERT INTO authority.sessions (session_hash, user_id, name, email, ends_at)
VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
"""
# the time of the last visit is exact to a minute: not every page view has to be a write
READ_SESSION = """
WITH present AS (
  SELECT session_hash, user_id, name, email, seen_at,
    created_at > now() - make_interval(secs => $3) AS proven FROM authority.sessions
  WHERE session_hash = $1 AND ends_at > now() AND seen_at > now() - make_interval(secs => $2)
), touched AS (
  UPDATE authority.sessions SET seen_at = now() WHERE session_hash IN (
    SELECT session_hash FROM present WHERE seen_at < now() - interval '1 minute')
)
SELECT user_id, name, email, proven FROM present
"""
END_SESSION = "DELETE FROM authority.sessions WHERE session_hash = $1"
FORGET_ENDED = """
DELETE FROM authority.sessions
WHERE ends_at <= now() OR seen_at <= now() - make_interval(secs => $1)
"""
NOTE_LAUNCH = """
INSERT INTO authority.used_launches (jti_hash, expires_at)
VALUES ($1, now() + make_interval(secs => $2)) ON CONFLICT (jti_hash) DO NOTHING RETURNING 1
"""
FORGET_LAUNCHES = "DELETE FROM authority.used_launches WHERE expires_at <= now()"
FORGET_STATES = "DELETE FROM authority.oauth_states WHERE ends_at <= now() - interval '1 hour'"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A visit. `secret` is the cookie's value and appears nowhere."""

    user_id: str
    name: str
    email: str
    secret: Secret
    proven: bool

    @property
    def csrf_token(self) -> str:
        """What every form of this visit carries."""
        return csrf_token_of(self.secret)

    @property
    def visit(self) -> Visit:
        """The visit as a consent is bound to it."""
        return Visit(self.user_id, self.secret)


class SessionStore:
    """Begins, finds and ends visits. All methods that ask Postgres raise TryLater.

    Args:
        public_url: `PUBLIC_URL`; over https the cookie is `Secure` and `__Host-`.
    """

    def __init__(self, database: Postgres, public_url: str) -> None:
        self._database = database
        parts = urlsplit(public_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._secure = parts.scheme == "https"
        self.cookie = f"__Host-{COOKIE}" if self._secure else COOKIE

    async def begin(
        self, launch: Launch, replaced: str | None, token_lasts_s: float
    ) -> Secret | None:
        """Begin a visit, or None if the launch token has been used already.

        Args:
            launch: whom Part3 sends.
            replaced: the cookie's value of the visit before, which ends.
            token_lasts_s: for how long the launch token would still be good.
        """
        secret = Secret(secrets.token_urlsafe(32))
        async with self._database.transaction() as database:
            token_id = hashlib.sha256(launch.token_id.encode()).digest()
            # longer than the token lives, whichever of the two clocks runs ahead
            if await database.fetchval(NOTE_LAUNCH, token_id, token_lasts_s + 600.0) is None:
                return None
            if replaced is not None:
                await database.execute(END_SESSION, _hashed(replaced))
            await _add(database, launch, secret)
        return secret

    async def visitor(self, request: Request) -> SignedIn | None:
        """Return the visit that the request's cookie belongs to, or None."""
        sent = self.sent_cookie(request)
        if sent is None:
            return None
        row = await self._database.fetchrow(READ_SESSION, _hashed(sent), IDLE_S, PROVEN_S)
        if row is None:
            return None
        return SignedIn(row["user_id"], row["name"], row["email"], Secret(sent), row["proven"])

    def own_form(self, request: Request, session: Session, csrf_token: str) -> bool:
        """Tell whether a form was sent from this visit's own page."""
        return is_own_form(session.csrf_token, csrf_token, request.headers, self._origin)

    def sent_cookie(self, request: Request) -> str | None:
        """Return the cookie's value, if it looks like one of ours."""
        sent = request.cookies.get(self.cookie)
        return sent if sent is not None and SECRET_FORM.fullmatch(sent) else None

    def set_cookie(self, answer: Response, secret: Secret) -> None:
        """Give the visit's cookie to the browser; Lax, as Procore's redirect must bring it back."""
        answer.set_cookie(
            self.cookie,
            secret.reveal(),
            max_age=round(LASTS_S),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    async def forget_ended(self) -> None:
        """Delete visits, launch tokens and OAuth states whose time is over."""
        await self._database.execute(FORGET_ENDED, IDLE_S)
        await self._database.execute(FORGET_LAUNCHES)
        await self._database.execute(FORGET_STATES)


async def _add(database: Queries, launch: Launch, secret: Secret) -> None:
    hashed = _hashed(secret.reveal())
    await database.execute(ADD_SESSION, hashed, launch.user_id, launch.name, launch.email, LASTS_S)


def _hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
