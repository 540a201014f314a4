import asyncio
import os
import secrets
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from deploy.local.servers import local_servers


async def make_topic(bootstrap: str) -> str:
    topic = f"servers-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    finally:
        await admin.close()
    return topic


async def publish(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value, key=b"project-1")


async def read_all(bootstrap: str, topic: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=f"group-{topic}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as consumer:
        async with asyncio.timeout(30):
            values = [(await consumer.getone()).value for _ in range(count)]
        await consumer.commit()
    return values


@pytest.mark.kafka
async def test_what_is_published_is_consumed_by_a_group(kafka_bootstrap: str) -> None:
    topic = await make_topic(kafka_bootstrap)
    await publish(kafka_bootstrap, topic, b"look again")
    assert await read_all(kafka_bootstrap, topic, 1) == [b"look again"]


@pytest.mark.kafka
async def test_kafka_keeps_what_it_took_when_it_is_killed(local_kafka: LocalKafka) -> None:
    bootstrap = local_kafka.bootstrap_servers
    topic = await make_topic(bootstrap)
    await publish(bootstrap, topic, b"before")
    local_kafka.program.kill()
    assert not local_kafka.program.is_running
    await local_kafka.program.start()
    await publish(bootstrap, topic, b"after")
    assert await read_all(bootstrap, topic, 2) == [b"before", b"after"]


@pytest.mark.kafka
async def test_a_paused_kafka_answers_nobody_until_it_is_resumed(local_kafka: LocalKafka) -> None:
    bootstrap = local_kafka.bootstrap_servers
    topic = await make_topic(bootstrap)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, b"before", key=b"project-1")
        local_kafka.program.pause()
        sent = asyncio.ensure_future(producer.send_and_wait(topic, b"meanwhile", key=b"project-1"))
        done, _ = await asyncio.wait([sent], timeout=1.0)
        assert not done
        local_kafka.program.resume()
        await sent
    assert await read_all(bootstrap, topic, 2) == [b"before", b"meanwhile"]


@pytest.mark.postgres
async def test_each_test_has_an_empty_database(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        schemas = await connection.fetch(
            "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' ORDER BY 1"
        )
        assert [row["nspname"] for row in schemas] == ["information_schema", "public"]
        assert (await connection.fetchval("SHOW server_version")).startswith("18.")
    finally:
        await connection.close()


@pytest.mark.postgres
async def test_postgres_lets_nobody_in_without_the_password(database_url: str) -> None:
    wrong = database_url.replace("@", "x@", 1)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


@pytest.mark.postgres
async def test_postgres_keeps_what_was_committed_when_it_is_killed(
    local_postgres: LocalPostgres, database: str
) -> None:
    before = await asyncpg.connect(database)
    await before.execute("CREATE TABLE kept (id int)")
    await before.execute("INSERT INTO kept VALUES (42)")
    local_postgres.program.kill()
    await local_postgres.program.start()
    after = await asyncpg.connect(database)
    try:
        assert await after.fetchval("SELECT id FROM kept") == 42
        assert await after.fetchval("SHOW fsync") == "on"
    finally:
        await after.close()
        before.terminate()


async def test_servers_that_the_environment_names_are_used_and_none_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/connector")
    async with local_servers(tmp_path) as servers:
        assert servers.environment == {
            "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
            "DATABASE_URL": "postgresql://db.example/connector",
        }
        assert (servers.kafka, servers.postgres) == (None, None)
        assert servers.run.programs == {}


@pytest.mark.kafka
@pytest.mark.postgres
def test_both_servers_end_when_the_command_that_started_them_is_killed() -> None:
    own = {"KAFKA_BOOTSTRAP_SERVERS": "", "DATABASE_URL": ""}
    command = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.up"],
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert command.stdout is not None
    told = [command.stdout.readline(), command.stdout.readline()]
    assert [line.split("=")[0] for line in told] == [
        "export KAFKA_BOOTSTRAP_SERVERS",
        "export DATABASE_URL",
    ]
    started = psutil.Process(command.pid).children(recursive=True)
    assert {"java", "postgres"} <= {each.name() for each in started}
    command.kill()
    command.communicate()
    _gone, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []
