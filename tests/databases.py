"""An empty database for one test, or for one stack of programs."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg


@asynccontextmanager
async def fresh_database(server_url: str) -> AsyncIterator[str]:
    """Give the URL of an empty database on that server; it is gone afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    await _at_server(server_url, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        await _at_server(server_url, f"DROP DATABASE {name} WITH (FORCE)")


async def _at_server(server_url: str, command: str) -> None:
    server = await asyncpg.connect(server_url)  # its own, as a test may restart the server
    try:
        await server.execute(command)
    finally:
        await server.close()
