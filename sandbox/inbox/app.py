"""The inbox as one ASGI application: an SMTP receiver beside pages and JSON."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import nh3
from aiosmtpd.smtp import SMTP, Envelope, Session
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.inbox.store import Mail, Mailbox

MAX_MESSAGE_BYTES = 25 * 1024 * 1024
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " img-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    data: Path
    host: str = "127.0.0.1"
    http_port: int = 8025
    smtp_port: int = 1025


class Receiver:
    """aiosmtpd's handler: every message for everybody is taken and kept."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(  # noqa: N802  aiosmtpd finds it by this name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        number = self._mailbox.add(envelope.mail_from or "", list(envelope.rcpt_tos), raw)
        return f"250 OK kept as {number}"


def _message_html(mail: Mail) -> Markup:
    """The message's own HTML with only harmless tags left, links included."""
    return Markup(nh3.clean(mail.html))  # noqa: S704  nh3 has just cleaned it


class Pages:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._templates = Environment(loader=PackageLoader("sandbox.inbox"), autoescape=True)

    def _render(self, template: str, **context: Any) -> Response:
        html = self._templates.get_template(template).render(**context)
        return HTMLResponse(html, headers=HEADERS)

    def _mail(self, request: Request) -> Mail:
        mail = self._mailbox.find(request.path_params["message_id"])
        if mail is None:
            raise HTTPException(404, "There is no such message.")
        return mail

    async def messages(self, request: Request) -> Response:
        to = request.query_params.get("to")
        return self._render("messages.html", mails=self._mailbox.newest_first(to), to=to)

    async def message(self, request: Request) -> Response:
        mail = self._mail(request)
        body = _message_html(mail) if mail.html else None
        return self._render("message.html", mail=mail, body=body)

    async def raw(self, request: Request) -> Response:
        raw = self._mailbox.raw(self._mail(request).id) or b""
        return PlainTextResponse(raw.decode(errors="replace"), headers=HEADERS)

    async def api_messages(self, request: Request) -> Response:
        mails = self._mailbox.newest_first(request.query_params.get("to"))
        return JSONResponse({"messages": [mail.as_json() for mail in mails]})

    async def api_message(self, request: Request) -> Response:
        return JSONResponse(self._mail(request).as_json())

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def routes(self) -> list[Route]:
        return [
            Route("/", self.messages),
            Route("/messages/{message_id:int}", self.message),
            Route("/messages/{message_id:int}/raw", self.raw),
            Route("/api/messages", self.api_messages),
            Route("/api/messages/{message_id:int}", self.api_message),
            Route("/_sandbox/health", self.health),
        ]


def build_app(settings: Settings) -> Starlette:
    """Pages and JSON; the SMTP port is open while the application's lifespan runs."""
    mailbox = Mailbox(settings.data)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(
                Receiver(mailbox),
                data_size_limit=MAX_MESSAGE_BYTES,
                enable_SMTPUTF8=True,
                ident="Sandbox inbox",
            ),
            settings.host,
            settings.smtp_port,
        )
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()
            mailbox.close()

    static = str(resources.files("sandbox.inbox").joinpath("static"))
    routes = [*Pages(mailbox).routes(), Mount("/static", app=StaticFiles(directory=static))]
    return Starlette(routes=routes, lifespan=lifespan)
