"""Authorize: to Procore's consent page and back, in the browser session that began it."""

from dataclasses import dataclass

import structlog
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from token_service.audit import Audit, Entry
from token_service.grants.consent import AskWhich, Consents, Done, Misused, NotDone
from token_service.public.entry import Desk, Refused, guarded, own_path, proven_form, see
from token_service.public.pages.account import PATH as ACCOUNT_PATH
from token_service.public.render import NO_SESSION, Refusal
from token_service.public.sessions import SessionStore, SignedIn
from token_service.settings import CALLBACK_PATH

AUTHORIZE_PATH = f"{ACCOUNT_PATH}/authorize"
MAX_CODE_CHARACTERS = 4_096
MAX_STATE_CHARACTERS = 256

BAD_CALLBACK = Refusal(
    400,
    "This authorization can't be finished",
    "It wasn't begun here, in this browser, or it has been finished before. Nothing was changed.",
    "Open Account settings, Integrations, and press Authorize there.",
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Callback:
    """What Procore's redirect brought. Exactly one of `code` and `error` is there."""

    state: str
    code: str | None
    error: str | None


class AuthorizeDesk:
    """The way to Procore's consent page, and back."""

    def __init__(
        self, consents: Consents, sessions: SessionStore, audit: Audit, *, issuer: str
    ) -> None:
        self._consents = consents
        self._sessions = sessions
        self._audit = audit
        self._issuer = issuer

    async def authorize(self, desk: Desk, request: Request) -> Response:
        """Send the person to Procore; they come back to `next`, or to the account page."""
        session = await self._signed_in(request)
        form = await proven_form(desk, request, session)
        return_to = own_path(form.get("next")) or f"{ACCOUNT_PATH}?notice=authorized"
        url = await self._consents.begin(session.visit, return_to)
        return RedirectResponse(url, status_code=303, headers={"cache-control": "no-store"})

    async def callback(self, _desk: Desk, request: Request) -> Response:
        """Finish a consent and lead to a clean address at once, so that no code stays in one."""
        if request.method == "HEAD":  # it would use the state up and show nothing
            return Response(status_code=405, headers={"allow": "GET"})
        session = await self._signed_in(request)
        sent = read_callback(request.query_params, self._issuer)
        if sent is None:
            raise await self._misused(session, "malformed")
        outcome = await self._consents.finish(
            session.visit, sent.state, code=sent.code, error=sent.error
        )
        match outcome:
            case Done(return_to=return_to):
                return see(return_to)
            case AskWhich():
                return see(ACCOUNT_PATH)
            case NotDone(notice=notice):
                return see(f"{ACCOUNT_PATH}?notice={notice}")
            case Misused():
                raise await self._misused(session, "state")

    async def _signed_in(self, request: Request) -> SignedIn:
        session = await self._sessions.visitor(request)
        if session is None:
            raise Refused(NO_SESSION)
        return session

    async def _misused(self, session: SignedIn, why: str) -> Refused:
        log.warning("consent.misused", user_id=session.user_id, because=why)
        await self._audit.write(
            Entry(
                event="consent.misused",
                actor=f"user:{session.user_id}",
                user_id=session.user_id,
                detail={"because": why},
            )
        )
        return Refused(BAD_CALLBACK, session)


def read_callback(params: QueryParams, issuer: str) -> Callback | None:
    """Read the redirect's query, or None for what Procore would never send.

    Args:
        params: of the query; one that comes twice is believed neither time.
        issuer: `PROCORE_LOGIN_URL`; an `iss` (RFC 9207) of another server is a mix-up.
    """
    if any(len(params.getlist(name)) > 1 for name in ("state", "code", "error", "iss")):
        return None
    state, code, error = params.get("state"), params.get("code"), params.get("error")
    if (iss := params.get("iss")) is not None and iss.rstrip("/") != issuer:
        return None
    if not _is_plain(state, MAX_STATE_CHARACTERS) or (code is None) == (error is None):
        return None
    if code is not None and not _is_plain(code, MAX_CODE_CHARACTERS):
        return None
    return Callback(state or "", code, error)


def _is_plain(value: str | None, longest: int) -> bool:
    """Accept visible ASCII only: no line break, no zero byte, nothing outside."""
    return (
        value is not None
        and 0 < len(value) <= longest
        and all("!" <= letter <= "~" for letter in value)
    )


def oauth_routes(desk: Desk, authorizing: AuthorizeDesk) -> list[Route]:
    """Return the routes of the consent."""
    return [
        Route(AUTHORIZE_PATH, guarded(desk, authorizing.authorize), methods=["POST"]),
        Route(CALLBACK_PATH, guarded(desk, authorizing.callback), methods=["GET"]),
    ]
