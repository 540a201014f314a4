"""PostgreSQL fails over to a replica that lost its last moments, in which a return was sent.

What the replica does not know is that the return is under way. Procore still has it in its queue,
so looking for its marker finds nothing, and sending it would be the second one.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local import postgres as server
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import LocalPostgres
from deploy.local.runs import Run
from services.errors import OutcomeUnknown
from services.postgres import migrate, open_postgres
from sync_worker.outbound.marker import KEEP_INSTALL_KEY
from tests.outbound.bench import raising_once
from tests.outbound.test_outbound_whole import Hall, Running

pytestmark = pytest.mark.postgres


class Replica:
    """A copy of a whole server as it was at one moment, to be promoted when that one is gone."""

    def __init__(self, run: Run, primary: LocalPostgres) -> None:
        self._run = run
        self._primary = primary
        self._folder = run.folder / "replica"
        self._port = free_port()

    async def copy(self) -> None:
        """Take what the primary has now, and hear nothing of it any more."""
        self._folder.mkdir()
        if server.server_user():
            shutil.chown(self._folder, server.server_user())
        await self._run.complete(
            "pg_basebackup",
            [
                *(server.binary("pg_basebackup"), "-d", self._primary.url),
                *("-D", self._folder / "data", "-c", "fast", "--no-sync", "-X", "fetch"),
            ],
            user=server.server_user(),
            working_folder=self._folder,
        )

    @asynccontextmanager
    async def promoted(self, database: str) -> AsyncIterator[str]:
        """Make it the primary, as a fail-over does, and give the URL of a database on it."""
        (self._folder / "data" / "standby.signal").touch()
        program = self._run.program(
            "replica",
            server.server_command(self._folder / "data", self._port),
            environment=server.PLAIN_LOCALE,
            working_folder=self._folder,
            ready=server.accepts_connections(self._port),
            user=server.server_user(),
        )
        await program.start()
        parts = urlsplit(database)
        netloc = f"{parts.username}:{parts.password}@{LOOPBACK}:{self._port}"
        url = parts._replace(netloc=netloc).geturl()
        try:
            connection = await asyncpg.connect(url)
            assert await connection.fetchval("SELECT pg_promote()")
            await connection.close()
            yield url
        finally:
            program.kill()


async def test_after_a_fail_over_that_lost_the_last_second_a_return_is_not_sent_twice(
    database: str, local_run: Run, local_postgres: LocalPostgres
) -> None:
    await migrate(database, ["sync_worker"])
    replica = Replica(local_run, local_postgres)
    async with open_postgres(database, max_size=4) as primary:
        hall = Hall(primary)
        hall.timing = replace(hall.timing, quiet_s=600)
        await hall.begin()
        await primary.execute(KEEP_INSTALL_KEY, bytes(32))
        await replica.copy()
        hall.procore.fault = raising_once("write.late", OutcomeUnknown("no answer"))
        before = Running(hall.worker("w-1"))
        await hall.until("waiting")
        await before.kill()
    async with replica.promoted(database) as url, open_postgres(url, max_size=4) as promoted:
        hall.postgres = promoted
        assert await promoted.fetchval("SELECT count(*) FROM mirror.write_intents") == 0
        after = Running(hall.worker("w-1"))
        await hall.until("waiting")
        hall.procore.execute_late()
        await hall.ask()
        after.deliveries.wake()
        await hall.until("delivered")
        await after.stop()
    assert hall.procore.executed == 1
