"""Who calls the internal port, and how often they may."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from services.service_tokens import BadToken, are_apart, verify_service_token
from services.settings import KeyRing

PER_SECOND = 1_000.0
BURST = 2_000.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Callers:
    """Believes service tokens, and counts what each caller asks for."""

    def __init__(
        self,
        keys: KeyRing,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._now = now
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}
        self._operators_apart = are_apart(keys)

    def caller_of(self, request: Request) -> str:
        """Return who calls. Raises BadToken."""
        sent = request.headers.getlist("authorization")
        if len(sent) != 1:
            raise BadToken("one Authorization header is needed")
        scheme, _, token = sent[0].partition(" ")
        if scheme.lower() != "bearer":
            raise BadToken("it is no bearer token")
        return verify_service_token(self._keys, token.strip(), now=self._now)

    def may_have_tokens(self, caller: str) -> bool:
        """Tell whether a caller gets access tokens.

        Operators need none; they are refused where their key is not that of the workers.
        """
        return caller != "operator" or not self._operators_apart

    def may_ask(self, caller: str) -> bool:
        """Tell whether the caller stays within what a sane one asks for, and count the request."""
        present = self._monotonic()
        bucket = self._buckets.setdefault(caller, _Bucket(BURST, present))
        bucket.tokens = min(BURST, bucket.tokens + (present - bucket.filled_at) * PER_SECOND)
        bucket.filled_at = present
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True
