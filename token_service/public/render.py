"""Turn a template and values into a page: escaped, uncached, never framed, with no inline code.

Every answer that a person sees goes through `Pages`, so the headers that protect people are set
in one place and no handler can forget them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from token_service.public import wording

STATIC_TYPES = {
    "pages.css": "text/css; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
    "tick.svg": "image/svg+xml",
    "cross.svg": "image/svg+xml",
    "dash.svg": "image/svg+xml",
}
PROCORE_DOMAIN = "procore.com"


class Viewer(Protocol):
    """Who looks at a page, as the session knows them."""

    @property
    def name(self) -> str:
        """Their name in Part3."""

    @property
    def email(self) -> str:
        """Their address in Part3."""

    @property
    def csrf_token(self) -> str:
        """What every form of theirs must carry in `csrf_token`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a page cannot be shown, in plain words, and what the reader can do about it."""

    status: int
    title: str
    message: str
    next_step: str


NO_SESSION = Refusal(
    401,
    "Come in from Part3",
    "We don't know who you are: you are not signed in here, or your visit has timed out.",
    "Go back to Part3 and open Integrations from there. It brings you here signed in.",
)
BAD_LAUNCH = Refusal(
    401,
    "This link can't be used",
    "The link that brought you here is too old, has been used already, or isn't one of ours.",
    "Go back to Part3 and open Integrations again. Each link works once, for a minute.",
)
NOT_FOUND = Refusal(
    404,
    "Nothing here for you",
    "There is no such page, or you are not a member of the project it belongs to.",
    "Check the address, or ask whoever runs the project in Part3 to add you to its team.",
)
BAD_FORM = Refusal(
    403,
    "This form wasn't sent from your own page",
    "To protect you, nothing was done: the form is too old or came from somewhere else.",
    "Open the page again and press the button there.",
)
NOT_PROVEN = Refusal(
    403,
    "Come in from Part3 once more",
    "You came in over an hour ago. Before anything is connected, disconnected, removed or agreed "
    "on, Part3 has to say again that it is you. Nothing was done.",
    "Go back to Part3, open Integrations from there, and press the button again.",
)
PART3_DOWN = Refusal(
    503,
    "Part3 can't be reached",
    "We ask Part3 who is on the project, and Part3 isn't answering right now. Nothing was changed.",
    "Wait a moment and load this page again.",
)
PROCORE_DOWN = Refusal(
    503,
    "Procore can't be reached",
    "Procore isn't answering right now. Nothing was changed.",
    "Wait a moment and load this page again.",
)
PROCORE_BUSY = Refusal(
    503,
    "Procore asks us to wait",
    "Procore limits how often it may be asked under your authorization, and that limit is reached "
    "for now. Nothing was changed.",
    "Wait a minute and load this page again. It can take up to an hour when much was transferred.",
)
STORE_DOWN = Refusal(
    503,
    "We can't look this up right now",
    "Our own records are out of reach for a moment. Nothing was changed.",
    "Wait a moment and load this page again.",
)
BROKEN = Refusal(
    500,
    "Something went wrong on our side",
    "The page could not be made. The fault has been written down for us to look at.",
    "Load the page again. If it happens twice, tell whoever runs the connector when it happened.",
)


def form_targets(login_url: str) -> str:
    """Return the CSP sources a form may lead to: ourselves, and Procore's login after Authorize.

    Browsers check `form-action` on every redirect that follows a form, and Procore sends people
    of some regions to another host of its own.
    """
    login = urlsplit(login_url)
    sources = ["'self'", f"{login.scheme}://{login.netloc}"]
    if (login.hostname or "").endswith(f".{PROCORE_DOMAIN}"):
        sources.append(f"https://*.{PROCORE_DOMAIN}")
    return " ".join(sources)


def security_headers(login_url: str) -> Mapping[str, str]:
    """Return the headers of every page. `login_url` is `PROCORE_LOGIN_URL`."""
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        f"connect-src 'self'; form-action {form_targets(login_url)}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        # not no-referrer: with that, browsers send `Origin: null` with our own forms
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
    }


class Pages:
    """All templates, and the headers that go with every page."""

    def __init__(self, *, part3_origin: str, login_url: str) -> None:
        self._headers = security_headers(login_url)
        self._static = {
            name: (resources.files("token_service.public") / "static" / name).read_bytes()
            for name in STATIC_TYPES
        }
        self._environment = Environment(
            loader=PackageLoader("token_service.public"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(part3_origin=part3_origin, static=self._static_url)
        self._environment.filters.update(wording.FILTERS)

    def page(
        self, template: str, viewer: Viewer | None, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Render a page for `viewer`; `values` are escaped wherever the template puts them."""
        html = self._environment.get_template(template).render(viewer=viewer, **values)
        return HTMLResponse(html, status_code=status, headers=dict(self._headers))

    def refuse(
        self, refusal: Refusal, viewer: Viewer | None = None, *, back: str | None = None
    ) -> HTMLResponse:
        """Render a refusal with its status. `back` is a path of our own to lead people to."""
        answer = self.page("error.html", viewer, status=refusal.status, refusal=refusal, back=back)
        if refusal.status == PART3_DOWN.status:
            answer.headers["retry-after"] = "10"
        return answer

    def static_route(self) -> Route:
        """Return the route that serves the style sheet, the script and the mark."""
        return Route("/static/{name}", self._serve_static, methods=["GET"])

    def _static_url(self, name: str) -> str:
        digest = hashlib.sha256(self._static[name]).hexdigest()[:12]
        return f"/static/{name}?v={digest}"

    async def _serve_static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            return self.refuse(NOT_FOUND)
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
        }
        return Response(self._static[name], media_type=STATIC_TYPES[name], headers=headers)
