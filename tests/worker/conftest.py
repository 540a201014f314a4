"""A bench for each test, on a database of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.postgres import migrate, open_postgres
from tests.worker.bench import Bench

QUICK_S = 0.05


@pytest.fixture
def quick_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let loops look at their database often: one that nobody wakes would rest for a second."""
    for module in ("sync_worker.inbound.looking", "sync_worker.sweeping"):
        for rest in ("LONGEST_REST_S", "PAUSE_AFTER_FAULT_S"):
            monkeypatch.setattr(f"{module}.{rest}", QUICK_S)


@pytest_asyncio.fixture
async def bench(database: str, quick_loops: None) -> AsyncIterator[Bench]:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database, max_size=12) as pool:
        yield Bench(pool)
