"""One call to Procore's REST API under one person's grant, with its failures sorted."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import msgspec
import structlog

from schemas.connections import AccessToken
from services.errors import NeedsPerson, TryLater
from services.http_client import HttpClient, NoAnswer, NotSent
from services.procore.errors import AppNotInstalled, is_app_not_installed
from services.procore.waiting import seconds_to_wait
from token_service.grants.access import NeedsReauthorization

COMPANY_HEADER = "Procore-Company-Id"
PER_PAGE = 100  # lists may cap it here
MOST_PAGES = 100
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY = 401, 403, 404, 429
SUCCESS = range(200, 300)
SERVER_ERRORS = range(500, 600)

log = structlog.get_logger()


class Tokens(Protocol):
    """Where access tokens come from."""

    async def get(self, user_id: str, *, caller: str, rejected: str | None = None) -> AccessToken:
        """Return a usable access token. Raises NeedsPerson or TryLater."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Procore answered; `content` is its JSON, None where there is none."""

    status: int
    headers: Mapping[str, str]
    content: Any

    @property
    def data(self) -> Any:
        """The `data` of the v2.0 envelope."""
        return self.content.get("data") if isinstance(self.content, dict) else None


class ProcoreApi:
    """Calls under people's own grants, few at once; a 429 stops a person's calls until its end."""

    def __init__(
        self,
        client: HttpClient,
        api_url: str,
        tokens: Tokens,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._api_url = api_url
        self._tokens = tokens
        self._monotonic = monotonic
        self._closed_until: dict[str, float] = {}

    async def call(
        self,
        user_id: str,
        method: str,
        path: str,
        *,
        company_id: str | None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        accept: Sequence[int] = (),
    ) -> Answer:
        """Call Procore as a person.

        `user_id` is Part3's; `company_id` goes into `Procore-Company-Id` and is None for `/me` and
        `/companies` alone; `accept` names statuses besides 2xx that the caller understands.

        Raises:
            NeedsPerson: `needs_reauthorization`, `not_authorized`, `app_not_installed`,
                `not_permitted`, or `refused_by_procore` for what no retry would change.
            TryLater: Procore is away, busy, or asks to wait.
        """
        self._check_open(user_id)
        token = await self._tokens.get(user_id, caller="token_service")
        request = {"params": params, "json": json} if json is not None else {"params": params}
        send = partial(self._send, method, path, company_id, request)
        answer = await send(token)
        if answer.status == UNAUTHORIZED:
            hashed = hashlib.sha256(token.access_token.encode()).hexdigest()
            token = await self._tokens.get(user_id, caller="token_service", rejected=hashed)
            answer = await send(token)
        self._note_limits(user_id, answer)
        if answer.status not in SUCCESS and answer.status not in accept:
            raise _fault_of(answer, user_id, f"{method} {path}")
        return answer

    async def all_pages(
        self,
        user_id: str,
        path: str,
        *,
        company_id: str | None,
        params: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return the objects of all pages of a list. Raises as `call`."""
        items: list[dict[str, Any]] = []
        for page in range(1, MOST_PAGES + 1):
            paged = {**(params or {}), "page": str(page), "per_page": str(PER_PAGE)}
            answer = await self.call(user_id, "GET", path, company_id=company_id, params=paged)
            listed = answer.data if isinstance(answer.content, dict) else answer.content
            got = [item for item in listed or () if isinstance(item, dict)]
            items += got
            if not got or not _has_more(answer, len(items), len(got)):
                return items
        log.error("procore.list_too_long", path=path, items=len(items))
        return items

    def _check_open(self, user_id: str) -> None:
        wait_s = self._closed_until.get(user_id, 0.0) - self._monotonic()
        if wait_s > 0:
            raise _rate_limited(wait_s)
        self._closed_until.pop(user_id, None)

    def _note_limits(self, user_id: str, answer: Answer) -> None:
        refused = answer.status == TOO_MANY
        if refused or answer.headers.get("x-rate-limit-remaining") == "0":
            wait_s = seconds_to_wait(answer.headers) or (10.0 if refused else 0.0)
            self._closed_until[user_id] = self._monotonic() + wait_s

    async def _send(
        self,
        method: str,
        path: str,
        company_id: str | None,
        request: Mapping[str, Any],
        token: AccessToken,
    ) -> Answer:
        headers = {
            "authorization": f"Bearer {token.access_token}",
            "accept": "application/json",
            **({} if company_id is None else {COMPANY_HEADER: company_id}),
        }
        url = f"{self._api_url}{path}"
        try:
            answer = await self._client.send(method, url, headers=headers, **request)
        except (NotSent, NoAnswer) as error:
            raise TryLater(str(error), reason="procore_down") from error
        return Answer(answer.status, answer.headers, json_or_none(answer.body))


def json_or_none(body: bytes) -> Any:
    """Read JSON; whatever is none reads as None."""
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _has_more(answer: Answer, so_far: int, on_page: int) -> bool:
    """Tell whether a list goes on: by its links, its total, or by how full the page is."""
    if "link" in answer.headers:
        return 'rel="next"' in answer.headers["link"] or "rel=next" in answer.headers["link"]
    total = answer.headers.get("total", "")
    if total.isdecimal():
        return so_far < int(total)
    return on_page >= PER_PAGE


def _rate_limited(wait_s: float) -> TryLater:
    return TryLater(
        "Procore asks us to slow down",
        reason="rate_limited",
        not_before=datetime.now(UTC) + timedelta(seconds=wait_s),
    )


def _fault_of(answer: Answer, user_id: str, call: str) -> Exception:
    """Sort a refusal by what to do about it. Procore's words are shown to nobody."""
    status = answer.status
    if status == UNAUTHORIZED:
        return NeedsReauthorization(user_id)
    if status == TOO_MANY:
        return _rate_limited(seconds_to_wait(answer.headers) or 10.0)
    if status == FORBIDDEN and is_app_not_installed(str(answer.content)):
        return AppNotInstalled()
    if status in (FORBIDDEN, NOT_FOUND):
        return NeedsPerson(
            f"Procore does not let user {user_id} do this ({call}: {status}); "
            "ask a Procore project administrator to check their permissions",
            reason="not_permitted",
        )
    if status in SERVER_ERRORS:
        return TryLater(f"Procore answered {call} with {status}", reason="procore_down")
    return NeedsPerson(f"Procore refused {call} with {status}", reason="refused_by_procore")
