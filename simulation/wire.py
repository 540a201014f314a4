"""One call on another side, and everything that may become of it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from services.errors import ConnectorError, TryLater
from simulation.counting import History
from simulation.faults import Faults
from simulation.loop import VirtualLoop
from simulation.processes import Process, ProcessDied

T = TypeVar("T")
LATEST_S = 100.0
"""What a side still has in its queue it executes within this, or never.

The quiet period (180 s) has to exceed it, the longest lag of reads (60 s) and the 5 s from arming
to sending: that is what it is for.
"""


class Wire:
    """The way from one process to one side.

    Args:
        deadline_s: after which the caller gives up.
        unknown: what the client raises when a write's outcome cannot be told; None where the other
            side takes the same call twice, so that its client just tries later.
    """

    def __init__(
        self,
        process: Process,
        loop: VirtualLoop,
        faults: Faults,
        history: History,
        *,
        side: str,
        deadline_s: float,
        latest_s: float = LATEST_S,
        unknown: Callable[[str], ConnectorError] | None = None,
    ) -> None:
        self._process = process
        self._loop = loop
        self._faults = faults
        self._history = history
        self._side = side
        self._deadline_s = deadline_s
        self._latest_s = latest_s
        self._unknown = unknown

    async def read(self, execute: Callable[[], T]) -> T:
        """Send a call that changes nothing."""
        process, faults = self._process, self._faults
        if not process.alive or process.paused_until_s:
            await process.gate()
        fate = faults.fate()
        if fate == "good":
            return execute()
        if fate in ("die_before", "die_after"):
            process.die("a read")
            raise ProcessDied
        if fate == "slow":
            await asyncio.sleep(faults.between(0.01, 4))
            answer = execute()
            await asyncio.sleep(faults.between(0.01, 4))
            await process.gate()
            return answer
        if fate in ("lost", "late", "answer_lost"):
            await asyncio.sleep(self._deadline_s)
            await process.gate()
        raise self._down(fate)

    async def write(self, execute: Callable[[], T], *, once: bool = False) -> T:
        """Send a call that changes something.

        Args:
            execute: what the other side does.
            once: it does it again when asked again, so the client tells an unknown outcome apart.
        """
        process, faults, history = self._process, self._faults, self._history
        if not process.alive or process.paused_until_s:
            await process.gate()
        fate = faults.fate()
        if fate == "good":
            return execute()
        match fate:
            case "slow":
                await asyncio.sleep(faults.between(0.01, 3))
                answer = execute()
                await asyncio.sleep(faults.between(0.01, 3))
                await process.gate()
                return answer
            case "refused":
                raise self._down(fate)
            case "lost":
                await asyncio.sleep(self._deadline_s)
                await process.gate()
            case "late":
                return await self._late(execute, once=once)
            case "answer_lost":
                execute()
                history.count("answer lost after the effect")
                await asyncio.sleep(self._deadline_s)
                await process.gate()
            case "half":
                execute()
                history.count("half an answer")
            case "die_before":
                if faults.chance(0.5):  # its request is on its way already
                    self._execute_later(execute, faults.between(0, self._latest_s))
                process.die(f"calling {self._side}")
                raise ProcessDied
            case _:
                execute()
                process.die(f"reading the answer of {self._side}")
                raise ProcessDied
        raise self._not_known(fate, once=once)

    async def _late(self, execute: Callable[[], T], *, once: bool) -> T:
        after_s = self._faults.between(1, self._latest_s)
        answer = self._execute_later(execute, after_s)
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await asyncio.shield(answer)
        except TimeoutError:
            await self._process.gate()
            raise self._not_known("late", once=once) from None
        await self._process.gate()
        return found

    def _execute_later(self, execute: Callable[[], T], after_s: float) -> asyncio.Future[T]:
        answer: asyncio.Future[T] = self._loop.create_future()

        def now() -> None:
            if after_s > self._deadline_s:
                self._history.count("executed after its caller gave up")
            try:
                found = execute()
            except Exception as error:  # noqa: BLE001 - the answer, whoever still wants it
                if not answer.done():
                    answer.set_exception(error)
                    answer.exception()  # seen: nobody may be left to fetch it
            else:
                if not answer.done():
                    answer.set_result(found)

        self._loop.call_later(after_s, now)
        return answer

    def _down(self, fate: str) -> TryLater:
        return TryLater(f"{self._side} is away ({fate})", reason=f"{self._side}_down")

    def _not_known(self, fate: str, *, once: bool) -> ConnectorError:
        if once and self._unknown is not None:
            return self._unknown(f"{self._side} gave no answer ({fate})")
        return self._down(fate)
