"""What every page shares: templates, the person, the form, and refusals as an alert."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from html import unescape
from pathlib import Path
from typing import Any

import nh3
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from msgspec.structs import replace
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.procore.domain import directory
from sandbox.procore.domain.files import Incoming
from sandbox.procore.domain.people import Actor, Person, Project
from sandbox.procore.errors import NotFound, Refusal
from sandbox.procore.pages import sessions
from sandbox.procore.world import World

HERE = Path(__file__).parent
STATIC = HERE / "static"
TAGS = re.compile(r"<[^>]+>")


@dataclass(slots=True)
class Visit:
    """One request of a logged-in person."""

    world: World
    request: Request
    person: Person
    session: sessions.PageSession
    form: FormData = field(default_factory=FormData)

    @property
    def actor(self) -> Actor:
        return Actor(user_id=self.person.id)

    def number(self, name: str) -> int:
        """A number of the path; raises NotFound."""
        text = str(self.request.path_params.get(name, ""))
        if not text.isdigit():
            raise NotFound
        return int(text)

    def project(self) -> Project:
        return directory.project(self.world, self.actor, self.number("project_id"))

    def text(self, name: str) -> str:
        value = self.form.get(name)
        return value.strip() if isinstance(value, str) else ""

    def ids(self, name: str) -> tuple[int, ...]:
        return tuple(int(v) for v in self.form.getlist(name) if isinstance(v, str) and v.isdigit())

    def one_id(self, name: str) -> int | None:
        return next(iter(self.ids(name)), None)

    def on(self, name: str) -> date | None:
        try:
            return date.fromisoformat(self.text(name))
        except ValueError:
            return None

    def ticked(self, name: str) -> bool:
        return bool(self.form.get(name))

    async def files(self, name: str) -> tuple[Incoming, ...]:
        return tuple(
            [
                Incoming(
                    name=f.filename,
                    content_type=f.content_type or "application/octet-stream",
                    content=await f.read(),
                )
                for f in self.form.getlist(name)
                if isinstance(f, UploadFile) and f.filename
            ]
        )


Page = Callable[[Visit], Awaitable[Response | tuple[str, dict[str, Any]] | str]]


class Desk:
    """Turns pages and actions into endpoints."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._env = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True
        )
        self._env.filters.update(
            day=day, clock=clock, rich=rich, words=plain_words, kb=kilobytes, day_in=day_in
        )
        self._env.globals["person"] = lambda user_id: _name_of(world, user_id)

    def endpoint(
        self, page: Page, *, changes: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """A page returns a template and its values; an action returns where to go next."""

        async def answer(request: Request) -> Response:
            session = sessions.session_of(self.world, request)
            person = sessions.person_at(self.world, request)
            if session is None or person is None:
                return RedirectResponse(f"/login?next={request.url.path}", 303)
            visit = Visit(self.world, request, person, session)
            if not changes:
                return await self._show(visit, page)
            async with request.form(max_part_size=64 * 2**20) as form:
                visit.form = form
                return await self._change(visit, page)

        return answer

    async def _show(self, visit: Visit, page: Page) -> Response:
        try:
            shown = await page(visit)
        except Refusal as refusal:
            return self.render(visit, "refused.html", {"refusal": refusal}, refusal.status)
        if isinstance(shown, tuple):
            return self.render(visit, *shown)
        return shown if isinstance(shown, Response) else RedirectResponse(shown, 303)

    async def _change(self, visit: Visit, action: Page) -> Response:
        back = visit.text("back") or "/"
        if not back.startswith("/") or back.startswith("//"):
            back = "/"
        if not sessions.same_csrf(visit.session, visit.form.get("csrf")):
            self._flash(visit, "!This form is from an older page. Please try again.")
            return RedirectResponse(back, 303)
        try:
            shown = await action(visit)
        except Refusal as refusal:
            self._flash(visit, "!" + " ".join(refusal.words))
            return RedirectResponse(back, 303)
        if isinstance(shown, str):
            return RedirectResponse(shown, 303)
        return shown if isinstance(shown, Response) else self.render(visit, *shown)

    def _flash(self, visit: Visit, words: str) -> None:
        self.world.store.put(replace(visit.session, flash=words))

    def render(
        self, visit: Visit, template: str, values: dict[str, Any], status: int = 200
    ) -> Response:
        """Fill a template; words left by a refusal are shown once."""
        flash = visit.session.flash
        if flash:
            self.world.store.put(replace(visit.session, flash=""))
        html = self._env.get_template(template).render(
            me=visit.person,
            csrf=visit.session.csrf,
            flash=flash,
            path=visit.request.url.path,
            **values,
        )
        return HTMLResponse(html, status, {"cache-control": "no-store"})

    def render_outside(self, template: str, values: dict[str, Any], status: int = 200) -> Response:
        """Fill a template for somebody who is not logged in."""
        html = self._env.get_template(template).render(me=None, flash="", path="", **values)
        return HTMLResponse(html, status, {"cache-control": "no-store"})


def _name_of(world: World, user_id: int | None) -> str:
    if user_id is None:
        return "nobody"
    try:
        return directory.person(world, user_id).name
    except Refusal:
        return "somebody who left"


def paragraphs(text: str) -> str:
    """Plain words of a text box as the HTML that Procore's editor would have made."""
    blocks = [b.strip() for b in re.split(r"\n\s*\n", text.replace("\r\n", "\n")) if b.strip()]
    return "".join(f"<p>{Markup.escape(b).replace(chr(10), Markup('<br>'))}</p>" for b in blocks)


def plain_words(html: str) -> str:
    """HTML as words, for a text box or a line of a list."""
    text = re.sub(r"(?i)</p>\s*<p[^>]*>", "\n\n", html)
    text = re.sub(r"(?i)<br\s*/?>", "\n", text)
    return unescape(TAGS.sub("", text)).strip()


def rich(html: str) -> Markup:
    """HTML written in the editor or by an app, without what could run."""
    return Markup(nh3.clean(html))  # noqa: S704 - cleaned by nh3


def day(value: date | datetime | None) -> str:
    return value.strftime("%b %d, %Y") if value else "not set"


def day_in(value: date | None) -> str:
    return value.isoformat() if value else ""


def clock(value: datetime | None) -> str:
    return value.strftime("%b %d, %Y %H:%M UTC") if value else "not set"


def kilobytes(size: int) -> str:
    return f"{max(1, round(size / 1024))} KB"
