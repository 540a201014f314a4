"""Faults below HTTP: connections cut without an answer, bodies that end half way.

uvicorn gives an application no way to hang up, so its protocol class is told which connection
belongs to which client address, and an application that wants to cut one names the address.
"""

import asyncio
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_connections: dict[tuple[str, int], asyncio.Transport] = {}


class CuttableProtocol(HttpToolsProtocol):
    """uvicorn's own, whose connections can be found by the client's address."""

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        self._peer = tuple(peer[:2]) if peer else None
        if self._peer:
            _connections[self._peer] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer:
            _connections.pop(self._peer, None)
        super().connection_lost(exc)


class ConnectionCut(Exception):  # noqa: N818 - what an in-process client sees in place of a cut
    """The connection was cut on purpose."""


class CutResponse(Response):
    """No byte of an answer: the connection is closed."""

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        await _hang_up(scope)


class HalfResponse(Response):
    """The whole head, half of the body, then the connection is closed."""

    def __init__(self, whole: Response) -> None:
        if isinstance(whole, FileResponse):
            body = Path(whole.path).read_bytes()
        else:
            body = bytes(whole.body)
        super().__init__(body, whole.status_code, dict(whole.headers))
        self.headers["content-length"] = str(len(body))

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await asyncio.sleep(0.05)  # or the bytes that were sent would be lost with the connection
        await _hang_up(scope)


async def _hang_up(scope: Scope) -> None:
    client = scope.get("client")
    transport = _connections.get((client[0], client[1])) if client else None
    if transport is None:
        raise ConnectionCut
    transport.abort()
    for _ in range(3):  # until the protocol knows that the connection is gone
        await asyncio.sleep(0)
