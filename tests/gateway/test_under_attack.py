"""Promise A23: who holds connections and sends without end costs authentic senders nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle
from typing import TypeAlias

import psutil
import pytest

from schemas.notices import PROCORE_NOTICES
from tests.gateway.stage import HOST, V4, procore
from tests.gateway.test_gateway_program import Program, gateway
from tests.kafka_topics import records_of, with_topics

pytestmark = pytest.mark.kafka
SILENT, ENDLESS = 500, 50
MOST_MEMORY_BYTES = 200 * 2**20
LEAST_DELIVERIES = 150
Attack: TypeAlias = Callable[..., Awaitable[None]]
CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


async def test_b1_b6_b21_500_silent_connections_and_50_endless_bodies_starve_nobody(
    kafka_bootstrap: str,
) -> None:
    settings = await with_topics(kafka_bootstrap)
    async with gateway(settings) as program:
        await program.until_ready()
        process = psutil.Process(program.process.pid)
        most, connections, delivered = 0, 0, 0
        async with _attackers(program.port):
            # until the silent ones of the first wave were let go, and all the while afterwards
            async with asyncio.timeout(60):
                while delivered < LEAST_DELIVERIES or not await _refused(program, "head_too_slow"):
                    delivered += 1
                    event = V4 | {"id": f"E{delivered}", "resource_id": str(delivered)}
                    assert (await program.send(procore(event))).statuses == [204]
                    most = max(most, process.memory_info().rss)
                    connections = max(connections, len(process.net_connections("tcp")))
        assert connections > SILENT  # they were there together
        assert most <= MOST_MEMORY_BYTES, f"{most / 2**20:.0f} MiB"
        assert program.process.returncode is None
        assert len(program.log) < 20  # strangers do not decide how much is logged
        records = await records_of(settings, PROCORE_NOTICES)
    assert len(records) == delivered


@asynccontextmanager
async def _attackers(port: int) -> AsyncIterator[None]:
    """Keep up so many connections that are silent, or send without end; each comes back at once."""
    heads = cycle(
        [
            procore(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"),
            procore(b"", authorization=b"Bearer no", length=10 * 2**30),
            b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: ",
        ]
    )
    tasks = [asyncio.create_task(_again_and_again(_silent, port)) for _ in range(SILENT)]
    tasks += [
        asyncio.create_task(_again_and_again(_endless, port, next(heads))) for _ in range(ENDLESS)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _again_and_again(attack: Attack, port: int, *args: bytes) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.2)
            continue
        try:
            await attack(reader, writer, *args)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
        await asyncio.sleep(0.05)


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the other end closes


async def _endless(
    _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
) -> None:
    writer.write(head)
    while not writer.is_closing():
        writer.write(CHUNK)
        await writer.drain()
        await asyncio.sleep(0.01)


async def _refused(program: Program, reason: str) -> bool:
    text = (await program.get("/metrics", program.metrics_port)).body.decode()
    wanted = f'connector_http_refusals_total{{reason="{reason}"}} '
    return any(
        line.startswith(wanted) and float(line.removeprefix(wanted)) >= SILENT / 2
        for line in text.splitlines()
    )
