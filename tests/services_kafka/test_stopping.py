"""A consumer that is told to stop, on a member of the group in memory."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

from services.kafka.consumer import ConsumerSettings, NoticeConsumer
from services.settings import KafkaSettings
from tests.services_kafka.test_lanes import PATIENCE_S, Work

KAFKA = KafkaSettings("in memory", "", "PLAINTEXT", None, None, None, None)


class Part(NamedTuple):
    topic: str
    partition: int


ONLY = Part("notices", 0)


class Member:
    """Hands three records out, and keeps what is committed."""

    def __init__(self) -> None:
        self.committed_to: dict[Any, int] = {}
        self._given = False

    async def start(self) -> None:
        """Join."""

    async def stop(self) -> None:
        """Leave."""

    def subscribe(self, _topics: list[str], listener: Any) -> None:
        self._listener = listener

    async def getmany(self, timeout_ms: int) -> Mapping[Any, list[Any]]:
        if self._given:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        self._given = True
        await self._listener.on_partitions_assigned([ONLY])
        return {ONLY: [self._record(offset) for offset in range(3)]}

    def _record(self, offset: int) -> Any:
        where = {"topic": ONLY.topic, "partition": ONLY.partition, "offset": offset}
        return SimpleNamespace(**where, key=b"project-1", value=b"{}", headers=(), timestamp=0)

    async def committed(self, _part: Any) -> int:
        return 0

    async def commit(self, offsets: Mapping[Any, int]) -> None:
        self.committed_to.update(offsets)


async def test_a_consumer_that_is_told_to_stop_finishes_its_batch_and_commits_it() -> None:
    work, member, stop = Work(), Member(), asyncio.Event()
    consumer = NoticeConsumer(
        KAFKA,
        topics=[ONLY.topic],
        group_id="workers",
        instance_id="worker-1",
        handle=work.handle,
        how=ConsumerSettings(stop_s=PATIENCE_S),
        connect=lambda *_args, **_kwargs: member,
    )
    running = asyncio.create_task(consumer.run(stop))
    async with asyncio.timeout(PATIENCE_S):
        await work.begun.wait()
        stop.set()
        await asyncio.sleep(0.05)
        assert member.committed_to == {}
        work.may_end.set()
        await running
    assert (work.done, member.committed_to) == ([0, 1, 2], {ONLY: 3})
