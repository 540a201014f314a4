"""Calls to the outside: the waiter gives up and not the call, bodies are capped, pools heal.

Every fault is one of two: surely not sent, or sent with an outcome nobody knows. Redirects are
never followed here and no proxy is read from the environment.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpcore2
import httpx2
import structlog

from services.checked_connections import CheckedTransport
from services.errors import ConnectorError

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
MAX_BODY_BYTES = 8 * 1024 * 1024
POOL_FAULTS_BEFORE_RENEWAL = 3
CLOSE_TIMEOUT_S = 1.0
LONGEST_ANSWER_S = 120.0
"""An answer that dribbles on beyond this is given up, as each byte begins the read timeout anew."""

log = structlog.get_logger()

NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.ProxyError,
)


class NotSent(ConnectorError):  # noqa: N818 - says what happened
    """The request surely did not reach the other side."""


class NoAnswer(ConnectorError):  # noqa: N818 - says what happened
    """The request was sent, and no whole answer came: what it did is unknown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `body` is at most the cap."""

    status: int
    headers: httpx2.Headers
    body: bytes


class HttpClient:
    """One pool towards one side.

    Args:
        name: of the side, for messages and the log.
        connections: the most at once; callers beyond wait in front of the pool, where a cancelled
            wait costs nothing.
        read_timeout_s: the longest silence of an answer.
        transport: instead of the network, for tests.
        backend: opens the connections, where it matters whereto.
    """

    def __init__(
        self,
        name: str,
        *,
        connections: int = 20,
        read_timeout_s: float = READ_TIMEOUT_S,
        transport: httpx2.AsyncBaseTransport | None = None,
        backend: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self.name = name
        self._connections = connections
        self._read_timeout_s = read_timeout_s
        self._transport = transport
        self._backend = backend
        self._turns = asyncio.Semaphore(connections)
        self._client = self._new()
        self._retired: list[httpx2.AsyncClient] = []
        self._pool_faults = 0
        self._under_way: set[asyncio.Task[Answer]] = set()

    def _new(self) -> httpx2.AsyncClient:
        limits = httpx2.Limits(
            max_connections=self._connections, max_keepalive_connections=self._connections
        )
        transport = self._transport
        if transport is None and self._backend is not None:
            transport = CheckedTransport(self._backend, limits)
        return httpx2.AsyncClient(
            transport=transport,
            timeout=httpx2.Timeout(
                self._read_timeout_s, connect=CONNECT_TIMEOUT_S, pool=self._read_timeout_s
            ),
            limits=limits,
            follow_redirects=False,
            trust_env=False,
            headers={"accept-encoding": "identity", "user-agent": "part3-procore-connector"},
        )

    async def close(self) -> None:
        """Wait shortly for calls under way, then cut them off and close the pools."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=CLOSE_TIMEOUT_S)
            for call in late:
                call.cancel()
            if late:
                await asyncio.wait(late, timeout=CLOSE_TIMEOUT_S)
        for client in (*self._retired, self._client):
            with suppress(httpx2.HTTPError, RuntimeError):
                await client.aclose()

    async def send(
        self,
        method: str,
        url: str,
        *,
        deadline_s: float | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        **request: Any,
    ) -> Answer:
        """Send one request and read its whole answer.

        Args:
            method: HTTP method.
            url: absolute URL.
            deadline_s: how long the caller waits, for its turn and the answer; a call that was
                sent goes on until its own limits, and keeps its turn until then.
            max_body_bytes: an answer beyond is no answer.
            request: as httpx2's `request`: headers, params, json, content, data, files.

        Raises:
            NotSent, NoAnswer: see the module.
        """
        until = asyncio.get_running_loop().time() + (deadline_s or self._read_timeout_s * 2)
        try:
            async with asyncio.timeout_at(until):
                await self._turns.acquire()
        except TimeoutError:
            message = f"{self.name} is busy with {self._connections} other calls"
            raise NotSent(message) from None
        call = asyncio.create_task(self._call(method, url, max_body_bytes, request))
        self._under_way.add(call)
        call.add_done_callback(self._forget)
        left_s = until - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait({call}, timeout=max(left_s, 0))
        if not done:
            message = f"{self.name} did not answer in time"
            raise NoAnswer(message)
        return call.result()

    def _forget(self, call: asyncio.Task[Answer]) -> None:
        self._under_way.discard(call)
        self._turns.release()
        if not call.cancelled():
            call.exception()  # seen here when the waiter has gone

    async def _call(
        self, method: str, url: str, max_body_bytes: int, request: Mapping[str, Any]
    ) -> Answer:
        async with self._stream(method, url, **request) as answer:
            body = bytearray()
            until = asyncio.get_running_loop().time() + LONGEST_ANSWER_S
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > max_body_bytes:
                    message = f"{self.name} answered with more than {max_body_bytes} bytes"
                    raise NoAnswer(message)
                if asyncio.get_running_loop().time() > until:
                    message = f"{self.name} did not end its answer in {LONGEST_ANSWER_S:.0f} s"
                    raise NoAnswer(message)
            return Answer(answer.status_code, answer.headers, bytes(body))

    @asynccontextmanager
    async def streaming(
        self, method: str, url: str, **request: Any
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request and give its answer while the body still comes.

        It waits for its turn as `send` does, and keeps it until the body has been read.

        Raises:
            NotSent, NoAnswer: also while the body is read.
        """
        async with self._turns, self._stream(method, url, **request) as answer:
            yield answer

    @asynccontextmanager
    async def _stream(
        self, method: str, url: str, **request: Any
    ) -> AsyncIterator[httpx2.Response]:
        client = self._client
        try:
            async with client.stream(method, url, **request) as answer:
                self._pool_faults = 0
                yield answer
        except NEVER_SENT as error:
            if isinstance(error, httpx2.PoolTimeout):
                self._note_pool_fault(client)
            message = f"{self.name} cannot be reached ({type(error).__name__})"
            raise NotSent(message) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            message = f"{self.name} gave no whole answer ({type(error).__name__})"
            raise NoAnswer(message) from error

    def _note_pool_fault(self, client: httpx2.AsyncClient) -> None:
        """Replace a pool that gives no connection three times in a row."""
        self._pool_faults += 1
        if self._pool_faults >= POOL_FAULTS_BEFORE_RENEWAL and client is self._client:
            log.error("http.pool_renewed", side=self.name)
            self._retired.append(client)
            self._client = self._new()
            self._pool_faults = 0
