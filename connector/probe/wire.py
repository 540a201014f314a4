"""Calls on Procore as they are: the answer is looked at, not judged. No call is sent twice."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from services.procore.errors import words_of
from services.procore.waiting import seconds_to_wait
from services.settings import Secret

TOO_MANY = 429
LONGEST_WAIT_S = 120.0
TIMEOUT_S = 60.0


class Faulty(Exception):  # noqa: N818 - says what happened
    """An answer that the question cannot go on with."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer of Procore's."""

    call: str
    status: int
    headers: Mapping[str, str]
    body: Any  # JSON, else None
    words: str  # what an error says, else empty

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's success

    @property
    def line(self) -> str:
        """One line of evidence."""
        return f"{self.call}: {self.status}" + ("" if self.ok else f" {self.words}")

    def object(self) -> dict[str, Any]:
        """Return the object, without v2's envelope. Raises Faulty."""
        body = self.body
        if isinstance(body, dict) and isinstance(body.get("data"), dict):
            body = body["data"]
        if not self.ok or not isinstance(body, dict):
            raise Faulty(self.line)
        return body

    def items(self) -> list[dict[str, Any]]:
        """Return the listed objects, without v2's envelope. Raises Faulty."""
        body = self.body.get("data") if isinstance(self.body, dict) else self.body
        if not self.ok or not isinstance(body, list):
            raise Faulty(self.line)
        return [one for one in body if isinstance(one, dict)]


@dataclass
class Session:
    """One person at Procore, with the tokens of this run.

    Attributes:
        label: "the first person" or "the second person".
        older: access tokens that a refresh replaced; they may live on until they expire.
        limits: the rate limits seen: how many calls in about how many seconds.
    """

    http: httpx2.AsyncClient
    api_url: str
    label: str
    access_token: Secret
    refresh_token: Secret
    company_id: str = ""
    user_id: str = ""
    older: list[Secret] = field(default_factory=list)
    limits: set[tuple[int, int]] = field(default_factory=set)

    async def call(
        self,
        method: str,
        path: str,
        *,
        company: bool = True,
        token: Secret | None = None,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Seen:
        """Make one call; a 429 is waited out and sent again, as it had no effect.

        Args:
            method: GET, POST, …
            path: on the API host.
            company: whether to name the company in the header.
            token: instead of this session's access token.
            headers: further ones.
            request: httpx2's `params`, `json`, `data`, `files`.

        Raises:
            Faulty: no answer.
        """
        bearer = (token or self.access_token).reveal()
        sent = {"authorization": f"Bearer {bearer}", "accept": "application/json"}
        if company and self.company_id:
            sent["procore-company-id"] = self.company_id
        while True:
            answer = await self._send(
                method, self.api_url + path, {**sent, **(headers or {})}, request
            )
            self._note(answer)
            if answer.status_code != TOO_MANY:
                return seen_of(answer, f"{method} {path}")
            await asyncio.sleep(min(seconds_to_wait(answer.headers) or 10.0, LONGEST_WAIT_S))

    async def get(self, path: str, **params: Any) -> Seen:
        """Read."""
        return await self.call("GET", path, params=params)

    async def pages(self, path: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return every object of a list. Raises Faulty."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            seen = await self.get(path, **params, page=str(page), per_page="100")
            items = seen.items()
            found += items
            if not items or 'rel="next"' not in seen.headers.get("link", ""):
                return found
            page += 1

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], request: Mapping[str, Any]
    ) -> httpx2.Response:
        try:
            return await self.http.request(
                method, url, headers=headers, timeout=TIMEOUT_S, follow_redirects=False, **request
            )
        except httpx2.HTTPError as error:
            message = f"{method} {url.removeprefix(self.api_url)}: {type(error).__name__}"
            raise Faulty(message) from error

    def _note(self, answer: httpx2.Response) -> None:
        try:
            limit = int(answer.headers["x-rate-limit-limit"])
            left_s = int(answer.headers["x-rate-limit-reset"]) - int(time.time())
        except (KeyError, ValueError):
            return
        self.limits.add((limit, left_s))


def seen_of(answer: httpx2.Response, call: str) -> Seen:
    """Read an answer, whatever it is."""
    try:
        body = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    # what an answer that gives something says is no fault, and may be a token
    kind = answer.headers.get("content-type", "")
    words = "" if answer.is_success else words_of(answer.content, kind)
    return Seen(call, answer.status_code, answer.headers, body, words)
