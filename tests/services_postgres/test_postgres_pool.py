"""The pool survives what a restarting server does to its connections."""

import asyncpg
import pytest

from services.errors import TryLater
from services.postgres import open_postgres

pytestmark = pytest.mark.postgres


async def test_a_connection_cut_off_in_mid_operation_is_retired(database: str) -> None:
    async with open_postgres(database, min_size=1, max_size=1) as postgres:
        first = await postgres.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(TryLater, match="InternalClientError") as caught:
            async with postgres.transaction():
                # what asyncpg says of a connection whose server went away in the wrong moment
                raise asyncpg.InternalClientError("cannot switch to state 11")
        assert caught.value.reason == "postgres_down"
        assert await postgres.fetchval("SELECT pg_backend_pid()") != first


async def test_a_killed_backend_costs_one_try(database: str) -> None:
    async with open_postgres(database, min_size=1, max_size=1) as postgres:
        with pytest.raises(TryLater):
            await postgres.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
        assert await postgres.fetchval("SELECT 1") == 1
