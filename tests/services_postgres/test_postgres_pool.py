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


async def test_a_statement_is_all_that_is_sent_for_it(database: str) -> None:
    async with open_postgres(database, min_size=1, max_size=1) as postgres:
        backend = await postgres.fetchval("SELECT pg_backend_pid()")
        async with open_postgres(database, min_size=1, max_size=1) as beside:
            last = await beside.fetchval(
                "SELECT query FROM pg_stat_activity WHERE pid = $1", backend
            )
        assert last == "SELECT pg_backend_pid()"


async def test_an_open_transaction_does_not_outlive_who_had_the_connection(database: str) -> None:
    async with open_postgres(database, min_size=1, max_size=1) as postgres:
        await postgres.execute("CREATE TABLE kept (one int)")
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what is inside is the case
            async with postgres.transaction() as transaction:
                await transaction.execute("SET LOCAL statement_timeout = '1s'")
                await transaction.execute("INSERT INTO kept VALUES (1)")
                raise ZeroDivisionError
        assert await postgres.fetchval("SELECT count(*) FROM kept") == 0
        assert await postgres.fetchval("SHOW statement_timeout") == "10s"
