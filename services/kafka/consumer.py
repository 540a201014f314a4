"""A worker's consumer: one loop that never stops polling, lanes that work, commits beside them.

A rebalance waits for the work under way and its commit; a batch that fails is repeated while the
loop goes on polling, so the worker stays in its group; offsets only go forward.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from services import failpoints
from services.kafka.driver import (
    CONNECT_FAULTS,
    UNREADABLE,
    ConsumerRebalanceListener,
    IllegalStateError,
    KafkaAway,
    group_consumer,
)
from services.kafka.lanes import Handle, Lane, LaneSettings, OnGap, log_gap
from services.kafka.records import consumed
from services.settings import KafkaSettings

READ_ATTEMPTS = 3
GIVE_UP_AFTER = 10
START_TIMEOUT_S = 30.0

log = structlog.get_logger()


async def _nameless() -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """How a worker consumes.

    Attributes:
        session_timeout_s: how long a silent worker keeps its partitions.
        drain_s: how long a rebalance waits for the work under way; together with a commit less than
            the rebalance timeout (60 s).
        stop_s: the same at the program's end, and the longest wait for each step of leaving.
        commit_every_s: offsets are committed at most so often.
        commit_timeout_s: longest wait for one commit, which aiokafka does not limit.
        full_records: a partition with so many waiting is paused, and resumed at a quarter.
        stuck_after_s: a loop that does not come round in this time, or a batch that fails for as
            long, is reported.
        retry_s: before a consumer that cannot go on is opened anew.
    """

    session_timeout_s: float = 30.0
    drain_s: float = 40.0
    stop_s: float = 6.0
    commit_every_s: float = 1.0
    commit_timeout_s: float = 10.0
    full_records: int = 400
    stuck_after_s: float = 30.0
    retry_s: float = 1.0
    lane: LaneSettings = field(default_factory=LaneSettings)


class NoticeConsumer:
    """Hands the records of some topics to `handle`, in order within a partition, at least once.

    Args:
        settings: where, and the topics' prefix.
        topics: without the prefix.
        group_id: without the prefix; the workers of one deployment share it.
        instance_id: this replica's name, unique in the group; one that comes back under its name
            within the session timeout gets its partitions back at once.
        handle: makes a batch durable elsewhere. What it raises gets the same batch again.
        client_id: asked at each joining for what all members of one deployment are called alike;
            empty where it is not known.
        on_gap: told when records were lost to retention or the topic was made anew.
        how: how it consumes.
        connect: makes a member of the group; anything but aiokafka's is a model of it.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        topics: Sequence[str],
        group_id: str,
        instance_id: str,
        handle: Handle,
        client_id: Callable[[], Awaitable[str]] = _nameless,
        on_gap: OnGap = log_gap,
        how: ConsumerSettings | None = None,
        connect: Callable[..., Any] = group_consumer,
    ) -> None:
        self._settings = settings
        self._topics = [settings.topic_prefix + topic for topic in topics]
        self._group_id = settings.topic_prefix + group_id
        self._instance_id = instance_id
        self._handle = handle
        self._client_id = client_id
        self._on_gap = on_gap
        self._how = how or ConsumerSettings()
        self._connect = connect
        self._consumer: Any = None
        self._lanes: dict[Any, Lane] = {}
        self._paused: set[Any] = set()
        self._epoch = 0
        self._rebalancing = True
        self._polled_at = time.monotonic()
        self._faults = 0
        self._commit_lock = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; then finish the work under way and commit it."""
        while not stop.is_set():
            try:
                await self._one_membership(stop)
            except CONNECT_FAULTS as error:
                log.warning("consumer.away", cause=type(error).__name__)
                await _first_of(stop.wait(), asyncio.sleep(self._how.retry_s))

    def lag(self) -> dict[str, int]:
        """Return by topic how many records of this worker's partitions are not yet handled."""
        behind: dict[str, int] = {}
        for part, lane in self._lanes.items():
            topic = part.topic.removeprefix(self._settings.topic_prefix)
            end = self._consumer.highwater(part) if self._consumer else None
            begun = lane.unhandled_from
            late = max(0, end - begun) if end is not None and begun is not None else 0
            behind[topic] = behind.get(topic, 0) + late
        return behind

    def partitions(self) -> int:
        """Return how many partitions this worker holds."""
        return len(self._lanes)

    def stuck(self) -> str | None:
        """Return why a restart would help, or None: for `/livez`."""
        silent_s = time.monotonic() - self._polled_at
        if not self._rebalancing and silent_s > self._how.stuck_after_s:
            return f"no poll for {silent_s:.0f} s"
        return None

    async def check(self) -> None:
        """Raise KafkaAway unless the worker holds its place in the group and its work goes on."""
        if self._consumer is None or self._rebalancing:
            raise KafkaAway("not (yet) a member of the consumer group")
        failing = [lane.failing_since for lane in self._lanes.values() if lane.failing_since]
        if failing and time.monotonic() - min(failing) > self._how.stuck_after_s:
            raise KafkaAway("a batch has been failing for a while: see consumer.batch_failed")

    # One membership of the group, from joining it to leaving it or losing Kafka.

    async def _one_membership(self, stop: asyncio.Event) -> None:
        consumer = self._connect(
            self._settings,
            group_id=self._group_id,
            instance_id=self._instance_id,
            client_id=await self._client_id(),
            session_timeout_s=self._how.session_timeout_s,
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await _first_of(stop.wait(), consumer.start())
            if stop.is_set():
                return
            self._consumer = consumer
            consumer.subscribe(self._topics, listener=_Handover(self))
            await _first_of(stop.wait(), self._poll_for_ever(), self._commit_for_ever())
            await self.give_up(list(self._lanes), within_s=self._how.stop_s)
        finally:
            self._consumer = None
            self._rebalancing = True
            await self._leave(consumer)

    async def _leave(self, consumer: Any) -> None:
        lanes, self._lanes = self._lanes, {}
        await asyncio.gather(*(lane.close(0) for lane in lanes.values()))
        try:
            async with asyncio.timeout(self._how.stop_s):
                await consumer.stop()
        except CONNECT_FAULTS as error:
            log.warning("consumer.not_stopped", cause=type(error).__name__)

    # The loop.

    async def _poll_for_ever(self) -> None:
        while True:
            try:
                self._hand_out(await self._consumer.getmany(timeout_ms=500))
            except IllegalStateError:
                continue  # a partition was taken while it was paused or resumed
            except (*CONNECT_FAULTS, *UNREADABLE) as error:
                await self._recover(error)
            else:
                self._faults = 0
            self._polled_at = time.monotonic()

    def _hand_out(self, fetched: Mapping[Any, Iterable[Any]]) -> None:
        for part, records in fetched.items():
            if (lane := self._lanes.get(part)) is not None:
                lane.put([consumed(record, self._settings.topic_prefix) for record in records])
        for part, lane in self._lanes.items():
            if part in self._paused and lane.waiting <= self._how.full_records // 4:
                self._paused.discard(part)
                self._consumer.resume(part)
            elif part not in self._paused and lane.waiting >= self._how.full_records:
                self._paused.add(part)
                self._consumer.pause(part)

    async def _recover(self, error: Exception) -> None:
        """Go on after a fault of polling: lose nothing, and step over what nobody can read.

        aiokafka has moved on past records it had in hand when it raised, so all are fetched again.
        """
        self._faults += 1
        log.warning("consumer.fault", cause=type(error).__name__, times=self._faults)
        unreadable = isinstance(error, UNREADABLE)
        if self._faults >= GIVE_UP_AFTER and not unreadable:
            raise error
        await asyncio.sleep(self._how.retry_s / 2)
        for part, lane in list(self._lanes.items()):
            try:
                await self._fetch_again(part, lane)
                if unreadable and self._faults >= READ_ATTEMPTS:
                    await self._step_over_unreadable(part, lane)
            except IllegalStateError:
                continue  # a rebalance has just taken the partition

    async def _fetch_again(self, part: Any, lane: Lane) -> None:
        if lane.fetched_to is None:
            await self._consumer.seek_to_beginning(part)
        else:
            self._consumer.seek(part, lane.fetched_to)

    async def _step_over_unreadable(self, part: Any, lane: Lane) -> None:
        try:
            self._hand_out(await self._consumer.getmany(part, timeout_ms=500))
        except UNREADABLE:
            offset = await self._consumer.position(part)
            where = {"topic": part.topic, "partition": part.partition, "offset": offset}
            log.exception("consumer.record_unreadable", **where)
            lane.fetched_to = offset + 1  # the lane sees the gap and has everything looked at
            self._consumer.seek(part, lane.fetched_to)

    # Commits.

    async def _commit_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._how.commit_every_s)
            await self._commit(self._lanes)

    async def _commit(self, lanes: Mapping[Any, Lane]) -> None:
        """Commit how far each lane is. What fails is committed later or done again: harmless."""
        async with self._commit_lock:
            offsets = {
                part: offset
                for part, lane in lanes.items()
                if (offset := lane.to_commit()) is not None
            }
            if not offsets or self._consumer is None:
                return
            try:
                async with asyncio.timeout(self._how.commit_timeout_s):
                    await self._consumer.commit(offsets)
            except (*CONNECT_FAULTS, IllegalStateError) as error:
                log.info("consumer.not_committed", cause=type(error).__name__)
                return
            failpoints.reach("w7")
            for part, offset in offsets.items():
                if (lane := lanes.get(part)) is not None:
                    lane.committed = offset

    # What a rebalance asks for.

    async def give_up(self, parts: Iterable[Any], *, within_s: float) -> None:
        """End the lanes of some partitions: finish the batch under way, commit, forget the rest."""
        lanes = {part: self._lanes.pop(part) for part in parts if part in self._lanes}
        await asyncio.gather(*(lane.close(within_s) for lane in lanes.values()))
        await self._commit(lanes)

    async def revoked(self, parts: Iterable[Any]) -> None:
        """Hand partitions over, all work on them done."""
        self._rebalancing = True
        await self.give_up(parts, within_s=self._how.drain_s)

    def assigned(self, parts: Sequence[Any]) -> None:
        """Begin a new tenure of each partition."""
        self._epoch += 1
        self._paused.clear()
        for part in parts:
            self._lanes[part] = Lane(
                self._handle,
                expected=partial(self._committed, part),
                on_gap=self._on_gap,
                settings=self._how.lane,
            )
        self._polled_at = time.monotonic()
        self._rebalancing = False
        log.info("consumer.assigned", partitions=len(parts), epoch=self._epoch)

    async def _committed(self, part: Any) -> int | None:
        try:
            async with asyncio.timeout(self._how.commit_timeout_s):
                committed: int | None = await self._consumer.committed(part)
        except (*CONNECT_FAULTS, AttributeError):  # AttributeError: the consumer has been left
            return None
        return committed


class _Handover(ConsumerRebalanceListener):  # type: ignore[misc] # untyped base
    """What aiokafka calls; it waits for work only, never for the polling loop."""

    def __init__(self, consumer: NoticeConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        await self._consumer.revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._consumer.assigned(sorted(assigned))


async def _first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Run all until one ends; end the others; raise what the first one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
