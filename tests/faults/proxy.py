"""A TCP proxy on loopback between two parts, that does to their connections what a test says.

It knows nothing of what is spoken: it delays, cuts, swallows, halves, repeats and holds bytes.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

CHUNK_BYTES = 65_536
Way = Literal["up", "down"]
"""up: from who calls to who is called; down: the answers."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Every piece comes later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """What is open is cut, and what is opened is cut at once."""


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Connections open and stay open, and nothing ever comes of them."""


@dataclass(frozen=True, slots=True)
class CutAfter:
    """Each connection is cut once so many bytes went that way: half of a request, or an answer."""

    size: int
    way: Way = "down"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """What is sent goes to a second connection too, whose answers nobody hears."""


Mode: TypeAlias = Pass | Delay | Cut | BlackHole | CutAfter | Duplicate


@dataclass(slots=True, eq=False)
class Hold:
    """One message that is kept back: a request before it is forwarded, or its answer.

    Attributes:
        match: parts that the request must hold, such as `b"POST "` and `b"/rfis/7/replies"`.
        way: up keeps the request, down lets it through and keeps the answer.
        caught: set once there is one.
        released: set it to let go of what is kept, also when who sent it is gone.
    """

    match: tuple[bytes, ...]
    way: Way
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy:
    """Listens on `port` and forwards to `upstream`, as `mode` says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.upstream = 0
        self.port = 0
        self.mode: Mode = Pass()
        self.strikes: Counter[str] = Counter()
        self._holds: list[Hold] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Proxy"]:
        """Listen on a free port of loopback until the end."""
        server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            self.mend()
            server.close()
            self._abort_all()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)  # an aborted transport closes in the next turn of the loop

    def set(self, mode: Mode) -> None:
        """Do so from now on, to open connections too."""
        self.mode = mode
        if isinstance(mode, Cut):
            self.strikes["cut"] += len(self._writers)
            self._abort_all()

    def mend(self) -> None:
        """Nothing is wrong any more; what was swallowed stays lost, as its connections are cut."""
        if isinstance(self.mode, BlackHole):
            self._abort_all()
        self.mode = Pass()
        for hold in self._holds:
            hold.released.set()
        self._holds.clear()

    def hold(self, *match: bytes, way: Way) -> Hold:
        """Keep back the next message whose request holds all these parts."""
        hold = Hold(match, way)
        self._holds.append(hold)
        return hold

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._take(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())  # also if it never began

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await self._connect(reader, writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.strikes["connections"] += 1
        if isinstance(self.mode, Cut):
            self.strikes["cut"] += 1
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        self._writers |= {writer, up_writer}
        line = _Line(self, writer, up_writer)
        try:
            ways = {
                asyncio.create_task(line.carry("up", reader, up_writer)),
                asyncio.create_task(line.carry("down", up_reader, writer)),
            }
            done, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if line.holding is not None:  # the caller is gone; what is held still arrives
                await line.holding.released.wait()
                await asyncio.wait(left, timeout=1.0)
            for task in left:
                task.cancel()
            await asyncio.gather(*done, *left, return_exceptions=True)
        finally:
            self._writers -= {writer, up_writer}
            line.close()

    def caught_by(self, piece: bytes) -> Hold | None:
        """Return the hold that wants this request, which then wants no other."""
        for hold in self._holds:
            if all(part in piece for part in hold.match) and not hold.caught.is_set():
                return hold
        return None


class _Line:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, down: asyncio.StreamWriter, up: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._ends = (down, up)
        self._sent: Counter[str] = Counter()
        self._answers: Hold | None = None
        self._copy: asyncio.StreamWriter | None = None
        self.holding: Hold | None = None

    def close(self) -> None:
        for writer in (*self._ends, *([self._copy] if self._copy else [])):
            writer.transport.abort()

    async def carry(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry pieces one way until either end is gone."""
        while piece := await reader.read(CHUNK_BYTES):
            await self._held(way, piece)
            if not await self._forward(way, piece, writer):
                return

    async def _held(self, way: Way, piece: bytes) -> None:
        hold = self._answers if way == "down" else self._proxy.caught_by(piece)
        if hold is None:
            return
        if way == "up" and hold.way == "down":
            hold.caught.set()
            self._answers = self.holding = hold
            return
        self._answers = None
        self.holding = hold
        hold.caught.set()
        self._proxy.strikes[f"held {way}"] += 1
        await hold.released.wait()

    async def _forward(self, way: Way, piece: bytes, writer: asyncio.StreamWriter) -> bool:
        proxy = self._proxy
        match proxy.mode:
            case BlackHole():
                proxy.strikes["swallowed"] += 1
                return True
            case Delay(seconds):
                proxy.strikes["delayed"] += 1
                await asyncio.sleep(seconds)
            case CutAfter(size, one_way) if one_way == way:
                piece = piece[: max(0, size - self._sent[way])]
                if self._sent[way] + len(piece) >= size:
                    proxy.strikes["halved"] += 1
                    writer.write(piece)
                    with contextlib.suppress(OSError):
                        await writer.drain()
                    self.close()
                    return False
            case Duplicate() if way == "up":
                await self._repeat(piece)
            case _:
                pass
        self._sent[way] += len(piece)
        with contextlib.suppress(OSError):
            writer.write(piece)
            await writer.drain()
            return True
        return False

    async def _repeat(self, piece: bytes) -> None:
        self._proxy.strikes["repeated"] += 1
        if self._copy is None:
            _, self._copy = await asyncio.open_connection("127.0.0.1", self._proxy.upstream)
        self._copy.write(piece)
