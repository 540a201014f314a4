import asyncio
import json
import socket

import pytest
from starlette.applications import Starlette

from services.errors import TryLater
from services.health import Health, health_routes, metrics_app
from services.http_exchange import Receive, Scope, Send
from services.http_server import Site, serve, serving
from services.metrics import Metrics
from tests.http_server.raw import Answers, answers_of, until_closed


async def get(port: int, path: str) -> Answers:
    return await answers_of(port, 1, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


async def hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_several_sites_listen_on_ports_of_their_own() -> None:
    sites = [Site(name, hello, "127.0.0.1", 0) for name in ("public", "internal")]
    async with serving(sites) as addresses:
        assert addresses["public"].port != addresses["internal"].port
        for address in addresses.values():
            assert (await get(address.port, "/")).body == b"hello"


async def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}"):
            async with serving([Site("public", hello, "127.0.0.1", port)]):
                pass


async def test_a_request_under_way_is_finished_before_the_end() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        reached.set()
        await go_on.wait()
        await hello(scope, receive, send)

    async with serving([Site("public", slow, "127.0.0.1", 0)]) as addresses:
        answer = asyncio.create_task(get(addresses["public"].port, "/"))
        await reached.wait()
        asyncio.get_running_loop().call_later(
            0.5, go_on.set
        )  # well after the server is told to end
    (answered,) = await asyncio.gather(answer, return_exceptions=True)
    assert getattr(answered, "body", answered) == b"hello"


async def test_serving_ends_when_it_is_told_to() -> None:
    stop = asyncio.Event()
    server = asyncio.create_task(serve([Site("public", hello, "127.0.0.1", 0)], stop))
    await asyncio.sleep(0.1)
    assert not server.done()
    stop.set()
    async with asyncio.timeout(10):
        await server


async def test_an_answer_that_is_streamed_reaches_the_client_piece_by_piece() -> None:
    go_on = asyncio.Event()

    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    async with serving([Site("public", stream, "127.0.0.1", 0)]) as addresses:
        reader, writer = await asyncio.open_connection("127.0.0.1", addresses["public"].port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in await reader.readuntil(b"\r\n\r\n")  # before there is any body
        go_on.set()
        assert await reader.readuntil(b"0\r\n\r\n") == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        writer.close()


async def test_an_answer_of_another_length_than_announced_cuts_the_connection() -> None:
    async def liar(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"9")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"short"})

    async with serving([Site("public", liar, "127.0.0.1", 0)]) as addresses:
        port = addresses["public"].port
        answers = await until_closed(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    assert len(answers.statuses) <= 1


async def fine() -> None:
    """A dependency that is there."""


async def away() -> None:
    raise TryLater("Kafka is away; look at the brokers", reason="kafka_down")


async def leaky() -> None:
    raise ValueError("postgresql://user:password@host/")


async def silent() -> None:
    await asyncio.sleep(60)


async def test_readiness_names_each_dependency_and_what_is_wrong() -> None:
    checks = {"good": fine, "kafka": away, "postgres": leaky, "slow": silent}
    app = Starlette(routes=health_routes(Health(checks, timeout_s=0.1)))
    async with serving([Site("public", app, "127.0.0.1", 0)]) as addresses:
        answers = await get(addresses["public"].port, "/readyz")
    assert answers.statuses == [503]
    assert json.loads(answers.body) == {
        "status": "not ready",
        "checks": {
            "good": {"ok": True},
            "kafka": {"ok": False, "reason": "Kafka is away; look at the brokers"},
            "postgres": {"ok": False, "reason": "ValueError"},
            "slow": {"ok": False, "reason": "no answer within 0.1 s"},
        },
    }


async def test_many_askers_cause_one_check() -> None:
    asked = 0

    async def count() -> None:
        nonlocal asked
        asked += 1

    health = Health({"kafka": count}, remembered_s=60)
    await asyncio.gather(*(health.faults() for _ in range(50)))
    assert asked == 1


async def test_liveness_does_not_depend_on_others() -> None:
    health = Health({"kafka": away}, alive={"poll": lambda: None})
    stuck = Health({}, alive={"poll": lambda: "no poll for 99 s"})
    metrics = Metrics()
    sites = [
        Site("alive", metrics_app(metrics, health), "127.0.0.1", 0),
        Site("stuck", metrics_app(metrics, stuck), "127.0.0.1", 0),
    ]
    async with serving(sites) as addresses:
        assert (await get(addresses["alive"].port, "/livez")).statuses == [200]
        assert (await get(addresses["stuck"].port, "/livez")).statuses == [503]


async def test_metrics_are_shown_and_strangers_add_no_series() -> None:
    metrics = Metrics()
    counter = metrics.counter("notices", "Notices seen.", {"side": ("procore", "part3")})
    counter.add("procore")
    counter.add("x' or 1=1")
    counter.add("another")
    async with serving([Site("m", metrics_app(metrics, Health({})), "127.0.0.1", 0)]) as addresses:
        text = (await get(addresses["m"].port, "/metrics")).body.decode()
    assert 'notices_total{side="procore"} 1.0' in text
    assert 'notices_total{side="other"} 2.0' in text
    assert "1=1" not in text
