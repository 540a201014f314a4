"""The only module that imports aiokafka: its clients with the settings that were measured.

aiokafka ships no types, so its objects are `Any` here and in this package's other modules; none
leaves the package.
"""

import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
)
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordTooLargeError,
    TopicAlreadyExistsError,
    UnsupportedCodecError,
    for_code,
)
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from services.errors import TryLater
from services.settings import KafkaSettings

__all__ = [
    "CONNECT_FAULTS",
    "UNREADABLE",
    "Array",
    "Boolean",
    "Bytes",
    "ConsumerRebalanceListener",
    "IllegalStateError",
    "Int16",
    "Int32",
    "KafkaAway",
    "KafkaError",
    "MessageSizeTooLargeError",
    "NewTopic",
    "Request",
    "RequestStruct",
    "Response",
    "Schema",
    "String",
    "TopicAlreadyExistsError",
    "for_code",
    "group_consumer",
    "make_admin",
    "make_producer",
    "make_reader",
    "open_admin",
    "partition_of",
    "record_size",
]

MAX_REQUEST_BYTES = 262_144 + 16_384  # a dead letter of the greatest body, its key and headers
MAX_BATCH_BYTES = 131_072  # about 200 notices; well below the topics' limit of 1 MiB
ADMIN_TIMEOUT_MS = 10_000
REBALANCE_TIMEOUT_MS = 60_000  # aiokafka's default would silently be the session timeout
REQUEST_TIMEOUT_MS = 65_000  # a JoinGroup waits for the slowest member's rebalance
CONNECT_FAULTS = (KafkaError, OSError, TimeoutError)
UNREADABLE = (
    CorruptRecordException,
    RecordTooLargeError,
    UnsupportedCodecError,
    EOFError,
    ValueError,
    gzip.BadGzipFile,
    zlib.error,
)
"""What unpacking a record that another writer made can end with."""


class KafkaAway(TryLater):
    """Kafka did not take or give something in time. A record that was sent may yet be written."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="kafka_down")


def make_producer(settings: KafkaSettings, *, timeout_s: float) -> Any:
    """Return a producer, not started: acknowledged by all in-sync replicas, never idempotent."""
    return AIOKafkaProducer(
        **_options(settings),
        acks="all",
        enable_idempotence=False,
        linger_ms=0,
        request_timeout_ms=int(timeout_s * 1000),
        max_request_size=MAX_REQUEST_BYTES,
        max_batch_size=MAX_BATCH_BYTES,
        retry_backoff_ms=100,
        compression_type=None,
    )


def partition_of(key: bytes, partitions: int) -> int:
    """Return the place of a key's partition among so many, by the hash that all clients share."""
    places = range(partitions)
    return int(DefaultPartitioner()(key, places, places))


def record_size(key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]]) -> int:
    """Return at least the bytes that a batch of this record alone takes."""
    return int(DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, headers))


def group_consumer(
    settings: KafkaSettings,
    *,
    group_id: str,
    instance_id: str,
    client_id: str,
    session_timeout_s: float,
) -> Any:
    """Return a consumer of a group, not started and not subscribed: a static member."""
    session_ms = int(session_timeout_s * 1000)

    # aiokafka keeps the sticky assignor's memory on the class: one class a member.
    class OwnAssignor(StickyPartitionAssignor):  # type: ignore[misc] # untyped base
        pass

    return AIOKafkaConsumer(
        **_options(settings),
        group_id=group_id,
        group_instance_id=instance_id,
        client_id=client_id or "connector",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=min(3_000, session_ms // 3),
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        max_poll_interval_ms=300_000,
        max_poll_records=100,
        fetch_max_wait_ms=250,
        metadata_max_age_ms=30_000,  # so that a topic made later is found soon
        partition_assignment_strategy=(OwnAssignor,),  # two would send an extra JoinGroup
    )


def make_reader(settings: KafkaSettings, name: str) -> Any:
    """Return a consumer of one topic outside any group, to read it from its beginning."""
    return AIOKafkaConsumer(
        name, **_options(settings), enable_auto_commit=False, auto_offset_reset="earliest"
    )


def make_admin(settings: KafkaSettings) -> Any:
    """Return an administrator's client, not started."""
    return AIOKafkaAdminClient(**_options(settings), request_timeout_ms=ADMIN_TIMEOUT_MS)


@asynccontextmanager
async def open_admin(settings: KafkaSettings) -> AsyncIterator[Any]:
    """Yield an administrator's client; whatever Kafka refuses in it is raised as KafkaAway."""
    admin = make_admin(settings)
    try:
        await admin.start()
        yield admin
    except CONNECT_FAULTS as error:
        cause = type(error).__name__
        raise KafkaAway(
            f"Kafka at {settings.bootstrap_servers} cannot be reached or refuses ({cause}): "
            "check KAFKA_BOOTSTRAP_SERVERS and the brokers"
        ) from error
    finally:
        await admin.close()


def _options(settings: KafkaSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(cafile=settings.ca_file)
    if settings.security_protocol.startswith("SASL"):
        password = settings.sasl_password
        options["sasl_mechanism"] = settings.sasl_mechanism or "PLAIN"
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = password.reveal() if password else None
    return options
