"""`connector migrate` and `connector topics` on a real PostgreSQL and a real Kafka."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local.ports import free_port
from schemas.notices import TOPICS
from services.kafka import check
from services.postgres import open_postgres
from tests.kafka_topics import kafka_settings
from tests.operators.running import connector


@dataclass(frozen=True)
class Roles:
    """Login roles of a server, and the URLs with which each comes into one database."""

    database: str
    worker: str
    token: str
    migrator: str

    def url_of(self, role: str) -> str:
        parts = urlsplit(self.database)
        return parts._replace(netloc=f"{role}:pw@{parts.hostname}:{parts.port}").geturl()


@pytest.fixture
async def roles(database: str) -> AsyncIterator[Roles]:
    """Three roles of which one may create schemas in the database, and nothing more."""
    tag = secrets.token_hex(4)
    made = Roles(database, f"worker_{tag}", f"token_{tag}", f"migrator_{tag}")
    server = await asyncpg.connect(database)
    try:
        for role in (made.worker, made.token, made.migrator):
            await server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
        name = urlsplit(database).path.removeprefix("/")
        await server.execute(f"GRANT CREATE ON DATABASE {name} TO {made.migrator}")
        yield made
        for role in (made.worker, made.token, made.migrator):
            await server.execute(f"DROP OWNED BY {role} CASCADE")
            await server.execute(f"DROP ROLE {role}")
    finally:
        await server.close()


@pytest.mark.postgres
async def test_migrate_makes_the_schemas_and_then_has_nothing_to_do(database: str) -> None:
    environment = {"DATABASE_URL": database}
    first = await connector("migrate", environment=environment)
    assert first.code == 0, first.said
    assert "applied  token_service/0001" in first.out
    assert "applied  sync_worker/0001" in first.out
    again = await connector("migrate", environment=environment)
    assert (again.code, again.out) == (0, "The database is up to date.\n")


@pytest.mark.postgres
async def test_migrate_is_safe_four_times_at_once_with_roles(roles: Roles) -> None:
    environment = {"DATABASE_URL": roles.url_of(roles.migrator)}
    command = ("migrate", "--worker-role", roles.worker, "--token-role", roles.token)
    ended = await asyncio.gather(*(connector(*command, environment=environment) for _ in range(4)))
    assert [one.code for one in ended] == [0] * 4, [one.said for one in ended]
    assert sum("applied  sync_worker/0001" in one.out for one in ended) == 1


SHARE_A_PACE = """
INSERT INTO mirror.pacing (user_id, last_begun_at) VALUES ('anna', now())
ON CONFLICT (user_id) DO UPDATE SET under_way = 0
"""


@pytest.mark.postgres
async def test_each_role_gets_what_it_needs_and_nothing_else(roles: Roles) -> None:
    command = ("migrate", "--worker-role", roles.worker, "--token-role", roles.token)
    environment = {"DATABASE_URL": roles.url_of(roles.migrator)}
    ended = await connector(*command, environment=environment)
    assert ended.code == 0, ended.said
    may = {
        roles.worker: {
            "SELECT count(*) FROM mirror.records",
            "DELETE FROM mirror.looks",
            "SELECT mirror.this_server()",
        },
        roles.token: {
            "SELECT count(*) FROM authority.grants",
            "SELECT * FROM mirror.activity",
            SHARE_A_PACE,
        },
    }
    may_not = {
        roles.worker: {
            "SELECT * FROM authority.grants",
            "SELECT * FROM authority.connections",
            "UPDATE mirror.activity SET words = ''",
            "DELETE FROM mirror.activity",
            "CREATE TABLE mirror.own ()",
            "INSERT INTO migrations.applied VALUES ('sync_worker', 'x')",
        },
        roles.token: {
            "UPDATE mirror.records SET title = ''",
            "DELETE FROM mirror.looks",
            "INSERT INTO mirror.sweeps VALUES ('p', 'rfi')",
            "SELECT install_key FROM mirror.install",
            "SELECT * FROM mirror.write_intents",
            "DELETE FROM mirror.pacing",
            "DELETE FROM authority.audit",
            "UPDATE authority.audit_seals SET lines = 0",
            "UPDATE authority.audit SET actor = ''",
            "CREATE TABLE authority.own ()",
        },
    }
    for role, statements in may.items():
        session = await asyncpg.connect(roles.url_of(role))
        for statement in sorted(statements):
            await session.execute(statement)
        for statement in sorted(may_not[role]):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.execute(statement)
        await session.close()


@pytest.mark.postgres
async def test_d14_the_pages_role_sees_one_project_a_transaction_whatever_a_query_forgets(
    roles: Roles,
) -> None:
    command = ("migrate", "--worker-role", roles.worker, "--token-role", roles.token)
    environment = {"DATABASE_URL": roles.url_of(roles.migrator)}
    for _ in range(2):  # again at each release
        ended = await connector(*command, environment=environment)
        assert ended.code == 0, ended.said
    careless = "SELECT project_id FROM mirror.activity ORDER BY id"
    async with open_postgres(roles.url_of(roles.worker)) as worker:
        for project_id in ("harbour", "chapel"):
            await worker.execute(
                "INSERT INTO mirror.activity (project_id, event, words) VALUES ($1, 'x', 'x')",
                project_id,
            )
        assert len(await worker.fetch(careless)) == 2  # workers serve all projects
        walled = await worker.fetch(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = 'mirror' AND column_name = 'project_id'"
        )
    async with open_postgres(roles.url_of(roles.token), max_size=1) as pages:
        assert await pages.fetch(careless) == []
        for project_id in ("harbour", "chapel"):
            async with pages.of_project(project_id) as mirror:
                assert [row["project_id"] for row in await mirror.fetch(careless)] == [project_id]
        assert await pages.fetch(careless) == []  # the same connection, a transaction later
        known = await pages.fetch(
            "SELECT tablename FROM pg_policies WHERE schemaname = 'mirror' AND policyname = $1 "
            "AND permissive = 'RESTRICTIVE' AND roles = ARRAY[$1]::name[]",
            roles.token,
        )
    assert len(walled) > 8
    assert {row["tablename"] for row in known} == {row["table_name"] for row in walled}


@pytest.mark.postgres
async def test_migrate_names_a_role_that_is_not_there(database: str) -> None:
    command = ("migrate", "--worker-role", "nobody_at_all")
    ended = await connector(*command, environment={"DATABASE_URL": database})
    assert ended.code == 1
    assert "'nobody_at_all' does not exist" in ended.err


@pytest.mark.postgres
async def test_migrate_wants_two_roles_and_not_one_twice(roles: Roles) -> None:
    command = ("migrate", "--worker-role", roles.worker, "--token-role", roles.worker)
    ended = await connector(*command, environment={"DATABASE_URL": roles.database})
    assert ended.code == 1
    assert "a role of their own" in ended.err


@pytest.mark.postgres
async def test_migrate_says_what_a_role_without_rights_lacks(roles: Roles) -> None:
    ended = await connector("migrate", environment={"DATABASE_URL": roles.url_of(roles.worker)})
    assert ended.code == 1
    assert "GRANT CREATE ON DATABASE" in ended.err


async def test_migrate_without_a_postgres_says_so_and_hides_the_password() -> None:
    url = f"postgresql://me:canary@127.0.0.1:{free_port()}/db"
    ended = await connector("migrate", environment={"DATABASE_URL": url})
    assert ended.code == 1
    assert "DATABASE_URL" in ended.err
    assert "canary" not in ended.said


@pytest.mark.kafka
async def test_topics_are_made_once_and_then_left_alone(kafka_bootstrap: str) -> None:
    settings = kafka_settings(kafka_bootstrap)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": settings.topic_prefix,
    }
    first = await connector("topics", "--partitions", "2", environment=environment)
    assert first.code == 0, first.said
    for topic in TOPICS:
        assert f"made     {settings.topic_prefix}{topic}" in first.out
    await check(settings)
    again = await connector("topics", environment=environment)
    assert (again.code, again.out) == (0, "All topics are there.\n")


@pytest.mark.kafka
async def test_topics_are_made_by_two_at_once(kafka_bootstrap: str) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": f"t{secrets.token_hex(4)}.",
    }
    ended = await asyncio.gather(*(connector("topics", environment=environment) for _ in "ab"))
    assert [one.code for one in ended] == [0, 0], [one.said for one in ended]


@pytest.mark.kafka
async def test_topics_says_when_there_are_not_enough_brokers(kafka_bootstrap: str) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": f"t{secrets.token_hex(4)}.",
    }
    ended = await connector("topics", "--replication", "5", environment=environment)
    assert ended.code == 1
    assert "Replication" in ended.err


async def test_topics_without_a_kafka_says_where_it_looked() -> None:
    where = f"127.0.0.1:{free_port()}"
    ended = await connector("topics", environment={"KAFKA_BOOTSTRAP_SERVERS": where})
    assert ended.code == 1
    assert where in ended.err
    assert len(ended.err.splitlines()) == 1
