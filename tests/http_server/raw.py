"""A client that sends bytes as they are, and sees what comes back and whether the end closes."""

import asyncio
from dataclasses import dataclass

PATIENCE_S = 10.0


@dataclass(frozen=True)
class Answers:
    """What a connection gave until the server closed it."""

    data: bytes

    @property
    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in self.data.split(b"HTTP/1.1 ")[1:]]

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0].lower()


async def until_closed(port: int, *pieces: bytes, pause_s: float = 0.0) -> Answers:
    """Send the pieces, then read until the server closes; a server that does not fails the test."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            sending = asyncio.create_task(_send(writer, pieces, pause_s))
            data = await _read_to_end(reader)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    finally:
        writer.close()
    return Answers(data)


async def answers_of(port: int, count: int, *pieces: bytes) -> Answers:
    """Send the pieces and read so many answers that announce their length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = b""
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(b"".join(pieces))
            for _ in range(count):
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ]
                data += head + await reader.readexactly(lengths[0] if lengths else 0)
    finally:
        writer.close()
    return Answers(data)


async def _send(writer: asyncio.StreamWriter, pieces: tuple[bytes, ...], pause_s: float) -> None:
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    data = b""
    try:
        while piece := await reader.read(65_536):
            data += piece
    except ConnectionError:
        return data
    return data
