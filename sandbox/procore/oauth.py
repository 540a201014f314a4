"""The login host: authorize, token, token info, revoke. Behaviours 1 to 8 of docs/stand-ins.md."""

from pathlib import Path
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.procore.domain import accounts
from sandbox.procore.domain.accounts import App, OAuthRefusal
from sandbox.procore.pages import sessions
from sandbox.procore.rest.answers import json_response
from sandbox.procore.rest.call import read_body
from sandbox.procore.rest.gate import Endpoint, Gate, Note, Unauthorized
from sandbox.procore.world import World

HERE = Path(__file__).parent
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


class LoginHost:
    """Endpoints over one world."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world = world
        self._gate = gate
        folders = [HERE / "templates", HERE / "pages" / "templates"]
        self._env = Environment(loader=FileSystemLoader(folders), autoescape=True)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/oauth/authorize", self._noted(self.ask), methods=["GET"]),
            Route("/oauth/authorize", self._noted(self.decide), methods=["POST"]),
            Route("/oauth/token", self._noted(self.token), methods=["POST"]),
            Route("/oauth/token/info", self._noted(self.info), methods=["GET"]),
            Route("/oauth/revoke", self._noted(self.revoke), methods=["POST"]),
        ]

    def _noted(self, serve: "Endpoint") -> Endpoint:
        """In the ledger and under the faults, as every call; bodies with secrets are not kept."""

        async def endpoint(request: Request) -> Response:
            async def perform(_note: Note) -> Response:
                return await serve(request)

            return await self._gate.guarded(request, perform)

        return endpoint

    async def ask(self, request: Request) -> Response:
        """The consent page, after a login."""
        query = request.query_params
        try:
            app = self._asking(dict(query))
        except OAuthRefusal as refusal:
            return self._page("refused_app.html", refusal.status, refusal=refusal)
        person = sessions.person_at(self.world, request)
        if person is None:
            back = f"{request.url.path}?{request.url.query}"
            return RedirectResponse(f"/login?next={quote(back, safe='')}", 303)
        session = sessions.session_of(self.world, request)
        return self._page(
            "consent.html",
            app=app,
            person=person,
            csrf=session.csrf if session else "",
            redirect_uri=query["redirect_uri"],
            state=query.get("state", ""),
            code_challenge=query.get("code_challenge", ""),
        )

    def _asking(self, given: dict[str, str]) -> App:
        if given.get("response_type", "code") != "code":
            raise OAuthRefusal(
                "unsupported_response_type",
                "The authorization server does not support this response type.",
            )
        return accounts.app_for_authorize(
            self.world, given.get("client_id", ""), given.get("redirect_uri", "")
        )

    async def decide(self, request: Request) -> Response:
        """Allow or Deny: back to the app with a code or an error."""
        async with request.form() as form:
            given = {k: v for k, v in form.items() if isinstance(v, str)}
        try:
            app = self._asking(given)
        except OAuthRefusal as refusal:
            return self._page("refused_app.html", refusal.status, refusal=refusal)
        session = sessions.session_of(self.world, request)
        person = sessions.person_at(self.world, request)
        if session is None or person is None:
            return RedirectResponse("/login", 303)
        if not sessions.same_csrf(session, given.get("csrf")):
            stale = OAuthRefusal("invalid_request", "The form is from an older page.", 403)
            return self._page("refused_app.html", 403, refusal=stale)
        if given.get("decision") == "switch":
            return _to_another_login(given)
        redirect_uri = given["redirect_uri"]
        if given.get("decision") != "allow":
            answer = {
                "error": "access_denied",
                "error_description": "The resource owner or authorization server denied the "
                "request.",
            }
        else:
            challenge = given.get("code_challenge")
            code = accounts.issue_code(self.world, app, person, redirect_uri, challenge)
            answer = {"code": code}
        if redirect_uri == OUT_OF_BAND:
            return self._page("code.html", code=answer.get("code", "denied"), app=app)
        if state := given.get("state"):
            answer["state"] = state
        joint = "&" if "?" in redirect_uri else "?"
        return RedirectResponse(f"{redirect_uri}{joint}{urlencode(answer)}", 302)

    def _page(self, template: str, status: int = 200, **values: object) -> Response:
        shown = self._env.get_template(template).render(me=None, flash="", path="", **values)
        return HTMLResponse(shown, status, {"cache-control": "no-store"})

    async def token(self, request: Request) -> Response:
        """Three grant types, three body encodings."""
        body, _, _ = await read_body(request)
        given = {k: str(v) for k, v in body.items() if v is not None}
        app = accounts.authenticated_app(
            self.world, given.get("client_id", ""), given.get("client_secret", "")
        )
        match given.get("grant_type"):
            case "authorization_code":
                answer = accounts.redeem_code(
                    self.world,
                    app,
                    given.get("code", ""),
                    given.get("redirect_uri", ""),
                    given.get("code_verifier", ""),
                )
            case "refresh_token":
                answer = accounts.redeem_refresh_token(
                    self.world, app, given.get("refresh_token", "")
                )
            case "client_credentials":
                answer = accounts.issue_to_service_account(self.world, app)
            case _:
                raise OAuthRefusal(
                    "unsupported_grant_type",
                    "The authorization grant type is not supported by the authorization server.",
                )
        return json_response(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    async def info(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("The access token is invalid")
        grant = accounts.living_grant(self.world, token.strip())
        left = grant.expires_at - self.world.now()
        return json_response(
            {
                "resource_owner_id": grant.user_id,
                "scopes": [],
                "expires_in_seconds": int(left.total_seconds()),
                "application": {"uid": grant.client_id},
                "created_at": int(grant.created_at.timestamp()),
            }
        )

    async def revoke(self, request: Request) -> Response:
        """200 for garbage as well, but not for an app that cannot prove itself."""
        body, _, _ = await read_body(request)
        app = accounts.authenticated_app(
            self.world, str(body.get("client_id", "")), str(body.get("client_secret", ""))
        )
        accounts.revoke(self.world, app, str(body.get("token", "")))
        return json_response({})


def _to_another_login(given: dict[str, str]) -> Response:
    """Log out at this browser, log in as somebody else and come back to the question."""
    asked = ("client_id", "redirect_uri", "state", "code_challenge")
    back = "/oauth/authorize?" + urlencode(
        {"response_type": "code", **{name: given.get(name, "") for name in asked}}
    )
    response = RedirectResponse(f"/login?next={quote(back, safe='')}", 303)
    sessions.end(response)
    return response
