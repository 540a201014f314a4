"""The whole system, started once for all tests that only use it and break nothing."""

from collections.abc import AsyncIterator

import pytest_asyncio

from connector.demo.stack import Stack
from tests.stack.stacks import running_stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_stack(kafka_bootstrap: str, database_url: str) -> AsyncIterator[Stack]:
    """A system that is up, its stand-ins not seeded yet."""
    async with running_stack(kafka_bootstrap, database_url) as stack:
        yield stack
