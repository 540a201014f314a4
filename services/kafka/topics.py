"""Topics: made by the operators' command, checked by the programs, read from the beginning."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from schemas.notices import DEAD_LETTERS, TOPICS
from services.kafka.driver import (
    ADMIN_TIMEOUT_MS,
    CONNECT_FAULTS,
    KafkaAway,
    NewTopic,
    TopicAlreadyExistsError,
    for_code,
    make_reader,
    open_admin,
)
from services.kafka.lanes import ConsumedRecord
from services.kafka.records import consumed
from services.settings import KafkaSettings

DAY_MS = 86_400_000
RETENTION_MS = 7 * DAY_MS  # 14 times the longest that Procore keeps trying
DEAD_LETTER_RETENTION_MS = 30 * DAY_MS
USUAL_REPLICATION = 3


async def create_topics(
    settings: KafkaSettings, *, partitions: int, replication: int | None = None
) -> list[str]:
    """Make the topics that are missing; those that exist stay as they are.

    Args:
        settings: where, and the prefix.
        partitions: of each topic; projects are spread over them.
        replication: None means 3, or the number of brokers when there are fewer.

    Returns:
        The names of those made, with the prefix.

    Raises:
        KafkaAway: Kafka cannot be reached, or refuses.
    """
    async with open_admin(settings) as admin:
        there = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if settings.topic_prefix + topic not in there]
        if not missing:
            return []
        brokers = len((await admin.describe_cluster())["brokers"])
        copies = replication or min(USUAL_REPLICATION, brokers)
        new = [_new_topic(settings.topic_prefix, topic, partitions, copies) for topic in missing]
        made = _made(await admin.create_topics(new))
        await _until_led(admin, made)
        return made


async def check(settings: KafkaSettings, topics: Sequence[str] = TOPICS) -> None:
    """Raise KafkaAway, saying what to do, unless all topics are there and led."""
    names = [settings.topic_prefix + topic for topic in topics]
    async with open_admin(settings) as admin:
        described = await admin.describe_topics(None)
    demand_usable({name: _count_partitions(described, name) for name in names})


async def clients_of(settings: KafkaSettings, group: str) -> tuple[str, ...]:
    """Return each member's client id in a group; one that died is in it until its session ends.

    Args:
        settings: where, and the prefix.
        group: without the prefix.

    Raises:
        KafkaAway: Kafka cannot be reached.
    """
    async with open_admin(settings) as admin:
        described = await admin.describe_consumer_groups([settings.topic_prefix + group])
    return tuple(
        client_id
        for answer in described
        for *_, members in _groups_of(answer)
        for _, client_id, *_ in members
    )


def _groups_of(answer: Any) -> list[tuple[Any, ...]]:
    """Return (error, group, state, protocol type, protocol, members) of each group.

    Later versions of the answer end with the operations that we may do.
    """
    return [tuple(group[:6]) for group in answer.groups]


async def read_all(settings: KafkaSettings, topic: str) -> AsyncGenerator[ConsumedRecord, None]:
    """Yield every record that a topic holds now, in order within each partition.

    Close it (`contextlib.aclosing`) when you stop before its end.

    Raises:
        KafkaAway: Kafka cannot be reached.
    """
    name = settings.topic_prefix + topic
    reader = make_reader(settings, name)
    try:
        await reader.start()
        parts = reader.assignment()
        ends = await reader.end_offsets(parts)
        begins = await reader.beginning_offsets(parts)
        left = {part: end for part, end in ends.items() if end > begins[part]}
        while left:
            for part, records in (await reader.getmany(*left, timeout_ms=500)).items():
                for record in records:
                    yield consumed(record, settings.topic_prefix)
                if records and records[-1].offset + 1 >= left[part]:
                    del left[part]
    except CONNECT_FAULTS as error:
        raise KafkaAway(f"cannot read {name}: {type(error).__name__}") from error
    finally:
        await reader.stop()


def demand_usable(counts: Mapping[str, tuple[int, int]]) -> None:
    """Raise KafkaAway unless each topic has partitions and all of them a leader.

    Args:
        counts: by topic, how many partitions it has and how many of them have a leader.
    """
    missing = sorted(name for name, (total, _) in counts.items() if total == 0)
    if missing:
        raise KafkaAway(f"topics are missing: {', '.join(missing)}; run `connector topics`")
    leaderless = sorted(name for name, (total, led) in counts.items() if led < total)
    if leaderless:
        raise KafkaAway(
            f"partitions without a leader: {', '.join(leaderless)}; look at the brokers"
        )


def _new_topic(prefix: str, topic: str, partitions: int, copies: int) -> Any:
    retention_ms = DEAD_LETTER_RETENTION_MS if topic == DEAD_LETTERS else RETENTION_MS
    return NewTopic(
        prefix + topic,
        partitions,
        copies,
        topic_configs={
            "cleanup.policy": "delete",
            "max.message.bytes": "1048576",
            "min.insync.replicas": str(max(1, copies - 1)),
            "retention.ms": str(retention_ms),
            "unclean.leader.election.enable": "false",
        },
    )


def _made(response: Any) -> list[str]:
    """Return the topics that were made; one that somebody else made meanwhile is as good."""
    made = []
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code == 0:
            made.append(name)
        elif error is not TopicAlreadyExistsError:
            raise KafkaAway(f"Kafka did not make topic {name}: {error.__name__}")
    return made


async def _until_led(admin: Any, names: Sequence[str]) -> None:
    """Wait until others can use the new topics: making them is done in the background."""
    try:
        async with asyncio.timeout(ADMIN_TIMEOUT_MS / 1000):
            while True:
                described = await admin.describe_topics(None)
                counts = [_count_partitions(described, name) for name in names]
                if all(0 < total == led for total, led in counts):
                    return
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise KafkaAway("the new topics have no leaders yet: look at the brokers") from error


def _count_partitions(described: Sequence[dict[str, Any]], name: str) -> tuple[int, int]:
    partitions = [
        partition
        for topic in described
        if topic["topic"] == name
        for partition in topic["partitions"]
    ]
    return len(partitions), sum(partition["leader"] >= 0 for partition in partitions)
