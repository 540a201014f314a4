"""The real Kafka and PostgreSQL that tests share: started by the first test that wants them."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from deploy.local.kafka import LocalKafka, start_kafka
from deploy.local.postgres import LocalPostgres, start_postgres
from deploy.local.runs import DATA_FOLDER, Run, open_run
from deploy.local.servers import named_database, named_kafka
from tests.databases import fresh_database
from tests.sharing_out import group_of, spread

# how long an example takes is the machine's doing, and other work shares it
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def local_run() -> AsyncIterator[Run]:
    """The session's run; programs started in it end with the session."""
    async with open_run(DATA_FOLDER) as run:
        yield run


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_kafka(local_run: Run) -> LocalKafka | None:
    return None if named_kafka() else await start_kafka(local_run, DATA_FOLDER / "cache")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_postgres(local_run: Run) -> LocalPostgres | None:
    return None if named_database() else await start_postgres(local_run)


@pytest.fixture(scope="session")
def kafka_bootstrap(shared_kafka: LocalKafka | None) -> str:
    """host:port of a real Kafka; topics are the test's own to make, under names of its own."""
    return shared_kafka.bootstrap_servers if shared_kafka else named_kafka()


@pytest.fixture(scope="session")
def database_url(shared_postgres: LocalPostgres | None) -> str:
    """URL of a real PostgreSQL, of somebody who may create databases and roles."""
    return shared_postgres.url if shared_postgres else named_database()


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[str]:
    """URL of an empty database of the test's own."""
    async with fresh_database(database_url) as url:
        yield url


@pytest_asyncio.fixture
async def local_kafka(shared_kafka: LocalKafka | None) -> AsyncIterator[LocalKafka]:
    """The Kafka of the session to kill, pause and start again; it runs again afterwards."""
    if shared_kafka is None:
        pytest.skip("KAFKA_BOOTSTRAP_SERVERS names a Kafka that is not ours to kill")
    yield shared_kafka
    shared_kafka.program.resume()
    await shared_kafka.program.start()


@pytest_asyncio.fixture
async def local_postgres(shared_postgres: LocalPostgres | None) -> AsyncIterator[LocalPostgres]:
    """The PostgreSQL of the session to kill, pause and start again; it runs again afterwards."""
    if shared_postgres is None:
        pytest.skip("DATABASE_URL names a PostgreSQL that is not ours to kill")
    yield shared_postgres
    shared_postgres.program.resume()
    await shared_postgres.program.start()


class ByGroup(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Gives each process whole groups, in the order in which they were queued."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Take our groups; `--dist loadgroup` of xdist 3.8 loses its groups with pytest 9.2."""
    return ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Queue the groups, where several processes share the tests; they take them in this order."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(group_of(item.nodeid), []).append(item)
    waits = {
        group: any(item.get_closest_marker("stack") for item in members)
        for group, members in groups.items()
    }
    items[:] = [item for group in spread(waits) for item in groups[group]]
