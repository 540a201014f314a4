"""The workers' committed offsets, as Kafka holds them: they must only grow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.protocol.admin import DeleteGroupsRequest

from schemas.notices import PART3_NOTICES, PROCORE_NOTICES, WORKER_GROUP
from services.kafka.driver import CONNECT_FAULTS, make_admin
from services.settings import KafkaSettings
from tests.faults.lab import Lab

PARTITIONS = 6  # as `Stack.prepare` makes them
EVERY_S = 0.5
ANSWER_WITHIN_S = 10.0


class Offsets:
    """Asks for the offsets again and again, and notes where one went back."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._settings = lab.kafka_settings
        self._group = self._settings.topic_prefix + WORKER_GROUP
        self._seen: dict[Any, int] = {}
        self.went_back: list[str] = []
        self.samples = 0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator["Offsets"]:
        """Watch beside what is tried."""
        watching = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def forget(self) -> None:
        """Begin anew, as a test has taken the offsets away."""
        self._seen.clear()

    async def committed(self) -> dict[Any, int]:
        """Return what is committed, by partition."""
        admin = make_admin(self._settings)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await admin.start()
                found = await admin.list_consumer_group_offsets(self._group)
        finally:
            await admin.close()
        return {part: one.offset for part, one in found.items() if one.offset >= 0}

    async def behind(self) -> int:
        """Return how many records lie behind the committed offsets."""
        committed = await self.committed()
        reader = AIOKafkaConsumer(bootstrap_servers=self._settings.bootstrap_servers)
        await reader.start()
        try:
            names = [self._settings.topic_prefix + one for one in (PROCORE_NOTICES, PART3_NOTICES)]
            parts = [TopicPartition(name, one) for name in names for one in range(PARTITIONS)]
            ends = await reader.end_offsets(parts)
        finally:
            # in a task, as aiokafka lets the cancellation of its own tasks out
            await asyncio.wait([asyncio.create_task(reader.stop())])
        return sum(end - committed.get(part, 0) for part, end in ends.items())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                now = await self.committed()
            except (*CONNECT_FAULTS, RuntimeError):
                continue  # Kafka is what is being broken
            self.samples += 1
            for part, offset in now.items():
                if offset < self._seen.get(part, 0):
                    self.went_back.append(f"{part}: {self._seen[part]} -> {offset}")
                self._seen[part] = offset


async def delete_group(settings: KafkaSettings, group: str) -> bool:
    """Delete a consumer group with its offsets; False while it has members."""
    admin = make_admin(settings)
    await admin.start()
    try:
        coordinator = await admin.find_coordinator(group)
        answer = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
    finally:
        await admin.close()
    return all(code == 0 for _, code, *_ in answer.results)


async def delete_records(settings: KafkaSettings) -> None:
    """Delete every record of the notices' topics, as retention does."""
    admin = make_admin(settings)
    await admin.start()
    try:
        for topic in (PROCORE_NOTICES, PART3_NOTICES):
            parts = [TopicPartition(settings.topic_prefix + topic, n) for n in range(PARTITIONS)]
            _ = await admin.delete_records({part: RecordsToDelete(-1) for part in parts})
    finally:
        await admin.close()
