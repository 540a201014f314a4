"""One request and its answer, as an ASGI application sees them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import structlog

from services.http_limits import error_body

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

BODY_HIGH_WATER = 65_536
DISCONNECT = {"type": "http.disconnect"}
STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
WITHOUT_BODY = frozenset((HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED))

log = structlog.get_logger()


class Wire(Protocol):
    """What an exchange needs of its connection."""

    @property
    def common_lines(self) -> bytes: ...  # noqa: D102 - of the headers every answer carries
    @property
    def is_full(self) -> bool: ...  # noqa: D102 - whether the client is behind in reading
    def write(self, data: bytes) -> None: ...  # noqa: D102 - named by the transport's word
    def pause_reading(self) -> None: ...  # noqa: D102
    def resume_reading(self) -> None: ...  # noqa: D102
    async def drain(self) -> None: ...  # noqa: D102
    def abort(self) -> None: ...  # noqa: D102

    def exchanged(self, *, keep_alive: bool) -> None:
        """Go on to the next request, or end, now that the answer is written."""


class Exchange:
    """Hands a request's body to the application as it comes in, and writes its answer.

    Attributes:
        keep_alive: whether another request may follow on the connection.
        disconnected: set by the connection once the client is gone.
    """

    __slots__ = (
        "_body", "_body_taken", "_chunked", "_expects_continue", "_finished", "_head",
        "_more_body", "_started", "_to_write", "_waiter", "_wire", "disconnected", "keep_alive",
        "scope",
    )  # fmt: skip

    def __init__(
        self, wire: Wire, scope: Scope, *, more_body: bool, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.disconnected = False
        self._wire = wire
        self._more_body = more_body
        self._expects_continue = expects_continue
        self._body = b""
        self._body_taken = False
        self._waiter: asyncio.Future[None] | None = None
        self._head: bytes | None = None  # held back to leave together with the first of the body
        self._started = False
        self._finished = False
        self._chunked = False
        self._to_write = 0

    # What the connection tells.

    def feed(self, data: bytes) -> None:
        """Take a piece of the request's body."""
        if self._finished:
            return
        self._body += data
        if len(self._body) > BODY_HIGH_WATER:
            self._wire.pause_reading()
        self._wake()

    def feed_end(self) -> None:
        """Note that the request's body is complete."""
        self._more_body = False
        self._wake()

    def disconnect(self) -> None:
        """Note that the client is gone."""
        self.disconnected = True
        self._wake()

    @property
    def body_complete(self) -> bool:
        """Whether all of the request was read from the wire."""
        return not self._more_body

    @property
    def started(self) -> bool:
        """Whether the answer has begun."""
        return self._started

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the application calls.

    async def run(self, app: AsgiApp, running: set[asyncio.Task[None]]) -> None:
        """Let the application answer; a fault of it is logged and answered 500.

        Args:
            app: the application.
            running: tasks under way, which the task that runs this leaves at the end.
        """
        try:
            try:
                await app(self.scope, self.receive, self.send)
            except Exception:  # the top of every request: a fault must not end the server
                log.exception("http.failed", method=self.scope["method"], path=self.scope["path"])
            if not (self._finished or self.disconnected):
                await self._answer_fault()
        finally:
            if (task := asyncio.current_task()) is not None:
                running.discard(task)

    async def _answer_fault(self) -> None:
        if self._started:
            self._wire.abort()
            return
        body = error_body(500)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        self.keep_alive = False
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def receive(self) -> Message:
        """Return the next piece of the body, or the client's going away."""
        if self._expects_continue and not self.disconnected:
            self._expects_continue = False
            self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self.disconnected or self._finished):
            if not self._body_taken and (self._body or not self._more_body):
                body, self._body = self._body, b""
                self._body_taken = not self._more_body
                self._wire.resume_reading()
                return {"type": "http.request", "body": body, "more_body": self._more_body}
            self._wire.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return DISCONNECT

    async def send(self, message: Message) -> None:
        """Write the answer's head or a piece of its body."""
        if self._wire.is_full:
            await self._wire.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self._started:
            self._start(message["status"], message.get("headers", ()))
        elif kind == "http.response.body" and self._started and not self._finished:
            self._continue(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} was sent out of turn")

    def _start(self, status: int, headers: Headers | tuple[tuple[bytes, bytes], ...]) -> None:
        self._started = True
        self._expects_continue = False
        written = (
            _write_once(status, headers) if type(headers) is tuple else _write(status, headers)
        )
        tail = self._frame(status, written.length)
        if not (self.keep_alive and written.keep_alive) or self._more_body:
            self.keep_alive = False
            tail += b"connection: close\r\n"
        self._head = b"%b%b%b\r\n" % (written.lines, self._wire.common_lines, tail)
        if written.length != 0 and status not in WITHOUT_BODY:
            asyncio.get_running_loop().call_soon(self._flush_head)

    def _frame(self, status: int, length: int | None) -> bytes:
        """Say how the client finds the end of the answer."""
        self._to_write = length or 0
        if length is not None or status in WITHOUT_BODY or self.scope["method"] == "HEAD":
            return b""
        if self.scope["http_version"] == "1.1":
            self._chunked = True
            return b"transfer-encoding: chunked\r\n"
        self.keep_alive = False
        return b""

    def _flush_head(self) -> None:
        """Write the head alone when no body came with it, as for a stream of events."""
        if self._head is not None and not self.disconnected:
            head, self._head = self._head, None
            self._wire.write(head)

    def _continue(self, body: bytes, *, more: bool) -> None:
        head, self._head = self._head or b"", None
        if self.scope["method"] == "HEAD":
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body)) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        else:
            self._to_write -= len(body)
        if head or body:
            self._wire.write(head + body)
        if not more:
            self._finish()

    def _finish(self) -> None:
        self._finished = True
        self._wake()
        # An answer of another length than it announced would shift every later one.
        short = not self._chunked and self._to_write != 0 and self.scope["method"] != "HEAD"
        if short and self.scope["http_version"] == "1.1":
            log.error("http.answer_of_wrong_length", path=self.scope["path"])
            self._wire.abort()
        else:
            self._wire.exchanged(keep_alive=self.keep_alive)


class Written(NamedTuple):
    """The lines of an answer's head that the application decides.

    Attributes:
        lines: the status line and the headers, each with its end.
        length: what the headers say of the body's, if they do.
        keep_alive: False where the headers end the connection.
    """

    lines: bytes
    length: int | None
    keep_alive: bool


def _write(status: int, headers: Iterable[tuple[bytes, bytes]]) -> Written:
    length: int | None = None
    keep_alive = True
    lines = [STATUS_LINES[status]]
    for name, value in headers:
        if b"\r" in value or b"\n" in value or b"\n" in name:
            raise RuntimeError("a header of the answer holds a line break")
        lowered = name.lower()
        if lowered == b"content-length":
            length = int(value)
        elif lowered == b"connection":
            keep_alive &= value.lower() != b"close"
            continue
        lines += (name, b": ", value, b"\r\n")
    return Written(b"".join(lines), length, keep_alive)


# An application that gives its headers as a tuple says that it answers so again and again.
_write_once = lru_cache(maxsize=64)(_write)
