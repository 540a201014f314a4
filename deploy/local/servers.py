"""The Kafka and the PostgreSQL that a run works with: its own, or those the environment names."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import LocalKafka, start_kafka
from deploy.local.postgres import LocalPostgres, start_postgres
from deploy.local.runs import DATA_FOLDER, Run, open_run


@dataclass(frozen=True, kw_only=True)
class LocalServers:
    """Where the servers are, and the run to start programs in that end with them."""

    run: Run
    kafka_bootstrap: str  # host:port, several separated by commas
    database_url: str  # of somebody who may create schemas, roles and databases
    kafka: LocalKafka | None  # None where KAFKA_BOOTSTRAP_SERVERS named another
    postgres: LocalPostgres | None  # None where DATABASE_URL named another

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which programs find the servers."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap,
            "DATABASE_URL": self.database_url,
        }


@contextlib.asynccontextmanager
async def local_servers(data_folder: Path = DATA_FOLDER) -> AsyncIterator[LocalServers]:
    """Start what the environment does not name, and stop all of it with the run.

    Raises:
        DownloadFailed, ProgramFailed: a server could not be had or started.
    """
    async with open_run(data_folder) as run:
        kafka, postgres = await _start_both(run, data_folder / "cache")
        yield LocalServers(
            run=run,
            kafka_bootstrap=kafka.bootstrap_servers if kafka else named_kafka(),
            database_url=postgres.url if postgres else named_database(),
            kafka=kafka,
            postgres=postgres,
        )


def named_kafka() -> str:
    """Return the Kafka that the environment names, or nothing."""
    return os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")


def named_database() -> str:
    """Return the database that the environment names, or nothing."""
    return os.environ.get("DATABASE_URL", "")


async def _start_both(run: Run, cache: Path) -> tuple[LocalKafka | None, LocalPostgres | None]:
    try:
        async with asyncio.TaskGroup() as starting:
            kafka = None if named_kafka() else starting.create_task(start_kafka(run, cache))
            postgres = None if named_database() else starting.create_task(start_postgres(run))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None  # the other one was only called off
    return kafka.result() if kafka else None, postgres.result() if postgres else None
