"""Which records travel together, and what each caller is told, with a producer of our own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RequestTimedOutError

from services.deadlines import Deadlines
from services.kafka.batches import Batches
from services.kafka.driver import partition_of

FITS = 3


@dataclass
class Builder:
    """A batch of at most three records."""

    values: list[bytes] = field(default_factory=list)
    closed: bool = False

    def append(self, *, timestamp: None, key: bytes | None, value: bytes, headers: Any) -> Any:
        if self.closed or len(self.values) == FITS:
            return None
        self.values.append(value)
        return object()

    def close(self) -> None:
        self.closed = True


@dataclass
class Sent:
    partition: int
    builder: Builder
    future: asyncio.Future[None]

    @property
    def values(self) -> list[bytes]:
        return self.builder.values


class Producer:
    """Remembers the batches it was given; the test says what became of them."""

    def __init__(self, partitions: int = 1) -> None:
        self.partitions = set(range(partitions))
        self.sent: list[Sent] = []
        self.client = self
        self.cluster = self

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return self.partitions

    async def partitions_for(self, _topic: str) -> set[int]:
        return self.partitions

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(self, builder: Builder, _topic: str, *, partition: int) -> Any:
        future = asyncio.get_running_loop().create_future()
        self.sent.append(Sent(partition, builder, future))
        return future


async def knowing(producer: Producer) -> Batches:
    batches = Batches(producer)
    await batches.learn("topic")
    return batches


def add(batches: Batches, *values: bytes, key: bytes | None = b"k") -> list[asyncio.Future[None]]:
    return [batches.add("topic", key, value, []) for value in values]


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_records_of_one_turn_travel_together_and_each_caller_is_told() -> None:
    producer = Producer()
    batches = await knowing(producer)
    futures = add(batches, b"1", b"2")
    await turns()
    assert [sent.values for sent in producer.sent] == [[b"1", b"2"]]
    assert not any(future.done() for future in futures)
    producer.sent[0].future.set_result(None)
    await asyncio.gather(*futures)


async def test_a_batch_that_waits_for_its_broker_takes_more_until_it_leaves() -> None:
    producer = Producer()
    batches = await knowing(producer)
    add(batches, b"1")
    await turns()
    add(batches, b"2")
    producer.sent[0].builder.close()  # as aiokafka does when it writes it to the wire
    add(batches, b"3")
    await turns()
    assert [sent.values for sent in producer.sent] == [[b"1", b"2"]]
    producer.sent[0].future.set_result(None)
    await turns()
    assert [sent.values for sent in producer.sent] == [[b"1", b"2"], [b"3"]]


async def test_a_partition_has_one_batch_under_way_and_the_rest_follow_in_order() -> None:
    producer = Producer()
    batches = await knowing(producer)
    futures = add(batches, *(b"%d" % number for number in range(8)))
    for number in range(3):
        await turns()
        assert len(producer.sent) == number + 1
        producer.sent[number].future.set_result(None)
    await asyncio.gather(*futures)
    told = [value for sent in producer.sent for value in sent.values]
    assert told == [b"%d" % number for number in range(8)]


async def test_a_stuck_partition_holds_up_no_other() -> None:
    producer = Producer(partitions=2)
    batches = await knowing(producer)
    keys = {partition_of(b"%d" % number, 2): b"%d" % number for number in range(20)}
    add(batches, b"stuck", key=keys[0])
    await turns()
    free = add(batches, b"free", key=keys[1])
    add(batches, b"stuck too", key=keys[0])
    await turns()
    assert [sent.partition for sent in producer.sent] == [0, 1]
    producer.sent[1].future.set_result(None)
    await asyncio.gather(*free)


async def test_a_failed_batch_fails_for_every_caller_with_an_error_of_its_own() -> None:
    producer = Producer()
    batches = await knowing(producer)
    futures = add(batches, b"1", b"2")
    await turns()
    producer.sent[0].future.set_exception(RequestTimedOutError())
    await turns()
    errors = [future.exception() for future in futures]
    assert all(isinstance(error, KafkaError) for error in errors)
    assert errors[0] is not errors[1]


async def test_the_broker_refuses_a_record_that_is_too_large_and_not_its_neighbours() -> None:
    producer = Producer()
    batches = await knowing(producer)
    small, large, last = add(batches, b"small", b"large", b"last")
    await turns()
    producer.sent[0].future.set_exception(MessageSizeTooLargeError())
    verdicts: list[Callable[[Sent], None]] = [
        lambda sent: sent.future.set_result(None),
        lambda sent: sent.future.set_exception(MessageSizeTooLargeError()),
        lambda sent: sent.future.set_result(None),
    ]
    for number, verdict in enumerate(verdicts, start=1):
        await turns()
        verdict(producer.sent[number])
    await turns()
    assert [sent.values for sent in producer.sent[1:]] == [[b"small"], [b"large"], [b"last"]]
    assert small.exception() is None
    assert isinstance(large.exception(), MessageSizeTooLargeError)
    assert last.exception() is None


async def test_what_nobody_waits_for_any_more_is_not_sent_after_a_stall() -> None:
    producer = Producer()
    batches = await knowing(producer)
    add(batches, b"1", b"2", b"3")
    late = add(batches, b"4")
    await turns()
    late[0].cancel()
    producer.sent[0].future.set_result(None)
    await turns()
    assert len(producer.sent) == 1


async def test_a_topic_that_gets_more_partitions_is_followed() -> None:
    producer = Producer(partitions=1)
    batches = await knowing(producer)
    add(batches, b"before")
    await turns()
    producer.sent[0].future.set_result(None)
    producer.partitions = set(range(12))
    await turns()
    add(batches, b"notices it", key=b"elsewhere")
    await turns()
    add(batches, *(b"%d" % number for number in range(24)), key=None)
    await turns()
    assert {sent.partition for sent in producer.sent[2:]} == set(range(12))


async def test_a_deadline_fails_only_what_is_not_done_in_time() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(0.05)
    done, late, later = (loop.create_future() for _ in range(3))
    deadlines.watch(done, loop)
    deadlines.watch(late, loop)
    done.set_result(None)
    with pytest.raises(TimeoutError):
        await late
    deadlines.watch(later, loop)
    with pytest.raises(TimeoutError):
        await later
    assert done.exception() is None
