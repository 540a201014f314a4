"""Procore's OAuth endpoints: where people consent, and how tokens are got, renewed and revoked.

The only module that imports authlib, for URL building and PKCE alone: its own client would keep
refresh tokens and retry. Every call runs on a connection of its own and is sent exactly once, since
a refresh token is spent even when the answer is lost.
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias, TypeGuard

import httpx2
import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from services.errors import TryLater
from services.procore.counting import Observe, unobserved
from services.procore.waiting import seconds_to_wait
from services.settings import Secret

TOKEN, REVOKE = "/oauth/token", "/oauth/revoke"
CONNECT_TIMEOUT_S = 5.0
LAST_LOOK_S = 0.5
REVOKE_TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 65_536
MAX_TOKEN_CHARACTERS = 16_384
LONGEST_LIFETIME_S = 86_400.0
LIFETIME_WHEN_UNSAID_S = 900.0  # the shortest one Procore has announced
OK: Final = 200
BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500
UNAVAILABLE: Final = 503
NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.ProxyError,
)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What Procore gave: two secrets, and for how many seconds the access token lasts."""

    access_token: Secret
    refresh_token: Secret
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Given:
    """Procore gave a pair. Whatever was presented is spent.

    Attributes:
        lifetime_was_odd: `expires_in` was no positive number, and a short one was assumed.
    """

    pair: TokenPair
    lifetime_was_odd: bool = False
    word: ClassVar[str] = "given"


@dataclass(frozen=True, slots=True)
class InvalidGrant:
    """Procore does not know the code or refresh token, or not any more."""

    word: ClassVar[str] = "invalid_grant"


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing left the house, so nothing is spent."""

    because: str
    word: ClassVar[str] = "not_sent"


@dataclass(frozen=True, slots=True)
class NotProcessed:
    """Procore answered without looking at the token: busy, or our client settings are wrong.

    Attributes:
        wait_s: how long Procore asks to wait, or None.
    """

    because: str
    wait_s: float | None = None
    word: ClassVar[str] = "not_processed"


@dataclass(frozen=True, slots=True)
class Unknown:
    """It was sent, and whether the token is spent cannot be told."""

    because: str
    word: ClassVar[str] = "unknown"


TokenAnswer: TypeAlias = Given | InvalidGrant | NotSent | NotProcessed | Unknown


class ProcoreOAuth:
    """The three OAuth endpoints on the login host.

    Args:
        login_url: `PROCORE_LOGIN_URL`, which is not the API's host.
        redirect_uri: registered at Procore, character for character.
        deadline_s: longest wait for an answer of the token endpoint.
        pkce: whether to send a S256 challenge; Procore says nothing about it and ignores it.
        observe: told each call that was answered, for the metrics.
    """

    def __init__(
        self,
        *,
        login_url: str,
        client_id: str,
        client_secret: Secret,
        redirect_uri: str,
        deadline_s: float,
        pkce: bool = True,
        observe: Observe = unobserved,
    ) -> None:
        self.login_url = login_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._deadline_s = deadline_s
        self._pkce = pkce
        self._observe = observe

    def authorize_url(self, state: str, code_verifier: str) -> str:
        """Return where a person logs in at Procore and consents."""
        more = (
            {
                "code_challenge": create_s256_code_challenge(code_verifier),
                "code_challenge_method": "S256",
            }
            if self._pkce
            else {}
        )
        url: str = prepare_grant_uri(
            f"{self.login_url}/oauth/authorize",
            self._client_id,
            "code",
            redirect_uri=self._redirect_uri,
            state=state,
            **more,
        )
        return url

    async def exchange(self, code: Secret, code_verifier: str) -> TokenAnswer:
        """Spend an authorization code."""
        form = {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "redirect_uri": self._redirect_uri,
        }
        if self._pkce:
            form["code_verifier"] = code_verifier
        return await self._ask(form)

    async def renew(self, refresh_token: Secret) -> TokenAnswer:
        """Spend a refresh token. Never call it twice for the same one without thinking."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token.reveal(),
            "redirect_uri": self._redirect_uri,
        }
        return await self._ask(form)

    async def revoke(self, token: Secret) -> None:
        """End an access token together with its refresh token; an unknown one is fine.

        Raises:
            TryLater: Procore does not answer.
        """
        try:
            async with asyncio.timeout(REVOKE_TIMEOUT_S), self._client(REVOKE_TIMEOUT_S) as client:
                answer = await client.post(
                    self.login_url + REVOKE,
                    data=self._credentials | {"token": token.reveal()},
                )
        except (httpx2.HTTPError, TimeoutError) as error:
            message = f"Procore did not answer the revocation ({type(error).__name__})"
            raise TryLater(message, reason="procore_down") from None
        self._observe("POST", REVOKE, "", None, answer.status_code)
        if answer.status_code != OK:
            message = f"Procore answered the revocation with {answer.status_code}"
            raise TryLater(message, reason="procore_down")

    @property
    def _credentials(self) -> dict[str, str]:
        return {"client_id": self._client_id, "client_secret": self._client_secret.reveal()}

    def _client(self, read_s: float | None) -> httpx2.AsyncClient:
        """Return a client for one call: a kept connection may die with our request in it."""
        return httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(retries=0),
            timeout=httpx2.Timeout(read_s, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=False,
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )

    async def _ask(self, form: Mapping[str, str]) -> TokenAnswer:
        """Send a form once and read the answer within the deadline.

        A process that stood still past its deadline (a frozen machine, SIGSTOP) finds its timer
        run out and the answer in its socket at the same moment: the answer is looked for once more
        before it is called lost, as it may hold the only copy of a new pair.
        """
        last_look_s = min(LAST_LOOK_S, self._deadline_s / 4)
        asking = asyncio.create_task(self._send(form), name="token_endpoint")
        try:
            for wait_s in (self._deadline_s - last_look_s, last_look_s):
                done, _ = await asyncio.wait([asking], timeout=wait_s)
                if done:
                    return asking.result()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        return Unknown("TimeoutError")

    async def _send(self, form: Mapping[str, str]) -> TokenAnswer:
        try:
            async with self._client(read_s=None) as client:
                request = client.build_request(
                    "POST", self.login_url + TOKEN, data={**form, **self._credentials}
                )
                answer = await client.send(request, stream=True)
                try:
                    body = await _limited(answer)
                finally:
                    await answer.aclose()
        except NEVER_SENT as error:
            return NotSent(type(error).__name__)
        except httpx2.HTTPError as error:
            return Unknown(type(error).__name__)
        self._observe("POST", TOKEN, "", None, answer.status_code)
        return read_token_answer(answer.status_code, answer.headers, body)


async def _limited(answer: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    return bytes(body)


def read_token_answer(status: int, headers: Mapping[str, str], body: bytes) -> TokenAnswer:
    """Sort an answer of the token endpoint by what it says about the token that was sent.

    A 200 that is not a whole pair is `Unknown`: the token is probably spent, and a good grant must
    not be replaced by half a one. Source: Procore, OAuth endpoints; RFC 6749, 5.
    """
    if status == OK:
        return _read_pair(body)
    if status in (BAD_REQUEST, UNAUTHORIZED) and _error_word(body) == "invalid_grant":
        return InvalidGrant()
    if status in (TOO_MANY_REQUESTS, UNAVAILABLE):
        return NotProcessed(f"status {status}", seconds_to_wait(headers))
    if status >= SERVER_ERROR:
        return Unknown(f"status {status}")
    return NotProcessed(f"status {status}")


def _error_word(body: bytes) -> str | None:
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    word = content.get("error") if isinstance(content, dict) else None
    return word if isinstance(word, str) else None


def _read_pair(body: bytes) -> TokenAnswer:
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unknown("the answer is no JSON")
    if not isinstance(content, dict):
        return Unknown("the answer is no object")
    access, refresh = content.get("access_token"), content.get("refresh_token")
    if not (_is_token(access) and _is_token(refresh)):
        return Unknown("the answer lacks a token")
    kind = content.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return Unknown("the token is no bearer token")
    lasts_s = _lifetime(content.get("expires_in"))
    pair = TokenPair(Secret(access), Secret(refresh), lasts_s or LIFETIME_WHEN_UNSAID_S)
    return Given(pair, lifetime_was_odd=lasts_s is None)


def _is_token(value: Any) -> TypeGuard[str]:
    """Accept what can travel in a header: visible ASCII, of a sane length."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_TOKEN_CHARACTERS
        and all("!" <= letter <= "~" for letter in value)
    )


def _lifetime(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value <= 0:
        return None
    return min(float(value), LONGEST_LIFETIME_S)
