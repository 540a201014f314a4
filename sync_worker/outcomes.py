"""What became of records and returns, told to whoever else wants to know: `mirror.outcomes`.

Told after the database has committed, and best effort: nobody waits for it and nothing fails with
it. What does not fit into the queue, or is not taken by Kafka, is counted and dropped; the activity
log is the record of what happened.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
import structlog

from schemas.notices import OUTCOMES, Outcome
from schemas.records import Record
from schemas.returns import Return
from services.cloudevents import event_headers
from services.errors import TryLater
from services.metrics import CounterOf
from services.postgres import Postgres
from sync_worker.inbound.stored import Records
from sync_worker.leases import Key
from sync_worker.outbound.delivery_store import Change, PostgresDeliveries, Task
from sync_worker.outbound.standing import Standing

MOST_WAITING = 2_000
AT_ONCE = 200
DRAIN_S = 2.0
MOST_REMEMBERED = 500
SOURCE = b"/sync_worker"
DROPPED = ("queue_full", "kafka_down", "ended")

Tell = Callable[[Outcome], None]
"""Takes an outcome; never raises and never waits."""

log = structlog.get_logger()


def tell_nobody(_outcome: Outcome) -> None:
    """Stand in where nobody wants to know."""


class Publishes(Protocol):
    """Where outcomes go."""

    async def publish(
        self, topic: str, key: bytes | None, value: bytes, headers: Iterable[tuple[str, bytes]] = ()
    ) -> None:
        """Return once Kafka holds the record; raise TryLater otherwise."""


class Outcomes:
    """Publishes outcomes in the background while its block lasts; its end drains for a moment.

    Args:
        publisher: where they go.
        dropped: counts by why.
    """

    def __init__(
        self, publisher: Publishes, dropped: CounterOf, *, most_waiting: int = MOST_WAITING
    ) -> None:
        self._publisher = publisher
        self._dropped = dropped
        self._most_waiting = most_waiting
        self._waiting: deque[Outcome] = deque()
        self._woken = asyncio.Event()
        self._ended = False
        self._task: asyncio.Task[None] | None = None

    def tell(self, outcome: Outcome) -> None:
        """Have an outcome published; it is dropped when too many wait."""
        if len(self._waiting) >= self._most_waiting:
            self._dropped.add("queue_full")
            return
        self._waiting.append(outcome)
        self._woken.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._publish_all(), name="outcomes")
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        self._woken.set()
        if self._task is not None:
            _ = await asyncio.wait([self._task], timeout=DRAIN_S)
            _ = self._task.cancel()
            _ = await asyncio.gather(self._task, return_exceptions=True)
        if self._waiting:
            self._dropped.add("ended", by=len(self._waiting))

    async def _publish_all(self) -> None:
        while self._waiting or not self._ended:
            if not self._waiting:
                self._woken.clear()
                _ = await self._woken.wait()
            now = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            _ = await asyncio.gather(*map(self._publish, now))  # those of a project stay in order

    async def _publish(self, outcome: Outcome) -> None:
        try:
            await self._publisher.publish(
                OUTCOMES,
                outcome.project_id.encode(),
                msgspec.json.encode(outcome),
                event_headers(
                    secrets.token_hex(16),
                    SOURCE,
                    outcome.outcome.encode(),
                    outcome.at.isoformat().encode(),
                    None,
                ),
            )
        except (TryLater, ValueError) as error:
            self._dropped.add("kafka_down")
            log.debug("outcome.dropped", why=str(error))
        except asyncio.CancelledError:
            self._dropped.add("ended")  # perhaps Kafka has it all the same
            raise


class TellingRecords(Records):
    """`Records` that tells of every put once it is kept."""

    def __init__(self, postgres: Postgres, tell: Tell) -> None:
        super().__init__(postgres)
        self._tell = tell

    async def keep(self, key: Key, fence: int, *, record: Record, **known: Any) -> None:
        """Note a put as `Records` does, then tell."""
        await super().keep(key, fence, record=record, **known)
        event = "record.removed" if record.status == "removed" else "record.mirrored"
        self._tell(
            Outcome(
                project_id=key.project_id,
                kind=key.kind,
                procore_id=key.procore_id,
                return_id=None,
                outcome=event,
                at=datetime.now(UTC),
            )
        )


class TellingDeliveries(PostgresDeliveries):
    """`PostgresDeliveries` that tells of every new standing once it is kept."""

    def __init__(self, postgres: Postgres, *, worker_id: str, lease_s: float, tell: Tell) -> None:
        super().__init__(postgres, worker_id=worker_id, lease_s=lease_s)
        self._tell = tell
        self._read: dict[str, Return] = {}  # of deliveries under way: what they are about
        self._stood: dict[str, tuple[str, str | None]] = {}

    async def claim(self) -> Task | None:
        """Lease the next due delivery; nothing is remembered of it yet."""
        task = await super().claim()
        if task is not None:
            self._forget(task)
        return task

    async def identify(self, task: Task, answer: Return) -> bool:
        """Note what a return is about, here too: its task was claimed before it was read."""
        self._read[task.return_id] = answer
        return await super().identify(task, answer)

    async def settle(self, task: Task, standing: Standing, change: Change | None) -> None:
        """Note where it stands as `PostgresDeliveries` does, then tell if that is new."""
        await super().settle(task, standing, change)
        stands = (standing.state, standing.reason)
        if self._stood.get(task.return_id, (task.state, task.reason)) == stands:
            return
        self._stood[task.return_id] = stands
        about = self._read.get(task.return_id)
        kind, procore_id = (about.kind, about.procore_id) if about else (task.kind, task.procore_id)
        if kind is None or procore_id is None:
            return  # Part3 has not shown it yet, so nobody could tell which record it is about
        self._tell(
            Outcome(
                project_id=task.project_id,
                kind=kind,
                procore_id=procore_id,
                return_id=task.return_id,
                outcome=f"return.{standing.state}",
                at=datetime.now(UTC),
                reason=standing.reason,
            )
        )

    async def release(self, task: Task, standing: Standing, told: Any) -> None:
        """Give the lease back, and forget what was remembered of it."""
        self._forget(task)
        await super().release(task, standing, told)

    async def give_back(self, task: Task, *, after_s: float) -> None:
        """Free a lease whose attempt could not be noted, and forget likewise."""
        self._forget(task)
        await super().give_back(task, after_s=after_s)

    def being_delivered(self, task: Task) -> Return | None:
        """Return what a return under our lease was when it was read, if it has been."""
        return self._read.get(task.return_id)

    def _forget(self, task: Task) -> None:
        for remembered in (self._read, self._stood):
            _ = remembered.pop(task.return_id, None)
            if len(remembered) > MOST_REMEMBERED:  # leases that were lost are not given back
                remembered.clear()
