"""`HttpClient` against a real socket: what a fault tells of the request; none is endless."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from services.http_client import HttpClient, NoAnswer, NotSent
from tests.procore_client.sides import Side

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[str]:
    """Serve one answer a connection, as `talk` writes it once the request's head has come."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def says(*parts: bytes) -> Talk:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return talk


@asynccontextmanager
async def client(**limits: float) -> AsyncIterator[HttpClient]:
    made = HttpClient("Procore", **limits)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()


async def test_a_whole_answer_comes_with_status_headers_and_body() -> None:
    whole = b"HTTP/1.1 201 Created\r\nX-Rate-Limit-Remaining: 7\r\nContent-Length: 2\r\n\r\nhi"
    async with server(says(whole)) as url, client() as http:
        answer = await http.send("POST", url, json={"a": 1})
    assert (answer.status, answer.headers["x-rate-limit-remaining"]) == (201, "7")
    assert answer.body == b"hi"


async def test_a_refused_connection_is_surely_not_sent() -> None:
    async with server(says()) as url:
        pass
    async with client() as http:
        with pytest.raises(NotSent, match="Procore cannot be reached"):
            await http.send("POST", url)


async def test_a_connection_closed_without_an_answer_leaves_the_outcome_unknown() -> None:
    async with server(says()) as url, client() as http:
        with pytest.raises(NoAnswer):
            await http.send("POST", url)


async def test_half_a_body_is_no_answer() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    async with server(says(half)) as url, client() as http:
        with pytest.raises(NoAnswer):
            await http.send("GET", url)


async def test_a_body_beyond_the_cap_is_not_read_to_its_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    written = 0

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(head)
        while not writer.is_closing():
            writer.write(chunk)
            await writer.drain()
            written += 1

    async with server(endless) as url, client() as http:
        with pytest.raises(NoAnswer, match="more than 65536 bytes"):
            await http.send("GET", url, max_body_bytes=65536)
    assert written < 100_000


async def test_a_waiter_gives_up_at_its_deadline_and_the_call_goes_on() -> None:
    arrived, go_on, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        answered.set()

    async with server(slow) as url, client() as http:
        with pytest.raises(NoAnswer, match="did not answer in time"):
            await http.send("POST", url, deadline_s=0.2)
        assert arrived.is_set()
        go_on.set()
        await asyncio.wait_for(answered.wait(), 5)


async def test_a_cancelled_waiter_does_not_cost_a_connection() -> None:
    go_on = asyncio.Event()

    async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with server(slow) as url, client(connections=2) as http:
        waiters = [asyncio.create_task(http.send("GET", url)) for _ in range(20)]
        await asyncio.sleep(0.1)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        go_on.set()
        answers = await asyncio.gather(*(http.send("GET", url) for _ in range(6)))
    assert [answer.status for answer in answers] == [200] * 6


async def test_a_redirect_is_given_back_and_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with server(says(moved)) as url, client() as http:
        answer = await http.send("GET", url)
    assert (answer.status, answer.headers.get("location")) == (302, "http://169.254.169.254/")


async def test_no_proxy_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with server(says(whole)) as url, client() as http:
        assert (await http.send("GET", url)).status == 200


async def test_compression_is_not_asked_for_and_not_unpacked() -> None:
    side = Side([httpx2.Response(200, content=b"x")])
    http = side.http()
    await http.send("GET", "https://api.procore.test/")
    await http.close()
    assert side.requests[0].headers["accept-encoding"] == "identity"


async def test_a_pool_that_gives_no_connection_three_times_is_replaced() -> None:
    side = Side([httpx2.PoolTimeout("full")] * 3 + [httpx2.Response(200)])
    http = side.http()
    stuck = http._client
    for _ in range(3):
        with pytest.raises(NotSent):
            await http.send("GET", "https://api.procore.test/")
    assert http._client is not stuck
    assert (await http.send("GET", "https://api.procore.test/")).status == 200
    await http.close()
    assert stuck.is_closed


@pytest.mark.parametrize("url", ["https://[bad/", "https://a:99999999/", "nonsense"])
async def test_an_address_that_is_none_is_a_fault_of_the_call_and_no_crash(url: str) -> None:
    async with client() as http:
        with pytest.raises((NotSent, NoAnswer)):
            await http.send("GET", url)


async def test_a_call_that_outlives_its_waiter_still_counts_as_a_connection() -> None:
    go_on = asyncio.Event()
    open_now, most = 0, 0

    async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await go_on.wait()
        open_now -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with server(slow) as url, client(connections=2) as http:
        for _ in range(2):
            with pytest.raises(NoAnswer):
                await http.send("GET", url, deadline_s=0.1)
        with pytest.raises(NotSent):  # it never got a turn, and waited no longer than it said
            await asyncio.wait_for(http.send("POST", url, deadline_s=0.2), 5)
        go_on.set()
        assert (await http.send("GET", url, deadline_s=5)).status == 200
    assert most == 2
