"""What every page shares: session, login, CSRF, templates, headers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from sqlite3 import Row
from typing import Any
from urllib.parse import quote

import nh3
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.part3.house import House
from sandbox.part3.pages import words
from sandbox.part3.people import ROLE_WORDS
from sandbox.part3.problems import Problem
from sandbox.part3.sessions import COOKIE, Session
from sandbox.part3.store import rfc3339

MAX_UPLOADS = 40
SAFE_TAGS = {
    *("p", "br", "div", "span", "b", "strong", "i", "em", "u", "s", "sub", "sup", "blockquote"),
    *("ul", "ol", "li", "a", "h1", "h2", "h3", "h4", "pre", "code", "hr"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PageRefused(Exception):  # noqa: N818  named for what happened
    """A page the person does not get; 404 also stands for "not yours"."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(title)
        self.status, self.title, self.text = status, title, text


FORGED = PageRefused(
    403, "This form is too old", "Go back, reload the page and send the form again."
)


def nothing_here() -> PageRefused:
    return PageRefused(
        404, "Page not found", "It does not exist, or it is not shared with your account."
    )


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request of a browser."""

    request: Request
    session: Session
    user: Row | None
    form: FormData = field(default_factory=FormData)

    def text(self, name: str) -> str:
        """A text field of the form, stripped; empty when it is not there."""
        value = self.form.get(name)
        return value.strip() if isinstance(value, str) else ""

    def uploads(self, name: str) -> list[UploadFile]:
        """Files chosen in a field; an empty chooser sends one without a name."""
        return [u for u in self.form.getlist(name) if isinstance(u, UploadFile) and u.filename]

    @property
    def who(self) -> Row:
        if self.user is None:
            raise PageRefused(401, "Please log in", "This page needs you to be logged in.")
        return self.user

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def safe_html(value: str | None) -> Markup:
    """HTML from elsewhere with only harmless tags left; cleaned before is no proof."""
    cleaned = nh3.clean(
        value or "",
        tags=SAFE_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer",
    )
    return Markup(cleaned)  # noqa: S704  nh3 has just cleaned it


def templates() -> Environment:
    env = Environment(
        loader=PackageLoader("sandbox.part3"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "day": words.day,
        "moment": words.moment,
        "file_size": words.file_size,
        "initials": words.initials,
        "safe_html": safe_html,
        "disposition": words.disposition_words,
        "extra_lines": words.extra_lines,
        "micros": rfc3339,
    }
    env.globals |= {
        "STATUS_WORDS": words.STATUS_WORDS,
        "DISPOSITION_WORDS": words.DISPOSITION_WORDS,
        "KIND_WORDS": words.KIND_WORDS,
        "ROLE_WORDS": ROLE_WORDS,
    }
    return env


def own_path(value: str | None, default: str = "/projects") -> str:
    """A path of this site to go on to; anything that could lead elsewhere becomes the default."""
    ok = value and value.startswith("/") and not value.startswith(("//", "/\\"))
    return value if ok and value and value.isprintable() else default


class Frame:
    def __init__(self, house: House) -> None:
        self.house = house
        self._templates = templates()

    def render(self, visit: Visit, template: str, *, status: int = 200, **context: Any) -> Response:
        # a page that only looks whether something moved does not use up what is said once
        looking = "x-live" in visit.request.headers
        flash = None if looking else self.house.sessions.take_flash(visit.session)
        html = self._templates.get_template(template).render(
            user=visit.user,
            csrf=visit.session.csrf,
            flash=flash,
            path=visit.request.url.path,
            **context,
        )
        return HTMLResponse(html, status_code=status)

    def go(self, visit: Visit, path: str, say: str | None = None) -> Response:
        """Redirect after a form, with what the next page says once."""
        if say:
            self.house.sessions.set_flash(visit.session, say)
        return RedirectResponse(path, status_code=303)

    def open(self, handler: Handler) -> Endpoint:
        """A page for everybody."""
        return self._wrap(handler, login=False)

    def closed(self, handler: Handler) -> Endpoint:
        """A page for people who are logged in."""
        return self._wrap(handler, login=True)

    def _wrap(self, handler: Handler, *, login: bool) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            sessions = self.house.sessions
            session = sessions.find(request.cookies.get(COOKIE)) or sessions.open()
            user = self.house.people.user(session.user_id) if session.user_id else None
            response = await self._answer(
                handler, Visit(request=request, session=session, user=user), login=login
            )
            if session.is_new and "set-cookie" not in response.headers:
                sessions.put_cookie(response, session)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return endpoint

    async def _answer(self, handler: Handler, visit: Visit, *, login: bool) -> Response:
        request = visit.request
        if login and visit.user is None:
            back = quote(request.url.path) if request.method == "GET" else "/projects"
            return RedirectResponse(f"/login?next={back}", status_code=303)
        try:
            if request.method != "POST":
                return await handler(visit)
            async with request.form(max_files=MAX_UPLOADS) as form:
                posted = Visit(request=request, session=visit.session, user=visit.user, form=form)
                if not visit.session.accepts(posted.text("csrf")):
                    return self.refuse(visit, FORGED)
                return await handler(posted)
        except PageRefused as refused:
            return self.refuse(visit, refused)
        except Problem as problem:
            return self.refuse(visit, PageRefused(problem.status, "Not found", problem.detail))

    def refuse(self, visit: Visit, refused: PageRefused) -> Response:
        return self.render(
            visit, "refused.html", status=refused.status, title=refused.title, text=refused.text
        )
