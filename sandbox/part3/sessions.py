"""Browser sessions: a random cookie, kept as a hash, with a CSRF token for every form."""

import hmac
import secrets
from dataclasses import dataclass

from starlette.responses import Response

from sandbox.part3.people import hashed
from sandbox.part3.store import Store

COOKIE = "part3_session"
LASTS_S = 30 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Session:
    token: str
    csrf: str
    user_id: str | None
    is_new: bool = False

    def accepts(self, csrf: str) -> bool:
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())


class Sessions:
    def __init__(self, store: Store, *, secure: bool) -> None:
        self._store = store
        self._secure = secure

    def open(self, user_id: str | None = None) -> Session:
        session = Session(
            token=secrets.token_urlsafe(32),
            csrf=secrets.token_urlsafe(24),
            user_id=user_id,
            is_new=True,
        )
        now = self._store.now()
        with self._store.transaction():
            self._store.run("DELETE FROM sessions WHERE expires_at < ?", now)
            self._store.run(
                "INSERT INTO sessions (token_sha256, user_id, csrf, expires_at)"
                " VALUES (?, ?, ?, ?)",
                hashed(session.token),
                user_id,
                session.csrf,
                now + LASTS_S * 1_000_000,
            )
        return session

    def find(self, token: str | None) -> Session | None:
        if not token:
            return None
        row = self._store.one(
            "SELECT * FROM sessions WHERE token_sha256 = ? AND expires_at > ?",
            hashed(token),
            self._store.now(),
        )
        return Session(token=token, csrf=row["csrf"], user_id=row["user_id"]) if row else None

    def log_in(self, old: Session, user_id: str) -> Session:
        """A new session: one that was there before the login is worth nothing after it."""
        self.close(old)
        return self.open(user_id)

    def close(self, session: Session) -> None:
        self._store.run("DELETE FROM sessions WHERE token_sha256 = ?", hashed(session.token))

    def set_flash(self, session: Session, words: str) -> None:
        self._store.run(
            "UPDATE sessions SET flash = ? WHERE token_sha256 = ?", words, hashed(session.token)
        )

    def take_flash(self, session: Session) -> str | None:
        """What the last action has to say; said once."""
        row = self._store.one(
            "SELECT flash FROM sessions WHERE token_sha256 = ?", hashed(session.token)
        )
        if row is None or row["flash"] is None:
            return None
        self._store.run(
            "UPDATE sessions SET flash = NULL WHERE token_sha256 = ?", hashed(session.token)
        )
        return str(row["flash"])

    def put_cookie(self, response: Response, session: Session) -> None:
        response.set_cookie(
            COOKIE,
            session.token,
            max_age=LASTS_S,
            httponly=True,
            secure=self._secure,
            samesite="lax",
        )

    def drop_cookie(self, response: Response) -> None:
        response.delete_cookie(COOKIE, httponly=True, secure=self._secure, samesite="lax")
