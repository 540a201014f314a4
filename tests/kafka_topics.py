"""A Kafka's topics for one test: under a prefix of its own, so that tests do not meet."""

import secrets
from contextlib import aclosing

from services.kafka import ConsumedRecord, create_topics, read_all
from services.settings import KafkaSettings


def kafka_settings(bootstrap: str, prefix: str | None = None) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=bootstrap,
        topic_prefix=f"t{secrets.token_hex(4)}." if prefix is None else prefix,
        security_protocol="PLAINTEXT",
        sasl_mechanism=None,
        sasl_username=None,
        sasl_password=None,
        ca_file=None,
    )


async def with_topics(bootstrap: str, *, partitions: int = 3) -> KafkaSettings:
    settings = kafka_settings(bootstrap)
    await create_topics(settings, partitions=partitions)
    return settings


async def records_of(settings: KafkaSettings, topic: str) -> list[ConsumedRecord]:
    async with aclosing(read_all(settings, topic)) as records:
        return [record async for record in records]
