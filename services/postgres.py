"""PostgreSQL: a pool that survives restarts of the server, and migrations.

The only module that imports asyncpg. Errors of the network and of a server that goes away become
`TryLater`; a broken constraint stays what it is (`UniqueViolation`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import resources
from typing import Any, Protocol, TypeAlias

import asyncpg

from services.errors import TryLater

UniqueViolation = asyncpg.UniqueViolationError
Row: TypeAlias = Mapping[str, Any]
CONNECTION_FAULTS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InvalidSchemaNameError,
)
"""The schemas are not there, or older than this release."""

NOT_GRANTED = (asyncpg.InsufficientPrivilegeError,)
"""The role of DATABASE_URL may not do this."""

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
ACQUIRE_TIMEOUT_S = 5.0
ROWS_AHEAD = 200
SERVER_SETTINGS = {
    "application_name": "connector",
    "statement_timeout": "10000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
    "timezone": "UTC",
}
BE_WITHIN_PROJECT = "SELECT set_config('connector.project_id', $1, true)"  # for the transaction
MIGRATION_LOCK = 7_215_330_401  # any number, the same in every process


class Queries(Protocol):
    """What code that runs SQL needs: the pool and a transaction both have it."""

    async def execute(self, sql: str, *args: Any) -> None:
        """Run a statement. One whose effect matters says RETURNING and is fetched."""

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once a row, atomically."""

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        """Return all rows."""

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        """Return the first row, or None."""

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""


class ProjectReads(Protocol):
    """What code that reads rows of one project needs."""

    def of_project(self, project_id: str) -> AbstractAsyncContextManager[Queries]:
        """Read what belongs to one project. Raises TryLater when Postgres is away."""


class Postgres:
    """A pool. Each call takes a connection, runs, gives it back; `transaction()` keeps one."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def execute(self, sql: str, *args: Any) -> None:
        """Run a statement. Raises TryLater when Postgres is away."""
        async with self._connection() as connection:
            await connection.execute(sql, *args)

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once a row, atomically. Raises TryLater when Postgres is away."""
        async with self._connection() as connection:
            await connection.executemany(sql, rows)

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        """Return all rows. Raises TryLater when Postgres is away."""
        async with self._connection() as connection:
            rows: list[Row] = await connection.fetch(sql, *args)
            return rows

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        """Return the first row, or None. Raises TryLater when Postgres is away."""
        async with self._connection() as connection:
            row: Row | None = await connection.fetchrow(sql, *args)
            return row

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, or None. Raises TryLater as `fetch`."""
        async with self._connection() as connection:
            return await connection.fetchval(sql, *args)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Queries]:
        """Run what is inside in one transaction. Never call the outside while it is open."""
        async with self._connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def of_project(self, project_id: str) -> AsyncIterator[Queries]:
        """Read in one transaction that sees rows of this project alone, by the server's own rule.

        A second wall behind each query's own condition: see `_build_walls`, which says for whom.
        """
        async with self.transaction() as database:
            await database.fetchval(BE_WITHIN_PROJECT, project_id)
            yield database

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["Snapshot"]:
        """Read, at leisure, what all tables held at one moment. Raises TryLater as `fetch`."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Snapshot(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                try:
                    yield connection
                except asyncpg.InternalClientError:
                    connection.terminate()  # cut off in mid-operation, it never works again
                    raise
        except (
            OSError,
            TimeoutError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            asyncpg.PostgresConnectionError,
            asyncpg.OperatorInterventionError,
            asyncpg.InsufficientResourcesError,
            asyncpg.QueryCanceledError,
            asyncpg.LockNotAvailableError,
            asyncpg.DeadlockDetectedError,
        ) as error:
            message = f"Postgres did not answer ({type(error).__name__}); it is tried again"
            raise TryLater(message, reason="postgres_down") from error


class Snapshot:
    """What all tables held at one moment; rows come a few at a time, however many there are."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""
        return await self._connection.fetchval(sql, *args)

    async def rows(self, sql: str, *args: Any) -> AsyncIterator[Row]:
        """Give row after row."""
        async for row in self._connection.cursor(sql, *args, prefetch=ROWS_AHEAD):
            yield row


@asynccontextmanager
async def open_postgres(
    url: str, *, min_size: int = 1, max_size: int = 10
) -> AsyncIterator[Postgres]:
    """Open a pool on `url`; JSON columns come and go as Python values.

    Raises:
        TryLater: the server cannot be reached now.
    """
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            max_inactive_connection_lifetime=60.0,
            server_settings=SERVER_SETTINGS,
            init=_read_json_as_values,
            reset=_leave_as_it_is,
        )
    except CONNECTION_FAULTS as error:
        message = f"Postgres cannot be reached ({type(error).__name__}): check DATABASE_URL"
        raise TryLater(message, reason="postgres_down") from error
    try:
        yield Postgres(pool)
    finally:
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()


async def _leave_as_it_is(_connection: asyncpg.Connection) -> None:
    """Spare each statement the second round trip of asyncpg's own reset.

    That undoes what a session keeps: settings, advisory locks, cursors, listeners. We leave none:
    what we set holds for the transaction, and asyncpg rolls back one that is still open.
    """


async def _read_json_as_values(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )


# In a schema of its own: since PostgreSQL 15 whoever may create schemas may not create in `public`.
CREATE_LEDGER = """
CREATE SCHEMA IF NOT EXISTS migrations;
CREATE TABLE IF NOT EXISTS migrations.applied (
    owner text NOT NULL, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, name)
)
"""
HAS_LEDGER = "SELECT to_regclass('migrations.applied') IS NOT NULL"
LIST_APPLIED = "SELECT name FROM migrations.applied WHERE owner = $1"
NOTE_APPLIED = "INSERT INTO migrations.applied (owner, name) VALUES ($1, $2)"


async def migrate(url: str, owners: Sequence[str]) -> list[str]:
    """Apply what is missing of each package's `migrations/*.sql`, in order; safe twice at once.

    Args:
        url: of a role that may create schemas.
        owners: packages, e.g. `token_service`.

    Returns:
        The names applied now, as `owner/name`.
    """
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    applied_now: list[str] = []
    try:
        await _be_the_only_one(connection)
        if not await connection.fetchval(HAS_LEDGER):
            await connection.execute(CREATE_LEDGER)
        for owner in owners:
            done = {row["name"] for row in await connection.fetch(LIST_APPLIED, owner)}
            for name, sql in _migrations_of(owner):
                if name in done:
                    continue
                async with connection.transaction():
                    await connection.execute(sql)
                    await connection.execute(NOTE_APPLIED, owner, name)
                applied_now.append(f"{owner}/{name}")
    finally:
        await connection.close(timeout=5)  # ends the session, and with it the lock
    return applied_now


async def _be_the_only_one(connection: asyncpg.Connection) -> None:
    """Wait until nobody else migrates or grants; the lock ends with the session."""
    await connection.execute("SET lock_timeout = '60s'")
    await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)


def _migrations_of(owner: str) -> list[tuple[str, str]]:
    folder = resources.files(owner) / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(name, (folder / name).read_text(encoding="utf-8")) for name in names]


async def pending_migrations(url: str, owners: Sequence[str]) -> list[str]:
    """Return the migrations, as `owner/name`, that `migrate` would apply now."""
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    try:
        ledger = await connection.fetchval(HAS_LEDGER)
        pending: list[str] = []
        for owner in owners:
            rows = await connection.fetch(LIST_APPLIED, owner) if ledger else []
            done = {row["name"] for row in rows}
            pending += [f"{owner}/{name}" for name, _ in _migrations_of(owner) if name not in done]
        return pending
    finally:
        await connection.close(timeout=5)


WORKER_GRANTS = (
    "GRANT USAGE ON SCHEMA mirror, migrations TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA migrations TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mirror TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA mirror TO {role}",
    # what happened stays written: the worker adds to the log and never rewrites it
    "REVOKE UPDATE, DELETE ON mirror.activity FROM {role}",
)
TOKEN_GRANTS = (
    "GRANT USAGE ON SCHEMA authority, migrations TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA migrations TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA authority TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA authority TO {role}",
    "REVOKE UPDATE, DELETE ON authority.audit, authority.audit_seals FROM {role}",
    # the pages show progress and activity of projects and write nothing there; keys and intents,
    # which belong to no project, are none of theirs
    "GRANT USAGE ON SCHEMA mirror TO {role}",
    "REVOKE ALL ON ALL TABLES IN SCHEMA mirror FROM {role}",
    # but for one thing: their calls on Procore are made at the pace that workers keep with them
    "GRANT SELECT, INSERT, UPDATE ON mirror.pacing TO {role}",
)
LIST_PROJECT_TABLES = """
SELECT c.oid::regclass::text AS name, c.relrowsecurity AS walled, EXISTS (
    SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = $1) AS known
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'mirror'::regnamespace AND c.relkind IN ('r', 'p')
  AND a.attname = 'project_id' AND NOT a.attisdropped ORDER BY name
"""
# the grants above say who may do what; this one only says that no row is out of sight by itself
RAISE_WALL = (
    "CREATE POLICY everybody ON {table} USING (true) WITH CHECK (true)",
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
)
SEE_ONE_PROJECT = """
CREATE POLICY {role} ON {table} AS RESTRICTIVE TO {role}
USING (project_id = current_setting('connector.project_id', true))
"""


async def grant_roles(url: str, *, worker_role: str | None, token_role: str | None) -> None:
    """Give two existing roles what the worker and the token service need, and nothing else.

    Raises:
        ValueError: a role does not exist.
    """
    if worker_role is not None and worker_role == token_role:
        message = "the workers and the token service each need a role of their own"
        raise ValueError(message)
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    try:
        # two that grant the same at once would end in "tuple concurrently updated"
        await _be_the_only_one(connection)
        async with connection.transaction():
            for role, grants in ((worker_role, WORKER_GRANTS), (token_role, TOKEN_GRANTS)):
                if role is None:
                    continue
                if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname=$1", role):
                    message = f"the role {role!r} does not exist: create it first (CREATE ROLE)"
                    raise ValueError(message)
                quoted = await connection.fetchval("SELECT quote_ident($1)", role)
                for grant in grants:
                    await connection.execute(grant.format(role=quoted))
                if role == token_role:
                    await _build_walls(connection, role, quoted)
    finally:
        await connection.close(timeout=5)


async def _build_walls(connection: asyncpg.Connection, role: str, quoted: str) -> None:
    """Let the token service's role read mirror's tables one project a transaction, and only so.

    The workers serve all projects at once: for them, and for the tables' owner, nothing changes.
    """
    await connection.execute("SET LOCAL lock_timeout = '5s'")
    for table in await connection.fetch(LIST_PROJECT_TABLES, role):
        name = table["name"]
        if not table["walled"]:
            for step in RAISE_WALL:
                await connection.execute(step.format(table=name))
        if not table["known"]:
            await connection.execute(SEE_ONE_PROJECT.format(role=quoted, table=name))
        await connection.execute(f"GRANT SELECT ON {name} TO {quoted}")
