"""What it takes for a program of a run to count as started."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.ports import LOOPBACK

_ANSWER_TIMEOUT_S = 2.0

# Asked every few hundredths of a second with the program's log and the place in it where this
# start of the program began to write.
Ready = Callable[[Path, int], Awaitable[bool]]


def log_ready(text: str) -> Ready:
    """Ready once the program has written `text` into its log since it was started."""

    async def check(log: Path, begins_at: int) -> bool:
        with log.open("rb") as lines:
            lines.seek(begins_at)
            return text.encode() in lines.read()

    return check


def port_ready(port: int, host: str = LOOPBACK) -> Ready:
    """Ready once the port takes connections."""

    async def check(_log: Path, _begins_at: int) -> bool:
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                _reader, writer = await asyncio.open_connection(host, port)
        except OSError:  # TimeoutError is one
            return False
        writer.close()
        return True

    return check


def http_ready(url: str) -> Ready:
    """Ready once a GET of the plain-http `url` is answered with a 2xx."""
    parts = urlsplit(url)
    host, port = parts.hostname or LOOPBACK, parts.port or 80
    request = f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()

    async def check(_log: Path, _begins_at: int) -> bool:
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return (await _status_line(host, port, request)).split(b" ")[1:2][0][:1] == b"2"
        except (OSError, IndexError):
            return False

    return check


async def _status_line(host: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
