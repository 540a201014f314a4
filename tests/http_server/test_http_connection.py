"""What a single connection may do: rows 1-20 of the list of bad inputs, without an application."""

import asyncio
import gc
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from services.http_connection import Connection
from services.http_exchange import Message, Receive, Scope, Send
from services.http_limits import Limits
from services.http_request import RequestReader
from services.http_server import Site, serving
from tests.http_server.raw import answers_of, until_closed

HOST = b"Host: gateway.test\r\n"
LIMITS = Limits(head_s=0.4, body_s=0.4, idle_s=0.4, linger_s=0.2, max_connections=20, write_s=0.5)


@dataclass
class Echo:
    """Answers with the method, the path and the body's length; notes what it was asked."""

    asked: list[tuple[str, bytes, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.asked.append((scope["method"], scope["raw_path"], body))
        if scope["path"] == "/boom":
            raise ValueError("secret detail")
        said = b"%s %s %d" % (scope["method"].encode(), scope["raw_path"], len(body))
        headers = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})


@dataclass
class Server:
    port: int
    app: Echo
    refusals: list[str]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    app, refusals = Echo(), list[str]()
    site = Site("public", app, "127.0.0.1", 0, LIMITS, refusals.append)
    async with serving([site]) as addresses:
        yield Server(addresses["public"].port, app, refusals)


def post(body: bytes, *headers: bytes) -> bytes:
    return b"POST /x HTTP/1.1\r\n" + HOST + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked"
FIVE = b"Content-Length: 5"

MALFORMED = {
    "length and coding": post(b"5\r\nhello\r\n0\r\n\r\n", FIVE, CHUNKED),
    "coding and length": post(b"5\r\nhello\r\n0\r\n\r\n", CHUNKED, FIVE),
    "two different lengths": post(b"hello", FIVE, b"Content-Length: 6"),
    "negative length": post(b"hello", b"Content-Length: -5"),
    "length with a sign": post(b"hello", b"Content-Length: +5"),
    "hexadecimal length": post(b"hello", b"Content-Length: 0x5"),
    "list of lengths": post(b"hello", b"Content-Length: 5, 5"),
    "length beyond all numbers": post(b"hello", b"Content-Length: " + b"9" * 30),
    "unknown coding": post(b"5\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: xchunked"),
    "chunked is not the last": post(b"hello", b"Transfer-Encoding: chunked, identity"),
    "chunked twice": post(b"5\r\nhello\r\n0\r\n\r\n", CHUNKED, CHUNKED),
    "folded header": post(b"hello", b"X-A: b\r\n c", FIVE),
    "folded coding": post(b"5\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding:\r\n chunked"),
    "bad end of a chunk": post(b"5\r\nhelloXX0\r\n\r\n", CHUNKED),
    "chunks with bare LF": post(b"5\nhello\n0\n\n", CHUNKED),
    "chunk size that is none": post(b"zz\r\nhello\r\n0\r\n\r\n", CHUNKED),
    "lines with bare LF": b"POST /x HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello",
    "one line with bare LF": b"POST /x HTTP/1.1\r\nHost: x\nContent-Length: 5\r\n\r\nhello",
    "NUL in a value": post(b"", b"X: a\0b"),
    "CR in a value": post(b"", b"X: a\rb"),
    "high byte in a value": post(b"", b"X: a\xffb"),
    "high byte in a name": post(b"", b"X\xff: b"),
    "space before the colon": post(b"", b"X : b"),
    "no version": b"GET /\r\n\r\n",
    "version 2.0": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "version 1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS on the plain port": bytes.fromhex("16030100f5010000f10303") + b"x" * 200,
    "absolute address": b"GET http://evil.test/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "target of another host": b"GET @evil.test HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "high byte in the path": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the path": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "unknown method": b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_request_is_refused_and_the_connection_closed(
    server: Server, request_bytes: bytes
) -> None:
    answers = await until_closed(server.port, request_bytes)
    assert answers.statuses == [400]
    assert b"connection: close" in answers.head
    assert b"cache-control: no-store" in answers.head
    assert b"server:" not in answers.head
    assert server.app.asked == []
    assert server.refusals == ["malformed"]


@pytest.mark.parametrize("cut", [1, 7, 40])
async def test_a_malformed_request_is_refused_however_it_is_cut(server: Server, cut: int) -> None:
    whole = MALFORMED["length and coding"]
    pieces = [whole[at : at + cut] for at in range(0, len(whole), cut)]
    assert (await until_closed(server.port, *pieces)).statuses == [400]
    assert server.app.asked == []


async def test_a_tunnel_is_not_allowed(server: Server) -> None:
    request = b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n"
    assert (await until_closed(server.port, request)).statuses == [405]


@pytest.mark.parametrize(
    "headers",
    [b"X: y\r\n" * 500, b"X: " + b"y" * 65_536 + b"\r\n", b"X: y\r\n" * 5_000],
    ids=["500 lines", "one of 64 KiB", "5000 lines"],
)
@pytest.mark.parametrize("pieces", [1, 5])
async def test_too_much_header_is_431(server: Server, headers: bytes, pieces: int) -> None:
    request = b"POST /x HTTP/1.1\r\n" + HOST + headers + b"\r\n"
    size = -(-len(request) // pieces)
    cut = [request[at : at + size] for at in range(0, len(request), size)]
    answers = await until_closed(server.port, *cut, pause_s=0.01)
    assert answers.statuses == [431]
    assert server.app.asked == []


async def test_a_header_that_never_ends_is_refused_once_it_is_too_large(server: Server) -> None:
    assert (await until_closed(server.port, b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000)).statuses == [
        431
    ]


@pytest.mark.parametrize("first", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_connection_without_a_whole_header_is_closed(server: Server, first: bytes) -> None:
    answers = await until_closed(server.port, first)
    assert answers.data == b""
    assert server.refusals == ["head_too_slow"]


async def test_a_dribbled_header_is_closed_though_bytes_keep_coming(server: Server) -> None:
    dribble = [bytes([byte]) for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 500]
    answers = await until_closed(server.port, *dribble, pause_s=0.02)
    assert answers.data == b""
    assert server.app.asked == []


async def test_an_idle_connection_is_closed_after_its_answer(server: Server) -> None:
    answers = await until_closed(server.port, post(b"hello", FIVE))
    assert answers.statuses == [200]
    assert b"connection: close" not in answers.head
    assert server.refusals == []  # idling is no offence


async def test_a_second_header_has_its_own_deadline(server: Server) -> None:
    answers = await until_closed(server.port, post(b"hello", FIVE), b"POST /x HT", pause_s=0.1)
    assert answers.statuses == [200]
    assert server.refusals == ["head_too_slow"]


async def test_pipelined_requests_are_answered_one_after_another(server: Server) -> None:
    requests = [
        b"POST /%d HTTP/1.1\r\n%bContent-Length: 5\r\n\r\nhello" % (number, HOST)
        for number in range(1_000)
    ]
    answers = await answers_of(server.port, 1_000, *requests)
    assert answers.statuses == [200] * 1_000
    assert [path for _, path, _ in server.app.asked] == [b"/%d" % n for n in range(1_000)]
    assert answers.data.endswith(b"POST /999 5")


async def test_a_chunked_body_is_read_and_ends_the_connection(server: Server) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
    answers = await until_closed(
        server.port, post(b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" + smuggled, CHUNKED)
    )
    assert answers.statuses == [200]
    assert server.app.asked == [("POST", b"/x", b"hello")]


@pytest.mark.parametrize(
    "head", [b"GET /a HTTP/1.0\r\n", b"GET /a HTTP/1.1\r\nConnection: close\r\n"]
)
async def test_the_connection_ends_when_the_client_wants_it_so(server: Server, head: bytes) -> None:
    answers = await until_closed(server.port, head + HOST + b"\r\n")
    assert answers.body == b"GET /a 0"
    assert b"connection: close" in answers.head


async def test_http_1_0_is_never_kept_alive(server: Server) -> None:
    request = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert b"connection: close" in (await until_closed(server.port, request)).head


async def test_an_offer_of_another_protocol_is_not_taken(server: Server) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"
    answers = await answers_of(server.port, 1, post(b"hello", offer, FIVE))
    assert answers.body == b"POST /x 5"


async def test_a_client_that_waits_to_be_asked_for_the_body_is_asked(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(post(b"", FIVE, b"Expect: 100-continue"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_fault_of_the_application_shows_nothing(server: Server) -> None:
    answers = await until_closed(server.port, b"GET /boom HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answers.statuses == [500]
    assert b"secret" not in answers.data
    assert b'"request_id"' in answers.body


async def test_connections_beyond_the_limit_are_refused_and_room_comes_back(server: Server) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
    refused = await until_closed(server.port)
    assert refused.statuses == [503]
    assert "connections" in server.refusals
    for reader, _ in silent:
        assert await reader.read() == b""  # closed, as no header came
    answers = await answers_of(server.port, 1, post(b"hello", FIVE))
    assert answers.statuses == [200]
    for _, writer in silent:
        writer.close()


async def test_a_client_that_does_not_take_its_answer_is_cut_off() -> None:
    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})

    refusals: list[str] = []
    site = Site("public", endless, "127.0.0.1", 0, LIMITS, refusals.append)
    async with serving([site]) as addresses:
        _, writer = await asyncio.open_connection("127.0.0.1", addresses["public"].port)
        writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        async with asyncio.timeout(10):
            while not refusals:
                await asyncio.sleep(0.05)
        writer.close()
    assert refusals == ["answer_not_taken"]


async def test_a_body_that_does_not_come_in_time_is_408(server: Server) -> None:
    answers = await until_closed(server.port, post(b"h", FIVE))
    assert answers.statuses == [408]
    assert server.refusals == ["body_too_slow"]
    assert server.app.asked == []


async def test_a_dribbled_body_is_408_though_bytes_keep_coming(server: Server) -> None:
    dribble = [b"x"] * 200
    answers = await until_closed(
        server.port, post(b"", b"Content-Length: 200"), *dribble, pause_s=0.02
    )
    assert answers.statuses == [408]
    assert server.app.asked == []


async def test_b9_a_chunk_extension_without_end_is_cut_off(server: Server) -> None:
    begun = post(b"5;note=", CHUNKED)
    answers = await until_closed(server.port, begun, *[b"x" * 20] * 200, pause_s=0.02)
    assert answers.statuses in ([400], [408])
    assert server.app.asked == []


async def test_what_a_connection_held_goes_with_it_and_waits_for_no_collector(
    server: Server,
) -> None:
    async def none_left() -> None:
        while any(isinstance(one, Connection | RequestReader) for one in gc.get_objects()):
            await asyncio.sleep(0.05)

    gc.collect()
    gc.disable()
    try:
        for sent in (post(b"hello", FIVE, b"Connection: close"), post(b"", b"X: a\0b"), b"GE"):
            await until_closed(server.port, sent)
        await asyncio.wait_for(none_left(), 5)
    finally:
        gc.enable()
    assert server.app.asked == [("POST", b"/x", b"hello")]
