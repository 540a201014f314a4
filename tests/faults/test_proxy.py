"""The fault proxy does what a test says, and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.proxy import BlackHole, Cut, CutAfter, Delay, Duplicate, Proxy

SHORT_S = 0.3


class Upstream:
    """Answers each line with itself, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.got.append(line)
            writer.write(line.upper())
            await writer.drain()
        writer.close()


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest_asyncio.fixture
async def proxy(upstream: Upstream) -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    async with Proxy("test").serving() as proxy:
        proxy.upstream = server.sockets[0].getsockname()[1]
        yield proxy
    server.close()


async def ask(proxy: Proxy, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(line)
        async with asyncio.timeout(SHORT_S * 10):
            return await reader.readline()
    except OSError:
        return b""
    finally:
        writer.close()


async def test_nothing_is_wrong_at_first(proxy: Proxy) -> None:
    assert await ask(proxy, b"hello\n") == b"HELLO\n"


async def test_a_delay_comes_later_and_whole(proxy: Proxy) -> None:
    proxy.set(Delay(0.05))
    assert await ask(proxy, b"hello\n") == b"HELLO\n"
    assert proxy.strikes["delayed"] == 2


async def test_a_cut_ends_what_is_open_and_what_is_opened_until_it_is_mended(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello\n")
    assert await reader.readline() == b"HELLO\n"
    proxy.set(Cut())
    with contextlib.suppress(OSError):  # a reset, or an end
        assert await reader.read() == b""
    assert await ask(proxy, b"hello\n") == b""
    proxy.mend()
    assert await ask(proxy, b"hello\n") == b"HELLO\n"
    writer.close()


async def test_a_black_hole_takes_everything_and_gives_nothing(
    proxy: Proxy, upstream: Upstream
) -> None:
    proxy.set(BlackHole())
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello\n")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT_S):
            await reader.readline()
    writer.close()
    assert upstream.got == []


async def test_an_answer_is_cut_after_so_many_bytes(proxy: Proxy) -> None:
    proxy.set(CutAfter(3))
    assert await ask(proxy, b"hello\n") in (b"HEL", b"")


async def test_what_is_duplicated_arrives_twice_and_is_answered_once(
    proxy: Proxy, upstream: Upstream
) -> None:
    proxy.set(Duplicate())
    assert await ask(proxy, b"hello\n") == b"HELLO\n"
    async with asyncio.timeout(5):
        while len(upstream.got) < 2:
            await asyncio.sleep(0.01)
    assert upstream.got == [b"hello\n", b"hello\n"]


async def test_a_held_request_arrives_also_when_its_sender_is_gone(
    proxy: Proxy, upstream: Upstream
) -> None:
    hold = proxy.hold(b"hel", b"lo", way="up")
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello\n")
    await hold.caught.wait()
    writer.transport.abort()
    assert upstream.got == []
    hold.released.set()
    async with asyncio.timeout(5):
        while not upstream.got:
            await asyncio.sleep(0.01)
    assert upstream.got == [b"hello\n"]


async def test_a_held_answer_was_done_and_is_heard_late(proxy: Proxy, upstream: Upstream) -> None:
    hold = proxy.hold(b"hello", way="down")
    asking = asyncio.create_task(ask(proxy, b"hello\n"))
    await hold.caught.wait()
    async with asyncio.timeout(5):
        while not upstream.got:
            await asyncio.sleep(0.01)
    assert not asking.done()
    hold.released.set()
    assert await asking == b"HELLO\n"
