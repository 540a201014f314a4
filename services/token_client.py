"""The token service's internal port, as the workers call it."""

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from schemas.connections import (
    AccessToken,
    Authorization,
    Authorizations,
    AuthorizationsRequest,
    Connection,
    ConnectionPage,
    GrantProblem,
    Revocation,
    RevocationRequest,
)
from schemas.dispositions import DispositionMap
from services.errors import NeedsPerson, TryLater
from services.http_client import Answer, HttpClient, NoAnswer, NotSent
from services.procore.errors import GrantRefused
from services.settings import Secret
from services.tracing import trace_headers

T = TypeVar("T")

FRESH_S = 60.0
"""How long a token is used without asking whether its person has authorized anew, or taken it back.

One that is older still serves while the token service is away, until shortly before it expires.
"""

EXPIRY_MARGIN_S = 120.0
OK, NOT_FOUND, CONFLICT, UNAVAILABLE = 200, 404, 409, 503
OURS, PROCORES = "token_service_down", "procore_down"


@dataclass(frozen=True, slots=True)
class _Held:
    token: AccessToken
    covered: Secret  # the same, known to what covers secrets in logs
    fresh_until: float  # Unix seconds
    until: float  # Unix seconds


class TokenClient:
    """Access tokens and connections. The replicas are tried in turn.

    Args:
        http: pool towards the token service.
        urls: of its internal ports.
        authorization: makes the value of a fresh `Authorization` header.
    """

    def __init__(
        self,
        http: HttpClient,
        urls: tuple[str, ...],
        authorization: Callable[[], str],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._urls = urls
        self._authorization = authorization
        self._now = now
        self._tokens: dict[str, _Held] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def access_token(self, user_id: str) -> AccessToken:
        """Return a person's access token.

        Raises:
            GrantRefused: `not_authorized` or `needs_reauthorization`.
            TryLater: the token service cannot say now.
        """
        held = self._tokens.get(user_id)
        if held is not None and held.fresh_until > self._now():
            return held.token
        async with self._turns[user_id]:  # callers at the same moment share one answer
            held = self._tokens.get(user_id)
            if held is not None and held.fresh_until > self._now():
                return held.token
            try:
                return await self._fetch(user_id, rejected=None)
            except TryLater:
                if held is not None and held.until > self._now():
                    return held.token
                raise
            except GrantRefused:
                self._tokens.pop(user_id, None)
                raise

    async def replacement_for(self, user_id: str, rejected: AccessToken) -> AccessToken:
        """Return another access token after one got a 401. Raises as `access_token`."""
        async with self._turns[user_id]:
            held = self._tokens.get(user_id)
            if held is not None and held.token.access_token != rejected.access_token:
                return held.token  # somebody else got the 401 first
            self._tokens.pop(user_id, None)
            digest = hashlib.sha256(rejected.access_token.encode()).hexdigest()
            return await self._fetch(user_id, rejected=digest)

    def forget(self, user_id: str) -> None:
        """Ask afresh next time: the person may have authorized since, or taken it back."""
        self._tokens.pop(user_id, None)

    async def procore_user_id(self, user_id: str) -> str:
        """Return the Procore user that a Part3 user proved to be. Raises as `access_token`."""
        return (await self.access_token(user_id)).procore_user_id

    async def connection(self, project_id: str) -> Connection | None:
        """Return a project's connection, or None when it never had one."""
        answer = await self._ask("GET", f"/internal/connections/{quote(project_id, safe='')}")
        return None if answer.status == NOT_FOUND else _read(answer, Connection)

    async def connections(
        self, *, updated_after: datetime | None, cursor: str | None
    ) -> ConnectionPage:
        """Return a page of connections, oldest change first."""
        asked = {"updated_after": updated_after and updated_after.isoformat(), "cursor": cursor}
        params = {name: value for name, value in asked.items() if value}
        answer = await self._ask("GET", "/internal/connections", params=params)
        return _read(answer, ConnectionPage)

    async def authorized_among(self, user_ids: Sequence[str]) -> tuple[Authorization, ...]:
        """Return which of some people have a working authorization, oldest first."""
        asked = AuthorizationsRequest(user_ids=tuple(user_ids))
        content = msgspec.json.encode(asked)
        answer = await self._ask("POST", "/internal/authorizations", content=content)
        return _read(answer, Authorizations).items

    async def dispositions(self, project_id: str) -> DispositionMap | None:
        """Return what a project's parties agreed on about dispositions, and what they propose.

        None for a project that is not connected. Raises TryLater.
        """
        path = f"/internal/connections/{quote(project_id, safe='')}/dispositions"
        answer = await self._ask("GET", path)
        return None if answer.status == NOT_FOUND else _read(answer, DispositionMap)

    async def ensure_hook(self, project_id: str) -> str:
        """Have a connection's hook compared with what it should be; return what came of it.

        One of ok, created, repaired, missed (it was in order, but Procore gave up deliveries).

        Raises:
            NeedsPerson: the owner's grant does not work, or Procore refuses the hook; in the token
                service's own words.
            TryLater: it cannot be said now.
        """
        path = f"/internal/connections/{quote(project_id, safe='')}/hook"
        answer = await self._ask("POST", path)
        if answer.status == CONFLICT:
            problem = _read(answer, GrantProblem)
            raise NeedsPerson(problem.detail or problem.title, reason=problem.code)
        found = _read(answer, dict)
        return str(found.get("state", "ok"))

    async def revoke(self, asked: RevocationRequest) -> Revocation:
        """Count or revoke people's grants; to be carried out twice is harmless. Raises TryLater."""
        content = msgspec.json.encode(asked)
        answer = await self._ask("POST", "/internal/revocations", content=content)
        return _read(answer, Revocation)

    async def _fetch(self, user_id: str, *, rejected: str | None) -> AccessToken:
        asked = {"user_id": user_id} | ({"rejected": rejected} if rejected else {})
        answer = await self._ask("POST", "/internal/access-tokens", json=asked)
        if answer.status in (NOT_FOUND, CONFLICT):
            raise _grant_refused(user_id, answer)
        token = _read(answer, AccessToken)
        until = token.expires_at.timestamp() - EXPIRY_MARGIN_S
        self._tokens[user_id] = _Held(
            token, Secret(token.access_token), min(until, self._now() + FRESH_S), until
        )
        return token

    async def _ask(self, method: str, path: str, **request: Any) -> Answer:
        fault: Exception | None = None
        reason = OURS
        for url in self._urls:
            headers = {"authorization": self._authorization(), **trace_headers()}
            try:
                answer = await self._http.send(method, url + path, headers=headers, **request)
            except (NotSent, NoAnswer) as error:
                fault = error
                continue
            if answer.status in (OK, NOT_FOUND, CONFLICT):
                return answer
            why, reason = _why(answer)
            fault = TryLater(why, reason=reason)
        message = f"the token service gives no answer for {path.split('/')[2]} now ({fault})"
        raise TryLater(message, reason=reason) from fault


class ConnectionPages(Protocol):
    """Connections by page: of TokenClient only this."""

    async def connections(
        self, *, updated_after: datetime | None, cursor: str | None
    ) -> ConnectionPage:
        """Return a page of connections, oldest change first."""


async def all_connections(
    listing: ConnectionPages, *, updated_after: datetime | None = None
) -> AsyncIterator[Connection]:
    """Yield every connection, ended ones too, oldest change first; each page as it comes.

    Args:
        listing: where they are listed.
        updated_after: only those that changed since.

    Raises:
        TryLater: the token service cannot say now; what was yielded before holds.
    """
    cursor: str | None = None
    while True:
        page = await listing.connections(updated_after=updated_after, cursor=cursor)
        for connection in page.items:
            yield connection
        cursor = page.next_cursor
        if not cursor:
            return


def _grant_refused(user_id: str, answer: Answer) -> GrantRefused:
    try:
        code = msgspec.json.decode(answer.body, type=GrantProblem).code
    except msgspec.DecodeError:
        code = "not_authorized"
    return GrantRefused(user_id, reason=code)


def _why(answer: Answer) -> tuple[str, str]:
    """Return in words why it cannot be done now, and who is waited for.

    A 503 names who is away: Procore, where its login host does not answer.
    """
    try:
        problem = msgspec.json.decode(answer.body, type=GrantProblem)
    except msgspec.DecodeError:
        return f"status {answer.status}", OURS
    reason = PROCORES if (answer.status, problem.code) == (UNAVAILABLE, PROCORES) else OURS
    return f"status {answer.status}: {problem.detail or problem.code}", reason


def _read(answer: Answer, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except msgspec.DecodeError as error:
        message = "the token service answered something else than its contract says"
        raise TryLater(message, reason=OURS) from error
