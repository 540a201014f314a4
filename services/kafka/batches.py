"""Records of many callers in one batch a partition, each caller told on its own.

aiokafka gathers records too, but each `send` of it looks up the metadata, hashes the key and makes
what it needs to tell one caller. Here that is paid once a batch. Nobody is made to wait for others:
the first record of a batch is on its way within the same turn of the loop, and while it waits for
its broker, or the batch before it for its acknowledgement, more records join it.
"""

import asyncio
import copy
from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Any

from services.kafka.driver import (
    CONNECT_FAULTS,
    MAX_REQUEST_BYTES,
    MessageSizeTooLargeError,
    partition_of,
    record_size,
)

ALWAYS_FITS_BYTES = 65_536
MAX_KNOWN_KEYS = 20_000

Headers = list[tuple[str, bytes]]
Record = tuple[asyncio.Future[None], bytes | None, bytes, Headers]


class Batch:
    """Records of one partition that reach Kafka, or do not, together."""

    __slots__ = ("builder", "records")

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.records: list[Record] = []

    def take(self, record: Record) -> bool:
        """Add a record; False when the batch is full, or written to the wire already."""
        _, key, value, headers = record
        if self.builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            return False
        self.records.append(record)
        return True

    @property
    def is_awaited(self) -> bool:
        """Whether any of its callers still waits."""
        return any(not future.done() for future, *_ in self.records)

    def settle(self, error: Exception | None) -> None:
        """Tell every caller that still waits."""
        for future, *_ in self.records:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:  # a copy each, as every caller adds its own traceback
                future.set_exception(copy.copy(error))


class Lane:
    """One partition: the batch that aiokafka has, and those behind it, of which the last is open.

    aiokafka is never given a second batch of a partition: it would make whoever brings it wait,
    and with it the batches of other partitions.
    """

    __slots__ = ("current", "partition", "queue", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.current: Batch | None = None
        self.queue: deque[Batch] = deque()

    @property
    def open_batch(self) -> Batch | None:
        """The batch that may still take records."""
        return self.queue[-1] if self.queue else self.current


class Topic:
    """The partitions of a topic as they were when it was last looked at."""

    __slots__ = ("lanes", "lanes_of_keys")

    def __init__(self, name: str, partitions: Sequence[int]) -> None:
        self.lanes = [Lane(name, partition) for partition in partitions]
        self.lanes_of_keys: dict[bytes, Lane] = {}


class Batches:
    """The batches of one producer; a new producer gets new ones."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self._cluster = producer.client.cluster
        self._loop = asyncio.get_running_loop()
        self._topics: dict[str, Topic] = {}
        self._ready: list[Lane] = []  # their current batch has not been handed over yet
        self._keyless = count()
        self._tasks: set[asyncio.Task[None]] = set()

    def knows(self, topic: str) -> bool:
        """Tell whether the topic's partitions are known, so that `add` may be called."""
        return topic in self._topics

    async def learn(self, topic: str) -> None:
        """Ask for a topic's partitions; raises one of CONNECT_FAULTS."""
        self._note(topic, await self._producer.partitions_for(topic))

    def add(
        self, topic: str, key: bytes | None, value: bytes, headers: Headers
    ) -> asyncio.Future[None]:
        """Return a future that is done once all in-sync replicas hold the record.

        When it fails with one of CONNECT_FAULTS, the record may or may not have been written.

        Args:
            topic: one that `knows` knows.
            key: decides the partition, by Kafka's usual hash; without one they take turns.
            value: the record's.
            headers: names and values.

        Raises:
            ValueError: the record is too large for any batch.
        """
        size = len(value)
        if size > ALWAYS_FITS_BYTES and record_size(key, value, headers) > MAX_REQUEST_BYTES:
            raise ValueError(f"a record for {topic} is too large: {size} bytes")
        future: asyncio.Future[None] = self._loop.create_future()
        record = (future, key, value, headers)
        lane = self._lane(self._topics[topic], key)
        batch = lane.open_batch
        if batch is None or not batch.take(record):
            self._open(lane, record)
        return future

    def _lane(self, topic: Topic, key: bytes | None) -> Lane:
        if key is None:
            return topic.lanes[next(self._keyless) % len(topic.lanes)]
        lane = topic.lanes_of_keys.get(key)
        if lane is None:
            if len(topic.lanes_of_keys) >= MAX_KNOWN_KEYS:
                topic.lanes_of_keys.clear()
            lane = topic.lanes[partition_of(key, len(topic.lanes))]
            topic.lanes_of_keys[key] = lane
        return lane

    def _open(self, lane: Lane, record: Record) -> None:
        batch = Batch(self._producer.create_batch())
        batch.take(record)  # the first one may be of any size
        lane.queue.append(batch)
        self._go_on(lane)

    # From our queues to aiokafka's.

    def _go_on(self, lane: Lane) -> None:
        """Hand a lane's next batch over in this turn of the loop, unless one is under way."""
        while lane.current is None and lane.queue:
            batch = lane.queue.popleft()
            if batch.is_awaited:  # after a long stall nobody may wait for it any more
                lane.current = batch
                if not self._ready:
                    self._loop.call_soon(self._hand_over)
                self._ready.append(lane)

    def _hand_over(self) -> None:
        """Bring what is ready to aiokafka; by a task a topic, as a vanished one takes its time."""
        ready, self._ready = self._ready, []
        by_topic: dict[str, list[Lane]] = {}
        for lane in ready:
            by_topic.setdefault(lane.topic, []).append(lane)
        for topic, lanes in by_topic.items():
            self._note(topic, self._cluster.partitions_for_topic(topic))
            task = self._loop.create_task(self._send(topic, lanes))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, topic: str, lanes: list[Lane]) -> None:
        for lane in lanes:
            batch = lane.current
            assert batch is not None  # noqa: S101 - it stays until it is settled
            try:
                sent = await self._producer.send_batch(
                    batch.builder, topic, partition=lane.partition
                )
            except CONNECT_FAULTS as error:
                self._settle(lane, batch, error)
            except AssertionError:  # how aiokafka says that there is no such partition
                self._settle(lane, batch, ConnectionAbortedError(f"{topic} has changed"))
            else:
                sent.add_done_callback(
                    lambda sent, lane=lane, batch=batch: self._end(lane, batch, sent)
                )

    def _note(self, name: str, partitions: set[int] | None) -> None:
        """Follow a topic that got more partitions, or is gone."""
        known = self._topics.get(name)
        if not partitions:
            self._topics.pop(name, None)
        elif known is None or len(known.lanes) != len(partitions):
            self._topics[name] = Topic(name, sorted(partitions))

    # What became of a batch.

    def _end(self, lane: Lane, batch: Batch, sent: asyncio.Future[Any]) -> None:
        if sent.cancelled():
            self._settle(lane, batch, ConnectionAbortedError("the producer was stopped"))
            return
        error = sent.exception()
        if isinstance(error, MessageSizeTooLargeError) and len(batch.records) > 1:
            self._send_alone(lane, batch)
        else:
            self._settle(lane, batch, error)

    def _settle(self, lane: Lane, batch: Batch, error: BaseException | None) -> None:
        lane.current = None
        batch.settle(error if error is None or isinstance(error, Exception) else OSError())
        self._go_on(lane)

    def _send_alone(self, lane: Lane, batch: Batch) -> None:
        """Let the broker refuse the record that is too large, and not its neighbours too."""
        for record in reversed(batch.records):
            single = Batch(self._producer.create_batch())
            single.take(record)
            single.builder.close()
            lane.queue.appendleft(single)
        lane.current = None
        self._go_on(lane)
