import asyncio
import secrets
import socket
import time

import pytest

from deploy.local.kafka import LocalKafka
from schemas.notices import DEAD_LETTERS, PROCORE_NOTICES, TOPICS
from services.kafka import KafkaAway, Publisher, check, create_topics
from tests.kafka_topics import kafka_settings, records_of, with_topics

pytestmark = pytest.mark.kafka


async def published(publisher: Publisher, value: bytes, *, within_s: float = 60.0) -> float:
    """Publish until it succeeds; return the longest that one attempt took, in seconds."""
    longest = 0.0
    async with asyncio.timeout(within_s):
        while True:
            began = time.monotonic()
            try:
                await publisher.publish(PROCORE_NOTICES, b"p1", value)
            except KafkaAway:
                longest = max(longest, time.monotonic() - began)
                await asyncio.sleep(0.05)
            else:
                return longest


async def test_a_published_record_is_there_with_key_value_and_headers(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap)
    async with Publisher(settings) as publisher:
        await published(publisher, b"warm up")
        await publisher.publish(PROCORE_NOTICES, b"p1", b"\x00value", [("ce_id", b"7")])
    record = (await records_of(settings, PROCORE_NOTICES))[-1]
    assert (record.topic, record.key, record.value) == (PROCORE_NOTICES, b"p1", b"\x00value")
    assert record.headers == {"ce_id": b"7"}


async def test_records_of_one_key_share_a_partition_and_stay_in_order(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap, partitions=6)
    async with Publisher(settings) as publisher:
        await published(publisher, b"warm up")
        for number in range(20):
            await publisher.publish(PROCORE_NOTICES, b"p2", b"%d" % number)
    mine = [record for record in await records_of(settings, PROCORE_NOTICES) if record.key == b"p2"]
    assert len({record.partition for record in mine}) == 1
    assert [record.value for record in mine] == [b"%d" % number for number in range(20)]


async def test_the_largest_dead_letter_fits_and_a_larger_record_is_an_error(
    kafka_bootstrap: str,
) -> None:
    settings = await with_topics(kafka_bootstrap)
    async with Publisher(settings) as publisher:
        await published(publisher, b"warm up")
        headers = [("content-type", b"x" * 200), ("ce_source", b"/" * 1_200)]
        await publisher.publish(DEAD_LETTERS, b"p" * 800, b"b" * 262_144, headers)
        with pytest.raises(ValueError, match="too large"):
            await publisher.publish(DEAD_LETTERS, None, b"b" * 300_000)
        await publisher.publish(PROCORE_NOTICES, b"p1", b"and it goes on")


async def test_a_publisher_starts_while_kafka_is_away_and_says_so() -> None:
    with socket.socket() as nobody:  # bound, not listening: every connection is refused
        nobody.bind(("127.0.0.1", 0))
        settings = kafka_settings(f"127.0.0.1:{nobody.getsockname()[1]}")
        async with Publisher(settings, reconnect_s=0.05) as publisher:
            await asyncio.sleep(0.2)
            with pytest.raises(KafkaAway):
                await publisher.publish(PROCORE_NOTICES, b"p1", b"value")
            with pytest.raises(KafkaAway, match="no connection to Kafka yet"):
                await publisher.check()
        with pytest.raises(KafkaAway, match="KAFKA_BOOTSTRAP_SERVERS"):
            await check(settings)


async def test_only_so_many_records_wait_at_once(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap)
    async with Publisher(settings, max_waiting=3) as publisher:
        await published(publisher, b"warm up")
        results = await asyncio.gather(
            *(publisher.publish(PROCORE_NOTICES, b"p", b"v") for _ in range(10)),
            return_exceptions=True,
        )
    assert sum(isinstance(result, KafkaAway) for result in results) == 7
    assert publisher.waiting == 0


async def test_missing_topics_are_named_with_the_command_that_makes_them(
    kafka_bootstrap: str,
) -> None:
    settings = kafka_settings(kafka_bootstrap)
    async with Publisher(settings, timeout_s=0.5) as publisher:
        async with asyncio.timeout(20):
            while True:
                try:
                    await publisher.check()
                except KafkaAway as error:
                    if "connector topics" in str(error):
                        break
                await asyncio.sleep(0.05)
        with pytest.raises(KafkaAway):
            await publisher.publish(PROCORE_NOTICES, b"p1", b"value")
        await create_topics(settings, partitions=1)
        await publisher.check()
        await published(publisher, b"now it goes")


async def test_topics_are_made_once_and_stay_as_they_are(kafka_bootstrap: str) -> None:
    settings = kafka_settings(kafka_bootstrap)
    made = await create_topics(settings, partitions=2)
    assert sorted(made) == sorted(settings.topic_prefix + topic for topic in TOPICS)
    assert await create_topics(settings, partitions=5) == []
    await check(settings)
    both = await asyncio.gather(
        *(create_topics(kafka_settings(kafka_bootstrap, "twice."), partitions=1) for _ in range(2))
    )
    assert sorted([*both[0], *both[1]]) in ([], sorted("twice." + topic for topic in TOPICS))


async def test_too_many_replicas_are_refused_in_words(kafka_bootstrap: str) -> None:
    with pytest.raises(KafkaAway, match="did not make topic"):
        await create_topics(kafka_settings(kafka_bootstrap), partitions=1, replication=99)


async def test_publishing_goes_on_by_itself_after_kafka_was_killed(local_kafka: LocalKafka) -> None:
    settings = await with_topics(local_kafka.bootstrap_servers)
    async with Publisher(settings, timeout_s=1.0, replace_after_s=1.5) as publisher:
        await published(publisher, b"before")
        local_kafka.program.kill()
        for _ in range(6):
            with pytest.raises(KafkaAway):
                await publisher.publish(PROCORE_NOTICES, b"p1", b"meanwhile")
        await local_kafka.program.start()
        token = secrets.token_bytes(8)
        await published(publisher, token)
    values = [record.value for record in await records_of(settings, PROCORE_NOTICES)]
    assert b"before" in values
    assert token in values


async def test_a_kafka_that_hangs_does_not_hang_the_caller(local_kafka: LocalKafka) -> None:
    settings = await with_topics(local_kafka.bootstrap_servers)
    async with Publisher(settings, timeout_s=0.5, replace_after_s=60.0) as publisher:
        await published(publisher, b"before")
        local_kafka.program.pause()
        async with asyncio.timeout(10):
            with pytest.raises(KafkaAway):
                await publisher.publish(PROCORE_NOTICES, b"p1", b"perhaps")
        local_kafka.program.resume()
        await published(publisher, b"after")
