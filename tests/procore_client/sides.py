"""A side that answers what a test wrote down, and the objects that call it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec

from schemas.connections import AccessToken
from services.http_client import HttpClient
from services.procore.call import Caller
from services.procore.client import Procore
from services.procore.files import Files
from services.procore.models import Place
from services.procore.origins import Origins

API = "https://api.procore.test"
PLACE = Place(company_id="77", project_id="501")
AMY = "user-amy"

Reply = Callable[[httpx2.Request], httpx2.Response]


def json_answer(
    value: Any, status: int = 200, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """Return an answer with a JSON body."""
    return httpx2.Response(
        status,
        content=msgspec.json.encode(value),
        headers={"content-type": "application/json"} | (headers or {}),
    )


def unread(answer: httpx2.Response) -> httpx2.Response:
    """Return the answer with a body still to be read, as it comes from a network."""
    stream = httpx2.ByteStream(answer.content)
    return httpx2.Response(answer.status_code, headers=answer.headers, stream=stream)


@dataclass
class Side:
    """Answers in the order given, the last one for ever; keeps every request."""

    answers: Sequence[httpx2.Response | Reply | Exception] = ()
    requests: list[httpx2.Request] = field(default_factory=list)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        place = min(len(self.requests), len(self.answers)) - 1
        answer = self.answers[place]
        if isinstance(answer, Exception):
            raise answer
        return unread(answer if isinstance(answer, httpx2.Response) else answer(request))

    def http(self, name: str = "Procore", **limits: Any) -> HttpClient:
        return HttpClient(name, transport=httpx2.MockTransport(self), **limits)


@dataclass
class GivenTokens:
    """Hands out `first`, and after a 401 `second`."""

    tokens: list[str] = field(default_factory=lambda: ["first", "second", "third"])
    rejected: list[str] = field(default_factory=list)

    async def access_token(self, user_id: str) -> AccessToken:
        return self._token()

    async def replacement_for(self, user_id: str, rejected: AccessToken) -> AccessToken:
        self.rejected.append(rejected.access_token)
        return self._token()

    def _token(self) -> AccessToken:
        return AccessToken(
            access_token=self.tokens[len(self.rejected)],
            expires_at=datetime.now(UTC) + timedelta(hours=1),
            procore_user_id="9001",
        )


def caller_to(side: Side, tokens: GivenTokens | None = None) -> Caller:
    return Caller(side.http(), API, tokens or GivenTokens())


def procore_at(
    side: Side, *, storage: Side | None = None, origins: Origins | None = None
) -> Procore:
    caller = caller_to(side)
    allowed = origins or Origins(("https://storage.test",), ("https://storage.test", API), API)
    files = Files(caller, (storage or side).http("the storage"), caller.tokens, allowed)
    return Procore(caller, files)
