"""Keeping the demo up: a program that somebody kills is started again, as a deployment would."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable

from deploy.local.processes import Program
from deploy.local.runs import Run

LOOK_S = 0.2
MOST_STARTS, WITHIN_S = 5, 60.0


async def keep_up(run: Run, say: Callable[[str], None]) -> None:
    """Start again whatever ends by itself, for ever.

    Raises:
        ProgramFailed: one does not become ready again, or ends over and over.
    """
    starts: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MOST_STARTS))
    while True:
        for program in run.programs.values():
            if program.has_failed:
                await _start_again(program, starts[program.name], say)
        await asyncio.sleep(LOOK_S)


async def _start_again(program: Program, starts: deque[float], say: Callable[[str], None]) -> None:
    how = f"ended with {program.returncode}"
    if len(starts) == MOST_STARTS and time.monotonic() - starts[0] < WITHIN_S:
        raise program.failure(f"{how}, {MOST_STARTS} times within {WITHIN_S:.0f} s")
    starts.append(time.monotonic())
    say(f"{program.name} {how}; it is started again …")
    began = time.monotonic()
    await program.restart()
    say(f"{program.name} is ready again after {time.monotonic() - began:.1f} s.")
