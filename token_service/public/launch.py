"""`GET /launch`: Part3 sends a person in with a signed token; we give them a visit of their own."""

import time
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.service_tokens import BadToken, verify_launch_token
from services.settings import KeyRing
from token_service.audit import Audit, Entry
from token_service.public.entry import Desk, Refused, guarded, own_path, see
from token_service.public.pages.account import PATH as ACCOUNT_PATH
from token_service.public.render import BAD_LAUNCH
from token_service.public.sessions import SessionStore

log = structlog.get_logger()


class LaunchPad:
    """Takes launch tokens, each once."""

    def __init__(
        self,
        keys: KeyRing,
        sessions: SessionStore,
        audit: Audit,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._audit = audit
        self._now = now

    async def launch(self, _desk: Desk, request: Request) -> Response:
        """Begin a visit and lead to `next`, or refuse with 401."""
        if request.method == "HEAD":  # a link preview must not use the token up
            return Response(status_code=405, headers={"allow": "GET"})
        tokens = request.query_params.getlist("token")
        try:
            launch = verify_launch_token(
                self._keys, tokens[0] if len(tokens) == 1 else "", now=self._now
            )
        except BadToken as error:
            log.warning("launch.refused", because=str(error))
            raise Refused(BAD_LAUNCH) from error
        secret = await self._sessions.begin(
            launch,
            replaced=self._sessions.sent_cookie(request),
            token_lasts_s=launch.expires_at - self._now(),
        )
        if secret is None:
            log.warning("launch.refused", because="it has been used already")
            raise Refused(BAD_LAUNCH)
        await self._audit.write(
            Entry(event="visit.begun", actor=f"user:{launch.user_id}", user_id=launch.user_id)
        )
        answer = see(own_path(request.query_params.get("next")) or ACCOUNT_PATH)
        self._sessions.set_cookie(answer, secret)
        return answer


def launch_routes(desk: Desk, pad: LaunchPad) -> list[Route]:
    """Return the route that Part3 leads to."""
    return [Route("/launch", guarded(desk, pad.launch), methods=["GET"])]
