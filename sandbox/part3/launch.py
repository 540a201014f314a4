"""Launch tokens: how a person goes from Part3 into the connector's pages without a new login."""

import secrets
import time
from sqlite3 import Row
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import OctKey

from sandbox.part3.settings import LaunchKey

LASTS_S = 50  # the connector takes 60 at most; the rest is for clocks that differ


class Launcher:
    def __init__(self, key: LaunchKey, connector_url: str) -> None:
        self._key = OctKey.import_key(key.secret)
        self._key_id = key.key_id
        self._connector_url = connector_url

    def token(self, user: Row) -> str:
        now = int(time.time())
        return jwt.encode(
            {"alg": "HS256", "kid": self._key_id, "typ": "JWT"},
            {
                "iss": "part3",
                "aud": "connector",
                "sub": user["id"],
                "name": user["name"],
                "email": user["email"],
                "iat": now,
                "exp": now + LASTS_S,
                "jti": secrets.token_urlsafe(16),
            },
            self._key,
        )

    def address(self, user: Row, next_path: str) -> str:
        """Where to send the browser, at top level: the token is good once and for seconds."""
        query = urlencode({"token": self.token(user), "next": next_path})
        return f"{self._connector_url}/launch?{query}"
