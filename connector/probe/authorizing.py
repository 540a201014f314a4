"""A person's authorization from a command line: a link, then the code, pasted or caught.

Procore allows `urn:ietf:wg:oauth:2.0:oob` for programs without a page: it shows the code. It allows
plain http for localhost, where this listens by itself. With any other registered address the person
pastes the one that the browser ended at. Source: Procore's documentation,
`api_essentials/troubleshooting.md`.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx2

from connector.probe.person import Person
from connector.probe.wire import Faulty, Seen, Session, seen_of
from services.procore.oauth import ProcoreOAuth
from services.settings import Secret

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
LOOPBACK = ("localhost", "127.0.0.1")
CATCH_S = 600.0  # a code lives as long
EXCHANGE_S = 60.0
ROLES = {
    "the first person": "an Admin of the project's RFIs and Submittals tools",
    "the second person": "another member of the project",
}
PAGE = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    "Done. Go back to the terminal; this page may be closed.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The app as it is registered at Procore."""

    login_url: str
    api_url: str
    client_id: str
    client_secret: Secret
    redirect_uri: str

    def oauth(self) -> ProcoreOAuth:
        """Return the client of its login host."""
        return ProcoreOAuth(
            login_url=self.login_url,
            client_id=self.client_id,
            client_secret=self.client_secret,
            redirect_uri=self.redirect_uri,
            deadline_s=EXCHANGE_S,
        )


async def authorize(app: App, person: Person, http: httpx2.AsyncClient, label: str) -> Session:
    """Have somebody authorize, and return their session.

    Raises:
        Faulty: they did not, or Procore did not take the code.
    """
    verifier = secrets.token_urlsafe(48)
    code = await ask_for_code(app, person, label, verifier)
    answer = await asked_for_tokens(
        app,
        http,
        grant_type="authorization_code",
        code=code.reveal(),
        redirect_uri=app.redirect_uri,
        code_verifier=verifier,
    )
    access, refresh = tokens_in(answer)
    return Session(http, app.api_url, label, access, refresh)


async def ask_for_code(app: App, person: Person, label: str, verifier: str) -> Secret:
    """Show the link and return the code that Procore gave for it. Raises Faulty."""
    state = secrets.token_urlsafe(24)
    person.say(f"Open this link, logged in at Procore as {label} ({ROLES[label]}), and allow:")
    person.say(f"  {app.oauth().authorize_url(state, verifier)}")
    parts = urlsplit(app.redirect_uri)
    if parts.scheme == "http" and parts.hostname in LOOPBACK and parts.port:
        return code_in(await _caught(parts.hostname, parts.port, parts.path), state)
    what = "the code that is shown" if app.redirect_uri == OUT_OF_BAND else "the whole address"
    return code_in(await person.ask(f"Paste {what}"), state)


def code_in(pasted: str, state: str) -> Secret:
    """Return the code of what was pasted: itself, or an address whose state is ours.

    Raises:
        Faulty: there is none, access was denied, or the address is of another attempt.
    """
    pasted = pasted.strip()
    if "?" not in pasted:
        if not pasted:
            raise Faulty("no code was given")
        return Secret(pasted)
    query = parse_qs(urlsplit(pasted).query)
    if "error" in query:
        raise Faulty(f"Procore says {query['error'][0]}")
    if query.get("state") != [state]:
        raise Faulty("that address is of another attempt: its state is not ours")
    if not query.get("code"):
        raise Faulty("that address holds no code")
    return Secret(query["code"][0])


async def _caught(host: str, port: int, path: str) -> str:
    """Listen once where Procore sends the browser; return the address it came with."""
    came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode("ascii", "replace").split(" ")
        writer.write(PAGE.encode())
        await writer.drain()
        writer.close()
        if len(line) > 1 and line[1].partition("?")[0] == (path or "/") and not came.done():
            came.set_result(line[1])

    async with await asyncio.start_server(serve, host, port):
        try:
            return await asyncio.wait_for(came, CATCH_S)
        except TimeoutError as error:
            raise Faulty(
                f"nobody came back to port {port} within {CATCH_S / 60:.0f} min"
            ) from error


async def asked_for_tokens(app: App, http: httpx2.AsyncClient, **form: str) -> Seen:
    """Send one request to the token endpoint, once, as the app. Raises Faulty."""
    answer = await _posted(app, http, "/oauth/token", form)
    return seen_of(answer, f"POST /oauth/token ({form.get('grant_type')})")


def tokens_in(answer: Seen) -> tuple[Secret, Secret]:
    """Return the access and the refresh token. Raises Faulty."""
    body = answer.body if isinstance(answer.body, dict) else {}
    access, refresh = body.get("access_token"), body.get("refresh_token")
    if not answer.ok or not isinstance(access, str) or not isinstance(refresh, str):
        raise Faulty(answer.line)
    return Secret(access), Secret(refresh)


async def end(app: App, session: Session) -> bool:
    """Revoke a session's tokens, the older ones too; tell whether Procore took all of it."""
    # both of a pair are named, as an access token that has ended may stand for nothing any more
    tokens = (session.refresh_token, session.access_token, *session.older)
    return all([await _revoked(app, session, one) for one in tokens])


async def _revoked(app: App, session: Session, token: Secret) -> bool:
    try:
        answer = await _posted(app, session.http, "/oauth/revoke", {"token": token.reveal()})
    except Faulty:
        return False
    return answer.is_success


async def _posted(
    app: App, http: httpx2.AsyncClient, path: str, form: Mapping[str, str]
) -> httpx2.Response:
    credentials = {"client_id": app.client_id, "client_secret": app.client_secret.reveal()}
    try:
        return await http.post(
            f"{app.login_url}{path}", data={**credentials, **form}, timeout=EXCHANGE_S
        )
    except httpx2.HTTPError as error:
        raise Faulty(f"POST {path}: {type(error).__name__}") from error
