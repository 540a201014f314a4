"""The internal API: access tokens and connections, for the worker and the operators' command.

No answer ever holds a refresh token, and there is no way to ask for more than one grant at a time.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.connections import AccessTokenRequest, AuthorizationsRequest, RevocationRequest
from services.errors import NeedsPerson, TryLater
from services.health import Health, health_routes
from services.service_tokens import BadToken
from services.tracing import following, span
from token_service.connections.agreements import DispositionStore
from token_service.connections.shapes import BadCursor
from token_service.connections.store import ConnectionStore
from token_service.grants.access import AccessTokens
from token_service.grants.incident import Revocations
from token_service.internal.callers import Callers
from token_service.internal.problems import answer, problem, seconds_until
from token_service.internal.rates import HandOutRates
from token_service.measures import Measures

MAX_BODY_BYTES = 4_096
MAX_TEAM_BYTES = 65_536  # the ids of a whole team
MAX_ID_CHARACTERS = 256
STATUS_OF = {"not_authorized": 404, "not_found": 404}
MENDED_BY_A_PERSON = 409

log = structlog.get_logger()
T = TypeVar("T")
Handler = Callable[[Request, str], Awaitable[Response]]


class Malformed(Exception):  # noqa: N818 - says what came
    """The request cannot be read; the message says what about it."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class InternalApi:
    """Answers our own services."""

    tokens: AccessTokens
    connections: ConnectionStore
    dispositions: DispositionStore
    callers: Callers
    measures: Measures
    rates: HandOutRates
    revocations: Revocations

    async def hand_out(self, request: Request, caller: str) -> Response:
        """Answer with one person's access token."""
        asked = await _asked_token(request)
        if not self.callers.may_have_tokens(caller):
            await self.tokens.note_refusal(asked.user_id, caller=caller)
            return problem(403, "not_for_this_caller")
        try:
            token = await self.tokens.get(asked.user_id, caller=caller, rejected=asked.rejected)
        except (NeedsPerson, TryLater) as error:
            self.measures.access_tokens.add(error.reason)
            raise
        self.measures.access_tokens.add("handed_out")
        self.rates.note(asked.user_id, caller)
        return answer(token)

    async def list_authorized(self, request: Request, _caller: str) -> Response:
        """Answer which of some people have a working authorization, oldest first."""
        asked = await _read_body(
            request, AuthorizationsRequest, '{"user_ids": ["…"]}', MAX_TEAM_BYTES
        )
        for user_id in asked.user_ids:
            _id_of(user_id)
        return answer(await self.tokens.authorized_among(asked.user_ids))

    async def show_connection(self, request: Request, _caller: str) -> Response:
        """Answer with a project's connection."""
        project_id = _id_of(request.path_params["project_id"])
        connection = await self.connections.get(project_id)
        return _no_connection() if connection is None else answer(connection)

    async def list_connections(self, request: Request, _caller: str) -> Response:
        """Answer with connections in the order they changed."""
        updated_after = _moment_of(request.query_params.get("updated_after"))
        try:
            page = await self.connections.changed(updated_after, request.query_params.get("cursor"))
        except BadCursor as error:
            raise Malformed(str(error)) from error
        return answer(page)

    async def ensure_hook(self, request: Request, _caller: str) -> Response:
        """Compare a project's hook with what it should be, and mend it."""
        project_id = _id_of(request.path_params["project_id"])
        outcome = await self.connections.ensure_hook(project_id)
        if outcome is None:
            return _no_connection()
        return answer({"state": outcome.state, "detail": outcome.detail})

    async def show_dispositions(self, request: Request, _caller: str) -> Response:
        """Answer with what a connected project's parties agreed on, and what they propose."""
        project_id = _id_of(request.path_params["project_id"])
        agreed = await self.dispositions.map_of(project_id)
        return _no_connection() if agreed is None else answer(agreed)

    async def revoke(self, request: Request, caller: str) -> Response:
        """Count or revoke people's grants, for operators alone."""
        asked = await _read_body(request, RevocationRequest, '{"by": "…", "reason": "…"}')
        if caller != "operator":
            return problem(403, "not_for_this_caller")
        for name in ("by", "reason", "user_id", "company_id"):
            word = getattr(asked, name)
            if word is not None:
                _id_of(word, name)
        if asked.user_id is not None and asked.company_id is not None:
            raise Malformed("a person or a company, not both")
        return answer(await self.revocations.order(asked))

    def guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Let known callers in, and turn what is raised into problems."""

        async def handle(request: Request) -> Response:
            try:
                caller = self.callers.caller_of(request)
            except BadToken as error:
                log.warning("internal.refused", because=str(error), path=_template_of(request))
                return problem(401, "unauthorized")
            if not self.callers.may_ask(caller):
                return problem(429, "rate_limited", retry_after_s=1.0)
            work = handler.__name__.replace("_", " ")
            try:
                with following(request.headers.get("traceparent")), span(work, caller=caller):
                    return await handler(request, caller)
            except Malformed as error:
                return problem(error.status, "malformed", str(error))
            except NeedsPerson as error:
                status = STATUS_OF.get(error.reason, MENDED_BY_A_PERSON)
                return problem(status, error.reason, str(error))
            except TryLater as error:
                log.warning("internal.out_of_reach", reason=error.reason)
                wait_s = seconds_until(error.not_before)
                return problem(503, error.reason, str(error), retry_after_s=wait_s)

        return handle


def internal_app(api: InternalApi, health: Health) -> Starlette:
    """Return the application of the internal port."""
    one = "/internal/connections/{project_id}"
    return Starlette(
        routes=[
            Route("/internal/access-tokens", api.guarded(api.hand_out), methods=["POST"]),
            Route("/internal/authorizations", api.guarded(api.list_authorized), methods=["POST"]),
            Route("/internal/revocations", api.guarded(api.revoke), methods=["POST"]),
            Route("/internal/connections", api.guarded(api.list_connections), methods=["GET"]),
            Route(one, api.guarded(api.show_connection), methods=["GET"]),
            Route(f"{one}/dispositions", api.guarded(api.show_dispositions), methods=["GET"]),
            Route(f"{one}/hook", api.guarded(api.ensure_hook), methods=["POST"]),
            *health_routes(health),
        ]
    )


async def _asked_token(request: Request) -> AccessTokenRequest:
    asked = await _read_body(request, AccessTokenRequest, '{"user_id": "…", "rejected"?: "…"}')
    _id_of(asked.user_id)
    if asked.rejected is None:
        return asked
    return AccessTokenRequest(user_id=asked.user_id, rejected=asked.rejected.lower())


async def _read_body(
    request: Request, shape: type[T], example: str, most_bytes: int = MAX_BODY_BYTES
) -> T:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise Malformed("the body is too long", status=413)
    try:
        return msgspec.json.decode(bytes(body), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"the body must be {example}") from error


def _id_of(value: str, name: str = "the id") -> str:
    if not value:
        raise Malformed(f"{name} is empty")
    if len(value) > MAX_ID_CHARACTERS:
        raise Malformed(f"{name} is longer than {MAX_ID_CHARACTERS} characters")
    if "\x00" in value:
        raise Malformed(f"{name} holds a zero character")
    return value


def _moment_of(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))  # "+" in a query reads as a space
    except ValueError as error:
        raise Malformed("updated_after must be an RFC 3339 time") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _no_connection() -> Response:
    return problem(404, "not_found", "this project has never been connected")


def _template_of(request: Request) -> str:
    return str(getattr(request.scope.get("route"), "path", "?"))
