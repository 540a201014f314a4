"""A bench for each test, on a database of its own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from services.postgres import migrate, open_postgres
from tests.worker.bench import Bench


@pytest_asyncio.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database, max_size=12) as pool:
        yield Bench(pool)
