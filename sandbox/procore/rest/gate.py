"""What stands before every endpoint: ledger, faults, rate limit, token, company header, app."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import perf_counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.procore.domain import accounts, directory
from sandbox.procore.domain.people import Actor, Company
from sandbox.procore.errors import BadRequest, Forbidden, NotFound, Refusal
from sandbox.procore.faults import Rule
from sandbox.procore.rest import params
from sandbox.procore.rest.answers import html_error, json_response, refused
from sandbox.procore.rest.call import Call, read_body
from sandbox.procore.rest.rates import RateLimits
from sandbox.procore.store import stamp
from sandbox.procore.wire import CutResponse, HalfResponse
from sandbox.procore.world import World, reads_half, reads_lag_s

Handler = Callable[[Call], Response]
Endpoint = Callable[[Request], Awaitable[Response]]

MISSING_HEADER = (
    "Missing Procore-Company-Id header! The Procore-Company-Id header must be included "
    "in all API requests."
)
NOT_CONNECTED = "App is not connected to this company."
KEPT_BODY_BYTES = 4096


class Unauthorized(Refusal):
    """401 in the shape of the reference's own model."""

    status = 401

    def body(self) -> Any:
        words = self.words[0]
        return {"code": 401, "message": words, "fields": [], "reason": words, "error": words}


class Gate:
    """Wraps handlers into endpoints."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rates = RateLimits(world)

    def endpoint(self, handler: Handler, *, company: bool = True, api: bool = True) -> Endpoint:
        """`company=False`: users' tokens need no company header. `api=False`: files and login."""

        async def serve(request: Request) -> Response:
            async def perform(note: "Note") -> Response:
                call = await self._read(request, note, company=company, api=api)
                return handler(call)

            return await self.guarded(request, perform)

        return serve

    async def guarded(
        self, request: Request, perform: Callable[["Note"], Awaitable[Response]]
    ) -> Response:
        """Write the ledger around it and let the faults strike."""
        note = Note(self.world, request)
        rules = self.world.faults.of_call(request.method, request.url.path)
        note.faults = [rule.kind for rule in rules]
        response = await self._before(request, rules)
        if response is None:
            response = await _after(rules, await self._performed(request, rules, perform, note))
        for name, value in note.headers.items():
            response.headers.setdefault(name, value)
        note.finish(response)
        return response

    async def _before(self, request: Request, rules: list[Rule]) -> Response | None:
        for rule in rules:
            if rule.kind == "latency":
                await request.body()  # it has arrived, so it is done though its caller be dead
                extra = self.world.random.uniform(0, rule.jitter_s)
                await asyncio.sleep(rule.delay_s + extra)
            elif rule.kind == "cut_before":
                return CutResponse()
            elif rule.kind == "status":
                return _made_up(rule)
        return None

    async def _performed(
        self,
        request: Request,
        rules: list[Rule],
        perform: Callable[["Note"], Awaitable[Response]],
        note: "Note",
    ) -> Response:
        stale = next((r for r in rules if r.kind == "stale"), None)
        reads_lag_s.set(stale.lag_s if stale else 0.0)
        reads_half.set(stale is not None and stale.half)
        try:
            return await perform(note)
        except Refusal as refusal:
            return refused(self.world, refusal, request.url.path)

    async def _read(self, request: Request, note: "Note", *, company: bool, api: bool) -> Call:
        grant = self._grant(request)
        note.user_id, note.app = grant.user_id, grant.client_id
        if api:
            self._count(note, self._counted_by(request, grant))
        actor = Actor(
            user_id=grant.user_id,
            app=grant.client_id,
            call_id=note.id,
            operation=request.headers.get("idempotency-token"),
        )
        company_id = None
        if api:
            service = directory.person(self.world, grant.user_id).service_of_app is not None
            company_id = self._company(request, actor, needed=company or service)
        body, items, is_form = await read_body(request)
        note.body = items if items is not None else body
        return Call(
            world=self.world,
            request=request,
            actor=actor,
            company_id=company_id,
            query=params.nested(request.query_params.multi_items()),
            body=body,
            items=items,
            is_form=is_form,
        )

    def _grant(self, request: Request) -> accounts.Grant:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("The access token is invalid")
        try:
            return accounts.living_grant(self.world, token.strip())
        except accounts.OAuthRefusal as refusal:
            raise Unauthorized(*refusal.words) from refusal

    def _counted_by(self, request: Request, grant: accounts.Grant) -> str:
        match self.world.switches.rate_limit_key:
            case "app":
                return grant.client_id
            case "company":
                return f"company/{request.headers.get('procore-company-id', '')}"
            case _:
                return f"{grant.client_id}/{grant.user_id}"

    def _count(self, note: "Note", key: str) -> None:
        verdict = self.rates.count(key, note.begun)
        note.headers |= verdict.headers()
        if verdict.despite_refusal:
            note.faults.append("called_despite_429")
        if verdict.refused:
            if self.world.switches.retry_after_on_429:
                wait_s = verdict.reset - int(self.world.now().timestamp())
                note.headers["Retry-After"] = str(max(1, wait_s))
            raise TooManyCalls

    def _company(self, request: Request, actor: Actor, *, needed: bool) -> int | None:
        text = request.headers.get("procore-company-id", "").strip()
        if not text:
            if needed:
                self._header_missing(request, actor)
            return None
        try:
            text = params.digits(text)
        except ValueError:
            raise BadRequest("Procore-Company-Id must be a number.") from None
        if not needed:
            return None
        company = self.world.store.get(Company, text)
        if company is None:
            raise NotFound
        self._admitted(company, actor)
        return company.id

    def _header_missing(self, request: Request, actor: Actor) -> None:
        match self.world.switches.missing_company_header:
            case "400":
                raise BadRequest(MISSING_HEADER)
            case "404":
                raise NotFound(MISSING_HEADER)
            case "tolerated":
                project_id = request.path_params.get("project_id")
                if project_id:
                    project = directory.project(self.world, actor, int(project_id))
                    self._admitted(directory.company(self.world, project.company_id), actor)

    def _admitted(self, company: Company, actor: Actor) -> None:
        """Raises Forbidden where the app is not installed, or the person does not belong."""
        if actor.app not in company.installed_apps:
            raise Forbidden(NOT_CONNECTED)
        if actor.user_id not in company.member_ids:
            raise Forbidden


class TooManyCalls(Refusal):
    status = 429

    def __init__(self) -> None:
        super().__init__(
            "You have surpassed the max number of requests. "
            "Please wait until your rate limit resets."
        )

    def body(self) -> Any:
        return {"errors": self.words[0]}


class Note:
    """One row of the ledger of calls."""

    def __init__(self, world: World, request: Request) -> None:
        self._world = world
        self._t0 = perf_counter()
        self.begun: datetime = world.now()
        self.user_id: int | None = None
        self.app: str | None = None
        self.faults: list[str] = []
        self.headers: dict[str, str] = {}
        self.body: Any = None
        self.id = world.store.insert(
            "calls",
            at=stamp(self.begun),
            host=request.headers.get("host", ""),
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            company_id=request.headers.get("procore-company-id"),
        )

    def finish(self, response: Response) -> None:
        cut = isinstance(response, CutResponse)
        kept = json.dumps(self.body, default=_named)[:KEPT_BODY_BYTES] if self.body else None
        self._world.store.run(
            "UPDATE calls SET user_id = ?, app = ?, status = ?, took_ms = ?, fault = ?, "
            "request = ? WHERE id = ?",
            (
                self.user_id,
                self.app,
                None if cut else response.status_code,
                round((perf_counter() - self._t0) * 1000, 2),
                ",".join(self.faults) or None,
                kept,
                self.id,
            ),
        )


def _named(value: object) -> str:
    """Files of a form stand in the ledger by their names."""
    return f"<{getattr(value, 'name', type(value).__name__)}>"


def _made_up(rule: Rule) -> Response:
    words = {429: "Too Many Requests", 502: "Bad Gateway", 503: "Service Unavailable"}
    word = words.get(rule.status, "Internal Server Error")
    if rule.body == "html":
        response = html_error(rule.status, word)
    elif rule.body == "empty":
        response = Response(status_code=rule.status)
    else:
        response = json_response({"errors": word}, rule.status)
    if rule.retry_after_s is not None:
        response.headers["Retry-After"] = str(rule.retry_after_s)
    return response


async def _after(rules: list[Rule], response: Response) -> Response:
    for rule in rules:
        if rule.kind == "hang_after":
            await asyncio.sleep(rule.delay_s)
            return CutResponse()
        if rule.kind == "cut_after":
            return CutResponse()
        if rule.kind == "half_body":
            return HalfResponse(response)
    return response
