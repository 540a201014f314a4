"""Two installations in one consumer group notice each other, on a real Kafka and two databases."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator

import pytest
import structlog

from connector import kafka_checks
from connector.findings import Ill
from schemas.notices import PROCORE_NOTICES, WORKER_GROUP
from services.kafka import ConsumerSettings, NoticeConsumer
from services.postgres import migrate, open_postgres
from services.settings import KafkaSettings
from sync_worker.neighbours import Neighbours
from tests.databases import fresh_database
from tests.kafka_topics import kafka_settings, with_topics

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@contextlib.asynccontextmanager
async def installation(server_url: str, settings: KafkaSettings) -> AsyncIterator[Neighbours]:
    async with fresh_database(server_url) as url:
        await migrate(url, ["sync_worker"])
        async with open_postgres(url) as postgres:
            yield Neighbours(postgres, settings)


@contextlib.asynccontextmanager
async def worker(settings: KafkaSettings, of: Neighbours, name: str) -> AsyncIterator[None]:
    async def take_nothing(_: object) -> None:
        return

    consumer = NoticeConsumer(
        settings,
        topics=[PROCORE_NOTICES],
        group_id=WORKER_GROUP,
        instance_id=name,
        handle=take_nothing,
        client_id=of.name,
        how=ConsumerSettings(session_timeout_s=6.0, stop_s=2.0),
    )
    stop = asyncio.Event()
    task = asyncio.create_task(consumer.run(stop))
    async with asyncio.timeout(30):
        while not consumer.partitions():
            await asyncio.sleep(0.05)
    try:
        yield
    finally:
        stop.set()
        await task


async def test_b96_workers_of_another_installation_in_our_group_are_counted_and_named(
    kafka_bootstrap: str, database_url: str
) -> None:
    settings = await with_topics(kafka_bootstrap)
    async with (
        installation(database_url, settings) as ours,
        installation(database_url, settings) as others,
    ):
        assert math.isnan(ours.foreign)
        async with worker(settings, ours, "worker-1"):
            with structlog.testing.capture_logs() as logs:
                await ours.look()
            assert (ours.foreign, logs) == (0, [])
            assert await kafka_checks.workers(settings) == "1 in the group that takes notices"
            await others.look()
            assert others.foreign == 1
            async with worker(settings, others, "worker-2"):
                with structlog.testing.capture_logs() as logs:
                    await ours.look()
                assert ours.foreign == 1
                told = [one for one in logs if one["event"] == "kafka.shared"]
                assert [one["others"] for one in told] == [[await others.name()]]
                with pytest.raises(Ill, match="2 installations"):
                    await kafka_checks.workers(settings)


async def test_a_name_tells_nothing_of_the_key_and_is_one_for_a_database(
    database: str,
) -> None:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database) as postgres:
        settings = kafka_settings("nowhere:1")
        names = [await Neighbours(postgres, settings).name() for _ in range(2)]
        key: bytes = await postgres.fetchval("SELECT install_key FROM mirror.install")
    assert names[0] == names[1] != ""
    assert key.hex()[:12] not in names[0]
