import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local.kafka import LocalKafka
from schemas.notices import PART3_NOTICES, PROCORE_NOTICES
from services.errors import TryLater
from services.kafka import (
    ConsumedRecord,
    ConsumerSettings,
    Gap,
    KafkaAway,
    LaneSettings,
    NoticeConsumer,
    Publisher,
)
from services.settings import KafkaSettings
from tests.kafka_topics import with_topics

pytestmark = pytest.mark.kafka
GROUP = "workers"
QUICK = ConsumerSettings(
    session_timeout_s=6.0,
    commit_every_s=0.1,
    retry_s=0.1,
    stop_s=5.0,
    lane=LaneSettings(first_pause_s=0.05, longest_pause_s=0.2),
)


class Seen:
    """Notes what it is handed; fails as often as it is told to."""

    def __init__(self) -> None:
        self.records: list[ConsumedRecord] = []
        self.handed: list[list[int]] = []
        self.gaps: list[Gap] = []
        self.failures: list[Exception] = []

    async def handle(self, batch: list[ConsumedRecord]) -> None:
        self.handed.append([record.offset for record in batch])
        if self.failures:
            raise self.failures.pop()
        self.records.extend(batch)

    async def on_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    @property
    def values(self) -> list[bytes]:
        return [record.value or b"" for record in self.records]


def consumer_of(
    settings: KafkaSettings,
    seen: Seen,
    name: str = "worker-1",
    how: ConsumerSettings = QUICK,
) -> NoticeConsumer:
    return NoticeConsumer(
        settings,
        topics=[PROCORE_NOTICES, PART3_NOTICES],
        group_id=GROUP,
        instance_id=name,
        handle=seen.handle,
        on_gap=seen.on_gap,
        how=how,
    )


@asynccontextmanager
async def running(consumer: NoticeConsumer) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(consumer.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await task


async def until(true: Callable[[], bool], within_s: float = 45.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.02)


async def publish(settings: KafkaSettings, *values: bytes, topic: str = PROCORE_NOTICES) -> None:
    async with Publisher(settings) as publisher:
        for value in values:
            async with asyncio.timeout(60):
                while True:
                    try:
                        await publisher.publish(topic, value[:1], value)
                    except KafkaAway:
                        await asyncio.sleep(0.05)
                    else:
                        break


async def committed(settings: KafkaSettings) -> dict[tuple[str, int], int]:
    """What the group has committed, by topic and partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(settings.topic_prefix + GROUP)
    finally:
        await admin.close()
    return {
        (part.topic.removeprefix(settings.topic_prefix), part.partition): entry.offset
        for part, entry in offsets.items()
        if entry.offset >= 0
    }


async def total_committed(settings: KafkaSettings) -> int:
    return sum((await committed(settings)).values())


async def test_records_of_both_topics_are_handled_in_order_and_committed(
    kafka_bootstrap: str,
) -> None:
    settings = await with_topics(kafka_bootstrap)
    numbers = [b"a%d" % number for number in range(30)]
    await publish(settings, *numbers)
    await publish(settings, b"b0", topic=PART3_NOTICES)
    seen = Seen()
    async with running(consumer_of(settings, seen)):
        await until(lambda: len(seen.records) == 31)
    assert [value for value in seen.values if value.startswith(b"a")] == numbers
    assert {record.topic for record in seen.records} == {PROCORE_NOTICES, PART3_NOTICES}
    assert await total_committed(settings) == 31
    assert seen.gaps == []


async def test_a_worker_that_comes_back_goes_on_where_it_was(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap)
    await publish(settings, b"a1", b"a2")
    first, second = Seen(), Seen()
    async with running(consumer_of(settings, first)):
        await until(lambda: len(first.records) == 2)
    await publish(settings, b"a3")
    async with running(consumer_of(settings, second)):
        await until(lambda: len(second.records) == 1)
    assert second.values == [b"a3"]


@pytest.mark.parametrize(
    "failure", [TryLater("not now", reason="postgres_down"), ValueError("bug")]
)
async def test_a_batch_that_fails_is_handed_out_again_and_not_committed_before(
    kafka_bootstrap: str, failure: Exception
) -> None:
    settings = await with_topics(kafka_bootstrap, partitions=1)
    seen = Seen()
    seen.failures = [failure] * 5
    await publish(settings, b"a1")
    consumer = consumer_of(settings, seen)
    async with running(consumer):
        await until(lambda: len(seen.handed) >= 4)
        assert await committed(settings) == {}
        await until(lambda: seen.values == [b"a1"])
        await publish(settings, b"a2")
        await until(lambda: seen.values == [b"a1", b"a2"])
        assert consumer.stuck() is None
    assert await total_committed(settings) == 2


async def test_a_worker_whose_batch_fails_for_longer_than_its_session_keeps_its_partitions(
    kafka_bootstrap: str,
) -> None:
    settings = await with_topics(kafka_bootstrap, partitions=1)
    how = ConsumerSettings(
        session_timeout_s=1.0,
        commit_every_s=0.1,
        stuck_after_s=1.0,
        lane=LaneSettings(first_pause_s=0.1, longest_pause_s=0.1),
    )
    seen = Seen()
    seen.failures = [TryLater("not now", reason="postgres_down")] * 25
    await publish(settings, b"a1")
    consumer = consumer_of(settings, seen, how=how)
    async with running(consumer):
        await until(lambda: len(seen.handed) > 20)
        assert consumer.partitions() == 2
        with pytest.raises(KafkaAway, match="has been failing"):
            await consumer.check()
        await until(lambda: seen.values == [b"a1"])
        await consumer.check()
    assert seen.handed == [[0]] * 26  # the same tenure all along: nothing was handed out anew


async def test_a_full_partition_is_paused_and_others_go_on(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap, partitions=1)
    gate = asyncio.Event()
    seen = Seen()

    async def handle(batch: list[ConsumedRecord]) -> None:
        if batch[0].topic == PROCORE_NOTICES:
            await gate.wait()
        await seen.handle(batch)

    how = ConsumerSettings(
        session_timeout_s=6.0, commit_every_s=0.1, full_records=200, lane=LaneSettings()
    )
    consumer = NoticeConsumer(
        settings,
        topics=[PROCORE_NOTICES, PART3_NOTICES],
        group_id=GROUP,
        instance_id="worker-1",
        handle=handle,
        how=how,
    )
    await publish(settings, *(b"a%d" % number for number in range(1_200)))
    async with running(consumer):
        await until(lambda: consumer.lag().get(PROCORE_NOTICES) == 1_200)
        await publish(settings, b"b1", topic=PART3_NOTICES)
        await until(lambda: seen.values == [b"b1"])
        longest = max(lane.waiting for lane in consumer._lanes.values())
        gate.set()
        await until(lambda: len(seen.records) == 1_201)
    assert longest <= 300
    assert [v for v in seen.values if v != b"b1"] == [b"a%d" % n for n in range(1_200)]


async def test_work_under_way_is_finished_and_committed_before_partitions_change_hands(
    kafka_bootstrap: str,
) -> None:
    settings = await with_topics(kafka_bootstrap, partitions=4)
    busy: set[int] = set()
    workers: set[str] = set()
    overlaps: list[int] = []
    done: list[tuple[str, int, int]] = []

    def worker(name: str) -> NoticeConsumer:
        async def handle(batch: list[ConsumedRecord]) -> None:
            part = hash((batch[0].topic, batch[0].partition))
            if part in busy:
                overlaps.append(part)
            busy.add(part)
            await asyncio.sleep(0.05)
            busy.discard(part)
            workers.add(name)
            done.extend((r.topic, r.partition, r.offset) for r in batch)

        how = ConsumerSettings(
            session_timeout_s=3.0, commit_every_s=0.05, lane=LaneSettings(batch_records=2)
        )
        return NoticeConsumer(
            settings,
            topics=[PROCORE_NOTICES],
            group_id=GROUP,
            instance_id=name,
            handle=handle,
            how=how,
        )

    highest: dict[tuple[str, int], int] = {}
    backwards: list[tuple[str, int]] = []

    async def watch() -> None:
        while True:
            for part, offset in (await committed(settings)).items():
                if offset < highest.get(part, 0):
                    backwards.append(part)
                highest[part] = max(offset, highest.get(part, 0))
            await asyncio.sleep(0.05)

    total = 600
    async with running(worker("worker-1")):
        feeder = asyncio.create_task(
            publish(settings, *(b"%c%d" % (97 + n % 20, n) for n in range(total)))
        )
        watcher = asyncio.create_task(watch())
        for _ in range(2):
            async with running(worker("worker-2")):
                await asyncio.sleep(1.0)
        await feeder
        await until(lambda: len(set(done)) == total, within_s=60)
        await asyncio.sleep(0.3)
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    assert workers == {"worker-1", "worker-2"}
    assert overlaps == []
    assert backwards == []
    assert len(done) == len(set(done)) == total  # a hand-over in good order repeats nothing
    assert await total_committed(settings) == total


async def test_consuming_goes_on_by_itself_after_kafka_was_killed(local_kafka: LocalKafka) -> None:
    settings = await with_topics(local_kafka.bootstrap_servers)
    seen = Seen()
    consumer = consumer_of(settings, seen)
    async with running(consumer):
        await publish(settings, b"a1")
        await until(lambda: b"a1" in seen.values)
        local_kafka.program.kill()
        await asyncio.sleep(1.0)
        assert consumer.stuck() is None  # a restart of the worker would not bring Kafka back
        await local_kafka.program.start()
        await publish(settings, b"a2", b"b1", b"c1")
        await until(lambda: {b"a2", b"b1", b"c1"} <= set(seen.values), within_s=60)


async def test_a_worker_that_starts_before_kafka_waits_for_it(local_kafka: LocalKafka) -> None:
    settings = await with_topics(local_kafka.bootstrap_servers)
    await publish(settings, b"a1")
    local_kafka.program.kill()
    seen = Seen()
    consumer = consumer_of(settings, seen)
    async with running(consumer):
        await asyncio.sleep(0.5)
        with pytest.raises(KafkaAway, match="member"):
            await consumer.check()
        await local_kafka.program.start()
        await until(lambda: seen.values == [b"a1"], within_s=60)
        await consumer.check()


async def test_records_lost_to_retention_are_reported_and_the_rest_is_read(
    kafka_bootstrap: str,
) -> None:
    settings = await with_topics(kafka_bootstrap, partitions=1)
    await publish(settings, b"a1", b"a2")
    first, second = Seen(), Seen()
    async with running(consumer_of(settings, first)):
        await until(lambda: len(first.records) == 2)
    await publish(settings, b"a3", b"a4", b"a5")
    await delete_before(settings, 4)
    async with running(consumer_of(settings, second)):
        await until(lambda: second.values == [b"a5"])
    assert second.gaps == [Gap(PROCORE_NOTICES, 0, expected=2, found=4)]


async def delete_before(settings: KafkaSettings, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        part = TopicPartition(settings.topic_prefix + PROCORE_NOTICES, 0)
        await admin.delete_records({part: RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def test_a_topic_made_anew_is_read_from_its_beginning(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap, partitions=1)
    await commit_at(settings, 99)  # as the group remembers a topic that was deleted since
    await publish(settings, b"a1", b"a2")
    seen = Seen()
    async with running(consumer_of(settings, seen)):
        await until(lambda: seen.values == [b"a1", b"a2"])
    assert seen.gaps == [Gap(PROCORE_NOTICES, 0, expected=99, found=0)]
    assert await committed(settings) == {(PROCORE_NOTICES, 0): 2}


async def commit_at(settings: KafkaSettings, offset: int) -> None:
    part = TopicPartition(settings.topic_prefix + PROCORE_NOTICES, 0)
    group = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.topic_prefix + GROUP,
        enable_auto_commit=False,
    )
    group.assign([part])
    await group.start()
    try:
        await group.commit({part: offset})
    finally:
        await group.stop()


WORKER = """
import asyncio, sys
from services.kafka import ConsumerSettings, NoticeConsumer
from tests.kafka_topics import kafka_settings

async def handle(batch):
    for record in batch:
        print(record.value.decode(), flush=True)

async def main():
    settings = kafka_settings(sys.argv[1], sys.argv[2])
    consumer = NoticeConsumer(settings, topics=["procore.notices"], group_id="workers",
        instance_id="worker-1", handle=handle, how=ConsumerSettings(session_timeout_s=30.0))
    await consumer.run(asyncio.Event())

asyncio.run(main())
"""


async def test_a_killed_worker_gets_its_partitions_back_at_once_under_its_name(
    kafka_bootstrap: str,
) -> None:
    settings = await with_topics(kafka_bootstrap)
    await publish(settings, b"a1")
    command = [sys.executable, "-c", WORKER, settings.bootstrap_servers, settings.topic_prefix]
    for value in (b"a1", b"a2"):
        worker = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            if value == b"a2":
                await publish(settings, b"a2")
            assert worker.stdout is not None
            async with asyncio.timeout(25):  # less than the session of 30 s
                while (await worker.stdout.readline()).strip() != value:
                    continue
        finally:
            os.kill(worker.pid, signal.SIGKILL)
            await worker.wait()
            worker._transport.close()  # type: ignore[attr-defined] # or its pipes complain at the end


async def test_b94_a_record_of_a_codec_that_is_not_installed_is_stepped_over_and_reported(
    kafka_bootstrap: str,
) -> None:
    settings = await with_topics(kafka_bootstrap, partitions=1)
    seen = Seen()
    async with running(consumer_of(settings, seen)):
        await publish(settings, b"a1")
        await until(lambda: seen.values == [b"a1"])
        await compress(settings, "zstd")  # the broker packs what comes in from here on
        await publish(settings, b"a2")
        await compress(settings, "producer")
        await publish(settings, b"a3")
        await until(lambda: seen.values == [b"a1", b"a3"])
        await until(lambda: bool(seen.gaps))
    assert seen.gaps == [Gap(PROCORE_NOTICES, 0, expected=1, found=2)]


async def compress(settings: KafkaSettings, how: str) -> None:
    name = settings.topic_prefix + PROCORE_NOTICES
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        wanted = ConfigResource(ConfigResourceType.TOPIC, name, {"compression.type": how})
        await admin.alter_configs([wanted])
        async with asyncio.timeout(30):  # brokers learn of it a moment later
            while how not in str(await admin.describe_configs([wanted])):
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
