"""One client's connection, held to limits that uvicorn does not have.

uvicorn has no deadline for a header, no limit on a body or on the number of header lines, and
reads ahead without end on a pipelined connection. Here each request's header is collected whole,
checked, and only then parsed; the next request is not looked at before the answer to this one is
written.
"""

import asyncio
from enum import Enum, auto
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from services.http_exchange import STATUS_LINES, AsgiApp, Exchange, Headers, Scope
from services.http_limits import CountRefusal, Limits, count_nothing, error_body
from services.http_request import Address, Refused, RequestReader

END_OF_HEAD = b"\r\n\r\n"
BAD = 400
TOO_LARGE = 431


class Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    CLOSING = auto()


class Connection(asyncio.Protocol):
    """Reads requests one after another and lets the application answer each.

    uvicorn's server makes one for each client, and calls `shutdown` when it is asked to end.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002 - uvicorn's signature; we use no lifespan
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        count: CountRefusal = count_nothing,
    ) -> None:
        self._app: AsgiApp = config.loaded_app
        self._state = server_state
        self._connections: set[Any] = server_state.connections  # uvicorn names its own classes
        self._loop = _loop or asyncio.get_running_loop()
        self._limits = limits
        self._count = count
        self._phase = Phase.HEAD
        self._unread = b""  # an incomplete header, or what came before the answer was written
        self._exchange: Exchange | None = None
        self._common_headers: Headers | None = None
        self._common_lines = b""
        self._served = 0
        self._discarded = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._deadline: float | None = None
        self._reading = True
        self._client_finished = False
        self._writable: asyncio.Future[None] | None = None

    # The connection's life.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the header's deadline, or refuse a connection too many."""
        self._transport = cast("asyncio.Transport", transport)
        self._request = RequestReader(
            self._feed,
            server=_address(transport.get_extra_info("sockname")),
            client=_address(transport.get_extra_info("peername")),
        )
        if len(self._connections) >= self._limits.max_connections:
            self._refuse(503, "connections")
            return
        self._connections.add(self)
        self._expect_within(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell the application that its client is gone."""
        self._phase = Phase.CLOSING
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._exchange is not None:
            self._exchange.disconnect()
        self.resume_writing()
        self._request.close()

    def shutdown(self) -> None:
        """End now when idle, else after the answer under way."""
        if self._exchange is None:
            self._transport.close()
        else:
            self._exchange.keep_alive = False

    def eof_received(self) -> bool:
        """Let an answer under way still be written to a client that has finished sending."""
        self._client_finished = True
        return self._phase is Phase.ANSWER

    # Deadlines: one timer a connection, moved lazily, so that a request costs no timer of its own.

    def _expect_within(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer_at > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._set_timer(self._deadline)

    def _set_timer(self, at: float) -> None:
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._loop.time() < self._deadline:
            self._set_timer(self._deadline)
        else:
            self._expire()

    def _expire(self) -> None:
        if self._phase is Phase.HEAD:
            if self._unread or not self._served:
                self._count("head_too_slow")
            self._transport.close()
        elif self._phase is Phase.BODY and self._exchange is not None:
            self._refuse_body(self._exchange, 408, "body_too_slow")
        else:
            if self._phase is not Phase.CLOSING:
                self._count("answer_not_taken")
            self._transport.abort()

    # Reading.

    def data_received(self, data: bytes) -> None:
        """Go on with the header or the body that is being read."""
        while data:
            if self._phase is Phase.HEAD:
                data = self._take_head(data)
            elif self._phase is Phase.BODY:
                data = self._take_body(data)
            elif self._phase is Phase.ANSWER:
                self._unread += data  # of the next request; bounded, as no more is read now
                self.pause_reading()
                return
            else:
                self._discard(len(data))
                return
        if self._phase is Phase.BODY and self._deadline is None:
            self._expect_within(self._limits.body_s)

    def _take_head(self, data: bytes) -> bytes:
        """Begin an exchange once the header is whole; return what came behind it."""
        first_bytes = not self._unread
        data = self._unread + data
        end = data.find(END_OF_HEAD)
        if max(end, 0 if end >= 0 else len(data)) > self._limits.max_head_bytes:
            self._refuse(TOO_LARGE, "head_too_large")
        elif end >= 0:
            self._unread = b""
            self._read_head(data[: end + len(END_OF_HEAD)])
            return data[end + len(END_OF_HEAD) :]
        elif not _may_become_head(data):
            self._refuse(BAD, "malformed")
        else:
            self._unread = data
            if first_bytes and self._served:
                self._expect_within(self._limits.head_s)
        return b""

    def _read_head(self, head: bytes) -> None:
        if head.count(b"\n") > self._limits.max_headers + 2:
            self._refuse(TOO_LARGE, "head_too_large")
            return
        try:
            scope = self._request.read_head(head)
        except Refused as refused:
            self._refuse(refused.status, "malformed")
        else:
            self._begin(scope)

    def _begin(self, scope: Scope) -> None:
        self._deadline = None
        request = self._request
        self._exchange = Exchange(
            self,
            scope,
            more_body=not request.complete,
            # What follows a chunked body starts where a parser thinks it ends: not worth the risk.
            keep_alive=request.keeps_alive and not request.is_chunked,
            expects_continue=request.expects_continue,
        )
        self._phase = Phase.ANSWER if request.complete else Phase.BODY
        self._start(self._exchange)

    def _start(self, exchange: Exchange) -> None:
        tasks = self._state.tasks  # uvicorn waits for them when it ends
        tasks.add(self._loop.create_task(exchange.run(self._app, tasks)))

    def _take_body(self, data: bytes) -> bytes:
        exchange = self._exchange
        assert exchange is not None  # noqa: S101 - the phase says so; for the type checker
        try:
            rest = self._request.read_body(data)
        except Refused as refused:
            self._refuse_body(exchange, refused.status, "malformed")
            return b""
        if self._request.complete:
            self._phase = Phase.ANSWER
            self._deadline = None
            exchange.feed_end()
        return rest

    def _refuse_body(self, exchange: Exchange, status: int, reason: str) -> None:
        exchange.disconnect()
        if exchange.started:
            self._count(reason)
            self.abort()
        else:
            self._refuse(status, reason)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self._limits.linger_bytes:
            self._transport.abort()

    def _feed(self, body: bytes) -> None:
        if self._exchange is not None:
            self._exchange.feed(body)

    # What an exchange needs.

    @property
    def common_lines(self) -> bytes:
        """`date`, renewed by uvicorn's server once a second."""
        headers = self._state.default_headers  # a new list each time
        if headers is not self._common_headers:
            self._common_headers = headers
            self._common_lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._common_lines

    def write(self, data: bytes) -> None:
        """Send bytes, in order, without waiting."""
        self._transport.write(data)

    def abort(self) -> None:
        """Cut the connection off."""
        self._transport.abort()

    def exchanged(self, *, keep_alive: bool) -> None:
        """Go on to the next request, or end, now that the answer is written."""
        self._exchange = None
        self._served += 1
        self._state.total_requests += 1
        if self._phase is Phase.CLOSING or self._transport.is_closing():
            return
        if not keep_alive:
            self._close()
            return
        self._phase = Phase.HEAD
        self._expect_within(self._limits.idle_s)
        self.resume_reading()
        if self._unread:
            data, self._unread = self._unread, b""
            self.data_received(data)

    def pause_reading(self) -> None:
        """Let the client's further bytes wait in the network."""
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    @property
    def is_full(self) -> bool:
        """Whether the client is behind in reading."""
        return self._writable is not None

    async def drain(self) -> None:
        """Wait until a slow client has taken what was written."""
        if self._writable is not None:
            await self._writable

    def pause_writing(self) -> None:
        """Give a client that does not take its answer a deadline."""
        self._writable = self._loop.create_future()
        self._expect_within(self._limits.write_s)

    def resume_writing(self) -> None:
        """Go on with an answer that was waiting for its client."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None
            self._deadline = None

    # Ending.

    def _refuse(self, status: int, reason: str) -> None:
        self._count(reason)
        body = error_body(status)
        self._transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\n"
            b"cache-control: no-store\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINES[status], len(body), body)
        )
        self._close()

    def _close(self) -> None:
        """Say that nothing follows, and give the client a moment to read that.

        Closing while bytes of the client are unread would send a reset, and the reset would
        overtake the answer.
        """
        self._phase = Phase.CLOSING
        self._unread = b""
        if self._client_finished or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._expect_within(self._limits.linger_s)
        self.resume_reading()


def _may_become_head(data: bytes) -> bytes | bool:
    """Tell whether the beginning of a header is one: capitals, and no line without its CR."""
    return data[:1].isupper() and data.count(b"\n") == data.count(b"\r\n")


def _address(name: object) -> Address:
    if isinstance(name, tuple) and len(name) >= 2:  # noqa: PLR2004 - IPv6 has four parts
        return str(name[0]), int(name[1])
    return None
