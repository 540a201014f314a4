"""A Kafka in memory: partitions, a consumer group that moves them, and what was committed."""

import asyncio
import contextvars
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.kafka.driver import IllegalStateError
from simulation.counting import History
from simulation.loop import START, VirtualLoop
from simulation.processes import Process, ProcessDied

SESSION_TIMEOUT_S = 30.0
REBALANCE_TIMEOUT_S = 60.0
IDLE_POLL_S = 60.0
MOST_RECORDS = 100


class Part(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Written:
    """A record as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp: int
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(eq=False)
class Broker:
    """The log, and the one group that reads it.

    Attributes:
        handled: offsets whose work is durable elsewhere. A commit past another one breaks I5.
    """

    loop: VirtualLoop
    history: History
    topics: Sequence[str]
    log: dict[Part, list[Written]] = field(default_factory=dict)
    committed: dict[Part, int] = field(default_factory=dict)
    handled: dict[Part, set[int]] = field(default_factory=dict)
    members: "dict[str, Member]" = field(default_factory=dict)
    owners: dict[Part, str] = field(default_factory=dict)  # by the member's name
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _moves: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for topic in self.topics:
            self.log[Part(topic, 0)] = []
            self.handled[Part(topic, 0)] = set()

    def append(self, topic: str, key: bytes, value: bytes) -> None:
        """Write a record; whoever polls for it wakes."""
        part = Part(topic, 0)
        moment = int((START.timestamp() + self.loop.now_s) * 1000)
        self.log[part].append(Written(topic, 0, len(self.log[part]), key, value, moment))
        for member in self.members.values():
            if part in member.positions:
                member.woken.set()

    def note_handled(self, topic: str, offsets: Sequence[int]) -> None:
        """Take down that the work of some records is durable."""
        self.handled[Part(topic, 0)].update(offsets)

    def take_commit(self, part: Part, offset: int) -> None:
        """Commit an offset, and hold I5 against it."""
        if offset < self.committed.get(part, 0):
            self.history.violate("I5", f"the offset of {part.topic} went back to {offset}")
        missing = set(range(offset)) - self.handled[part]
        if missing:
            what = f"{part.topic} is committed to {offset}, but {min(missing)} is not handled"
            self.history.violate("I5", what)
        self.committed[part] = max(offset, self.committed.get(part, 0))

    def lag(self, older_than_s: float) -> int:
        """Return how many records of some age are not committed."""
        before = (START.timestamp() + self.loop.now_s - older_than_s) * 1000
        return sum(
            record.timestamp < before
            for part, log in self.log.items()
            for record in log[self.committed.get(part, 0) :]
        )

    def joined(self, member: "Member") -> None:
        """Take a member in: one that comes back under its name gets its partitions back at once."""
        self.history.tell("kafka", "takes in", member=member.name)
        before = self.members.get(member.name)
        self.members[member.name] = member
        if before is None:
            self.move()
            return
        before.fenced = True
        before.positions = {}
        self._in_background(self._take_place(member))

    def left(self, member: "Member") -> None:
        """Let a member go: a static one keeps its place until its session ends."""
        self.loop.call_later(SESSION_TIMEOUT_S, self.expire, member)

    def expire(self, member: "Member") -> None:
        """Put a member out that has been silent for too long."""
        if self.members.get(member.name) is not member or member.is_heard():
            return
        self.history.tell("kafka", "puts out", member=member.name)
        del self.members[member.name]
        member.fenced = True
        member.positions = {}
        self.move()

    def move(self) -> None:
        """Share the partitions out anew."""
        self._in_background(self._rebalance())

    async def _take_place(self, member: "Member") -> None:
        async with self._turn:
            await self._assign(member)

    def _in_background(self, work: Any) -> None:
        task = self.loop.create_task(work, context=contextvars.Context())  # nobody's process
        self._moves.add(task)
        task.add_done_callback(self._moves.discard)

    async def _rebalance(self) -> None:
        async with self._turn:
            members = list(self.members.values())
            for member in members:
                if member.positions:
                    await member.revoke()
            members = [one for one in members if self.members.get(one.name) is one]
            if not members:
                return
            self.history.count("partitions moved")
            for place, part in enumerate(sorted(self.log)):
                self.owners[part] = members[place % len(members)].name
            for member in list(self.members.values()):
                await self._assign(member)

    async def _assign(self, member: "Member") -> None:
        if self.members.get(member.name) is not member:
            return
        parts = [part for part, name in self.owners.items() if name == member.name]
        self.history.tell("kafka", "gives", member=member.name, partitions=len(parts))
        await member.take(parts, {part: self.committed.get(part, 0) for part in parts})


class Member:
    """What `NoticeConsumer` takes for a consumer of aiokafka."""

    def __init__(self, broker: Broker, process: Process, name: str) -> None:
        self.name = name
        self.fenced = False
        self.positions: dict[Part, int] = {}
        self.woken = asyncio.Event()
        self._broker = broker
        self._process = process
        self._context = contextvars.copy_context()
        self._listener: Any = None
        self._paused: set[Part] = set()

    def is_heard(self) -> bool:
        """Tell whether its heartbeats come."""
        process = self._process
        return process.alive and self._broker.loop.now_s >= process.paused_until_s

    async def take(self, parts: list[Part], positions: dict[Part, int]) -> None:
        """Begin with some partitions: its listener hears of them before anything is fetched."""

        async def begin() -> None:
            self.positions = positions
            await self._listener.on_partitions_assigned(parts)
            self.woken.set()

        await self._in_process(begin())

    async def revoke(self) -> None:
        """Let its listener finish with its partitions."""
        await self._in_process(self._listener.on_partitions_revoked(list(self.positions)))
        self.positions = {}

    async def _in_process(self, call: Any) -> None:
        if not self._process.alive:
            call.close()
            return
        task = self._broker.loop.create_task(call, context=self._context)
        await asyncio.wait([task], timeout=REBALANCE_TIMEOUT_S)
        if task.done() and not task.cancelled():
            task.exception()

    async def _gate(self) -> None:
        await self._process.gate()
        if self.fenced:
            raise OSError("another member has this name, or the session has ended")

    async def start(self) -> None:
        """Connect."""
        await self._process.gate()

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        """Join the group."""
        self._listener = listener
        self._broker.joined(self)

    async def stop(self) -> None:
        """Leave; a static member keeps its place for a while."""
        self._broker.left(self)

    async def getmany(self, *parts: Part, timeout_ms: int) -> Mapping[Part, list[Written]]:
        """Return what there is, or wait for it."""
        await self._gate()
        found = self._take()
        if found:
            return found
        self.woken.clear()
        try:
            async with asyncio.timeout(IDLE_POLL_S):
                await self.woken.wait()
        except TimeoutError:
            return {}
        await self._gate()
        return self._take()

    def _take(self) -> dict[Part, list[Written]]:
        found = {}
        for part, position in self.positions.items():
            if part not in self._paused and position < len(self._broker.log[part]):
                found[part] = self._broker.log[part][position : position + MOST_RECORDS]
        for part, records in found.items():
            self.positions[part] += len(records)
        return found

    def _own(self, part: Part) -> None:
        if part not in self.positions:
            raise IllegalStateError(f"{part} is not assigned")

    def pause(self, part: Part) -> None:
        """Fetch no more of a partition."""
        self._own(part)
        self._paused.add(part)

    def resume(self, part: Part) -> None:
        """Fetch again."""
        self._own(part)
        self._paused.discard(part)
        self.woken.set()

    def seek(self, part: Part, offset: int) -> None:
        """Go on from an offset."""
        self._own(part)
        self.positions[part] = offset

    async def seek_to_beginning(self, part: Part) -> None:
        """Go on from the first record."""
        self.seek(part, 0)

    async def position(self, part: Part) -> int:
        """Return what is fetched next."""
        self._own(part)
        return self.positions[part]

    def highwater(self, part: Part) -> int:
        """Return the end of a partition."""
        return len(self._broker.log[part])

    async def committed(self, part: Part) -> int | None:
        """Return what was committed last."""
        await self._gate()
        return self._broker.committed.get(part)

    async def commit(self, offsets: Mapping[Part, int]) -> None:
        """Commit; refused to whom a partition was taken from."""
        await self._gate()
        for part in offsets:
            self._own(part)
        for part, offset in offsets.items():
            self._broker.take_commit(part, offset)


def counted_handle(
    broker: Broker, handle: Callable[[Any], Any], seen: Callable[[str], None]
) -> Callable[[Any], Any]:
    """Return the handler of a worker, that tells the broker what is handled."""

    async def handled(batch: Any) -> None:
        try:
            await handle(batch)
        except (Exception, ProcessDied):
            seen("batch repeated")
            raise
        broker.note_handled(batch[0].topic, [record.offset for record in batch])

    return handled
