"""`connector revoke-all` at a terminal: it says what it will do and wants the number typed."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.operators.running import KEPT, KEY, connector

COVERED = {"grants": 12, "unchosen": 0, "projects": 3, "waiting": 0, "revoked": False}
COMMAND = ("revoke-all", "--reason", "a key leaked", "--by", "Dana")


class TokenService:
    """Answers every order as one of twelve grants; Procore has been told of all at once."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        self.orders.append(json.loads(await reader.readexactly(length)))
        body = json.dumps(COVERED).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    @property
    def acted(self) -> bool:
        return any(order["act"] for order in self.orders)


@asynccontextmanager
async def token_service() -> AsyncIterator[tuple[TokenService, dict[str, str]]]:
    service = TokenService()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield (
            service,
            {
                "TOKEN_SERVICE_URL": f"http://127.0.0.1:{port}",
                "INTERNAL_API_KEYS": f"i1:{KEY}",
            },
        )


async def typing(line: str, environment: dict[str, str]) -> tuple[int, str]:
    """Run the command at a terminal of its own, with a line typed into it."""
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "connector", *COMMAND),
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={name: os.environ[name] for name in KEPT if name in os.environ} | environment,
        )
        os.write(ours, f"{line}\n".encode())
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
    finally:
        os.close(ours)
        os.close(theirs)
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize(("typed", "acts"), [("12", True), ("", False), ("11", False)])
async def test_only_the_number_typed_revokes(typed: str, acts: bool) -> None:
    async with token_service() as (service, environment):
        code, said = await typing(typed, environment)
    assert code == 0, said
    assert "This revokes 12 authorizations of everybody" in said
    assert "Connected projects that these people own: 3" in said
    assert service.acted is acts
    assert ("Nothing was changed" in said) is not acts


async def test_without_a_terminal_it_only_counts() -> None:
    async with token_service() as (service, environment):
        ended = await connector(*COMMAND, environment=environment)
    assert ended.code == 0
    assert "Nothing was changed" in ended.out
    assert not service.acted


async def test_a_token_service_that_is_away_ends_with_1() -> None:
    environment = {"TOKEN_SERVICE_URL": "http://127.0.0.1:9", "INTERNAL_API_KEYS": f"i1:{KEY}"}
    ended = await connector(*COMMAND, "--yes", environment=environment)
    assert ended.code == 1
    assert "token service" in ended.err
