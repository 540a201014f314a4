"""One call to Procore's REST API under one person's grant, with its failures sorted."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import structlog

from schemas.connections import AccessToken
from services.errors import NeedsPerson, TryLater
from services.http_client import Answer as HttpAnswer
from services.http_client import HttpClient, NoAnswer, NotSent
from services.procore.counting import Observe, unobserved
from services.procore.errors import AppNotInstalled, is_app_not_installed
from services.procore.pacer import Priority, rate_limited
from services.procore.turns import Turns
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


@dataclass(frozen=True, slots=True)
class Asked:
    """One call; `company_id` goes into the company header, None where none is needed."""

    method: str
    path: str
    company_id: str | None = None
    params: Mapping[str, str] | None = None
    json: Any = None

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body, as an argument of the HTTP client."""
        return {} if self.json is None else {"json": self.json}


@dataclass(frozen=True, slots=True)
class ProcoreApi:
    """Calls under people's own grants, at the pace that is kept with the workers.

    Args:
        client: pool towards the API.
        api_url: PROCORE_API_URL.
        tokens: where access tokens come from.
        turns: whose call goes when.
        priority: of the calls made here.
        observe: told each call that was answered, for the metrics.
    """

    client: HttpClient
    api_url: str
    tokens: Tokens
    turns: Turns
    priority: Priority = Priority.PAGE
    observe: Observe = unobserved

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
        token = await self.tokens.get(user_id, caller="token_service")
        asked = Asked(method, path, company_id, params, json)
        answer = await self.ask(user_id, token.access_token, asked)
        if answer.status == UNAUTHORIZED:
            hashed = hashlib.sha256(token.access_token.encode()).hexdigest()
            token = await self.tokens.get(user_id, caller="token_service", rejected=hashed)
            answer = await self.ask(user_id, token.access_token, asked)
        if answer.status not in SUCCESS and answer.status not in accept:
            raise self._fault_of(answer, user_id, f"{method} {path}")
        return answer

    async def ask(self, user_id: str, access_token: str, asked: "Asked") -> Answer:
        """Send one call with this access token, when it is the grant's turn.

        Raises:
            TryLater: `rate_limited`, and nothing was sent; or Procore is away.
        """
        headers = {
            "authorization": f"Bearer {access_token}",
            "accept": "application/json",
            **({} if asked.company_id is None else {COMPANY_HEADER: asked.company_id}),
        }

        async def send() -> HttpAnswer:
            url, body = f"{self.api_url}{asked.path}", asked.body
            answer = await self.client.send(
                asked.method, url, headers=headers, params=asked.params, **body
            )
            self.observe(asked.method, asked.path, user_id, asked.company_id, answer.status)
            return answer

        try:
            answer = await self.turns.take(user_id, self.priority, send)
        except (NotSent, NoAnswer) as error:
            raise TryLater(str(error), reason="procore_down") from error
        return Answer(answer.status, answer.headers, json_or_none(answer.body))

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

    def _fault_of(self, answer: Answer, user_id: str, call: str) -> Exception:
        """Sort a refusal by what to do about it. Procore's words are shown to nobody."""
        status = answer.status
        if status == UNAUTHORIZED:
            return NeedsReauthorization(user_id)
        if status == TOO_MANY:
            return rate_limited(self.turns.pacer(user_id).opens_at(self.priority))
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
