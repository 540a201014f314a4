"""One call on Procore's API: whose grant, whose turn, and what the answer means."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from schemas.connections import AccessToken
from services.errors import OutcomeUnknown, TryLater
from services.http_client import Answer, HttpClient, NoAnswer, NotSent
from services.procore.counting import Observe, unobserved
from services.procore.errors import (
    AppNotInstalled,
    NotAllowed,
    NotVisible,
    Refused,
    is_app_not_installed,
    words_of,
)
from services.procore.models import Place
from services.procore.pacer import Priority, rate_limited
from services.procore.turns import Turns
from services.procore.waiting import seconds_to_wait
from services.waits import charging

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TIMEOUT, TOO_MANY = 401, 403, 404, 408, 429
SERVER_ERROR = 500
READ_ATTEMPTS = 3
READ_DEADLINE_S = 40.0

BeforeSending = Callable[[], Awaitable[None]]


class Tokens(Protocol):
    """Where access tokens come from."""

    async def access_token(self, user_id: str) -> AccessToken:
        """Return a person's access token."""

    async def replacement_for(self, user_id: str, rejected: AccessToken) -> AccessToken:
        """Return another one after a 401."""


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    place: Place
    path: str
    whose: str
    priority: Priority
    request: dict[str, Any]
    before_sending: BeforeSending | None = None


@dataclass(slots=True)
class Caller:
    """Sends calls to one Procore environment, at each grant's pace.

    Args:
        http: pool towards the API.
        base_url: PROCORE_API_URL.
        tokens: where access tokens come from.
        write_deadline_s: the longest wait for one write.
        turns: whose call goes when.
        observe: told each call that was answered, for the metrics.
    """

    http: HttpClient
    base_url: str
    tokens: Tokens
    write_deadline_s: float = 30.0
    turns: Turns = field(default_factory=Turns)
    observe: Observe = unobserved

    async def read(
        self,
        place: Place,
        path: str,
        *,
        whose: str,
        priority: Priority,
        params: dict[str, Any] | list[tuple[str, Any]] | None = None,
    ) -> Answer:
        """GET, tried a few times when Procore is briefly down.

        Raises:
            TryLater, NeedsPerson, NotVisible, NotAllowed, Refused: as the answer says.
        """
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.3, max=3),
            retry=retry_if_exception(_worth_another_try),
            reraise=True,
        ):
            with attempt:
                return await self._once(
                    _Call("GET", place, path, whose, priority, {"params": params})
                )
        raise AssertionError  # tenacity returns or raises

    async def write(
        self,
        method: str,
        place: Place,
        path: str,
        *,
        whose: str,
        json: Any,
        params: dict[str, Any] | None = None,
        before_sending: BeforeSending | None = None,
    ) -> Answer:
        """Send a write exactly once.

        Raises:
            OutcomeUnknown: it was sent, and what it did cannot be told.
            TryLater, NeedsPerson, NotVisible, NotAllowed, Refused: it surely had no effect.
        """
        request = {"params": params, "json": json}
        return await self._once(
            _Call(method, place, path, whose, Priority.RETURN, request, before_sending)
        )

    async def _once(self, call: _Call) -> Answer:
        token = await self.tokens.access_token(call.whose)
        answer = await self._send(call, token)
        if answer.status == UNAUTHORIZED:
            answer = await self._send(call, await self.tokens.replacement_for(call.whose, token))
        return self._judged(call, answer)

    async def _send(self, call: _Call, token: AccessToken) -> Answer:
        headers = {
            "authorization": f"Bearer {token.access_token}",
            "procore-company-id": call.place.company_id,
            "accept": "application/json",
        }
        return await self.turns.take(
            call.whose, call.priority, lambda: self._answered(call, headers)
        )

    async def _answered(self, call: _Call, headers: dict[str, str]) -> Answer:
        if call.before_sending is not None:
            await call.before_sending()
        answer = await self._exchange(call, headers)
        self.observe(call.method, call.path, call.whose, call.place.company_id, answer.status)
        return answer

    async def _exchange(self, call: _Call, headers: dict[str, str]) -> Answer:
        reads = call.method == "GET"
        try:
            with charging("procore"):
                return await self.http.send(
                    call.method,
                    self.base_url + call.path,
                    headers=headers,
                    deadline_s=READ_DEADLINE_S if reads else self.write_deadline_s,
                    **call.request,
                )
        except NotSent as error:
            raise TryLater(str(error), reason="procore_down") from error
        except NoAnswer as error:
            if reads:
                raise TryLater(str(error), reason="procore_down") from error
            raise OutcomeUnknown(str(error)) from error

    def _judged(self, call: _Call, answer: Answer) -> Answer:
        """Return a good answer; raise what any other means."""
        status = answer.status
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's success
            return answer
        words = words_of(answer.body, answer.headers.get("content-type", ""))
        said = f"Procore answered {status} to {call.method} {call.path}: {words}"
        if status == TOO_MANY:
            raise rate_limited(self.turns.pacer(call.whose).opens_at(Priority.RETURN))
        if status >= SERVER_ERROR or status == TIMEOUT or status < 400:  # noqa: PLR2004
            if call.method != "GET":
                raise OutcomeUnknown(said)
            wait_s = seconds_to_wait(answer.headers)
            not_before = datetime.now(UTC) + timedelta(seconds=wait_s) if wait_s else None
            raise TryLater(said, reason="procore_down", not_before=not_before)
        if status == UNAUTHORIZED:
            # the token service gave a fresh one and that is refused too: it will find out why
            raise TryLater(said, reason="procore_down")
        if status == FORBIDDEN:
            raise AppNotInstalled if is_app_not_installed(words) else NotAllowed(said)
        raise NotVisible(said) if status == NOT_FOUND else Refused(said)


def json_of(answer: Answer) -> Any:
    """Return the JSON of a good answer to a read.

    Raises:
        TryLater: it is not JSON, e.g. a gateway's page with status 200.
    """
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        return _json_of_tolerant(answer)


def _json_of_tolerant(answer: Answer) -> Any:
    """Half a surrogate pair, or a number out of range, in one record must not hide its list."""
    try:
        read = json.loads(answer.body.decode("utf-8", "replace"))
        return json.loads(json.dumps(read, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        message = "Procore answered with something that is not JSON"
        raise TryLater(message, reason="procore_down") from error


def _worth_another_try(error: BaseException) -> bool:
    return (
        isinstance(error, TryLater) and error.reason == "procore_down" and error.not_before is None
    )
