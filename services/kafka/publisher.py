"""Publishing with a deadline of our own, by a producer that is replaced when it only fails."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Self

import structlog

from schemas.notices import TOPICS
from services.deadlines import Deadlines
from services.kafka.batches import Batches
from services.kafka.driver import (
    CONNECT_FAULTS,
    KafkaAway,
    KafkaError,
    MessageSizeTooLargeError,
    make_producer,
)
from services.kafka.topics import demand_usable
from services.settings import KafkaSettings

PUBLISH_TIMEOUT_S = 3.0  # Procore hangs up after 5 s
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0

log = structlog.get_logger()


class Publisher:
    """Publishes records, each acknowledged by all in-sync replicas within a deadline.

    It starts at once, also while Kafka is away, and connects by itself in the background. When a
    producer has only failed for a while, it is replaced: the new one asks the bootstrap servers
    afresh, and until it stands, publishing fails at once instead of after the deadline.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        timeout_s: float = PUBLISH_TIMEOUT_S,
        max_waiting: int = 2_000,
        replace_after_s: float = 5.0,
        reconnect_s: float = 0.5,
    ) -> None:
        self._settings = settings
        self._prefix = settings.topic_prefix
        self._timeout_s = timeout_s
        self._max_waiting = max_waiting
        self._replace_after_s = replace_after_s
        self._reconnect_s = reconnect_s
        self._deadlines = Deadlines(timeout_s)
        self._waiting = 0
        self._failing_since: float | None = None
        self._producer: Any = None
        self._batches: Batches | None = None
        self._worn_out = asyncio.Event()
        self._farewells: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep_connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._part()
        if self._farewells:
            await asyncio.wait(self._farewells)

    @property
    def waiting(self) -> int:
        """How many records wait for their acknowledgement."""
        return self._waiting

    async def publish(
        self, topic: str, key: bytes | None, value: bytes, headers: Iterable[tuple[str, bytes]] = ()
    ) -> None:
        """Return once all in-sync replicas hold the record.

        Args:
            topic: without the deployment's prefix.
            key: decides the partition: records of one key stay in order.
            value: at most 256 KiB.
            headers: names and values; together with the key at most 16 KiB.

        Raises:
            KafkaAway: no acknowledgement in time; the record may yet be written.
            ValueError: the record is too large.
        """
        batches = self._batches
        if batches is None or self._waiting >= self._max_waiting:
            raise KafkaAway("Kafka cannot be reached at present; try again")
        name = self._prefix + topic
        self._waiting += 1
        try:
            if not batches.knows(name):
                async with asyncio.timeout(self._timeout_s):
                    await batches.learn(name)
            acknowledged = batches.add(name, key, value, list(headers))
            self._deadlines.watch(acknowledged, asyncio.get_running_loop())
            await acknowledged
        except MessageSizeTooLargeError as error:
            raise ValueError(f"a record for {topic} is too large: {len(value)} bytes") from error
        except CONNECT_FAULTS as error:
            self._note_failure()
            cause = type(error).__name__
            raise KafkaAway(f"Kafka did not acknowledge a record for {topic}: {cause}") from error
        finally:
            self._waiting -= 1
        self._failing_since = None

    async def check(self, topics: Sequence[str] = TOPICS) -> None:
        """Raise KafkaAway, saying what to do, unless the topics can be written to."""
        producer = self._producer
        if producer is None:
            raise KafkaAway("there is no connection to Kafka yet")
        try:
            cluster = await producer.client.fetch_all_metadata()
        except KafkaError as error:
            raise KafkaAway(f"Kafka does not answer ({type(error).__name__})") from error
        names = [self._prefix + topic for topic in topics]
        demand_usable(
            {
                name: (
                    len(cluster.partitions_for_topic(name) or ()),
                    len(cluster.available_partitions_for_topic(name) or ()),
                )
                for name in names
            }
        )

    def _note_failure(self) -> None:
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since >= self._replace_after_s:
            self._worn_out.set()

    async def _keep_connected(self) -> None:
        while True:
            self._producer = await self._connected()
            self._batches = Batches(self._producer)
            log.info("kafka.connected")
            self._failing_since = None
            self._worn_out.clear()
            await self._worn_out.wait()
            log.warning("kafka.lost")
            self._part()

    def _part(self) -> None:
        """Stop the producer beside the work: what it still holds takes seconds to give up."""
        producer, self._producer = self._producer, None
        self._batches = None
        if producer is not None:
            task = asyncio.create_task(_stop(producer))
            self._farewells.add(task)
            task.add_done_callback(self._farewells.discard)

    async def _connected(self) -> Any:
        told = False
        while True:
            producer = make_producer(self._settings, timeout_s=self._timeout_s)
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    await producer.start()
            except CONNECT_FAULTS as error:
                if not told:
                    log.warning("kafka.away", cause=type(error).__name__)
                told = True
                await _stop(producer)
            except asyncio.CancelledError:
                await _stop(producer)
                raise
            else:
                return producer
            await asyncio.sleep(self._reconnect_s)


async def _stop(producer: Any) -> None:
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await producer.stop()
    except CONNECT_FAULTS as error:
        log.warning("kafka.producer_not_stopped", cause=type(error).__name__)
