"""Named places in our code where a test may kill, stop, delay or break the program.

They do nothing unless FAILPOINTS or FAILPOINTS_FILE is set at the program's start, which only the
fault laboratory does (`make faults`). A plan is written `point=action@count,…`, such as
`w2=kill@2,g1=delay:1.5`: at the second arrival at `w2` the process kills itself. The actions:

- kill: SIGKILL, as a crash or the kernel's lack of memory
- stop: SIGSTOP, until somebody sends SIGCONT
- raise: a fault of ours that nobody foresaw
- delay:SECONDS: the whole process stands still for so long, its event loop too

A plan in a file is read again when the file changes, and counts anew then. With FAILPOINTS_LOG each
first arrival and each action becomes a line of JSON in that file before it is taken. What the
points stand for is in docs/reliability.md.
"""

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.settings import BadSettings

STEP = re.compile(r"([a-z0-9-]+)=(kill|stop|raise|delay:[0-9.]+)(?:@([1-9][0-9]*))?")


class Broken(RuntimeError):  # noqa: N818 - says what happened
    """A fault that a test ordered at a point."""


@dataclass(frozen=True, slots=True)
class Action:
    """What happens at a point, at which arrival there."""

    does: str
    at: int


def read_plan(text: str) -> dict[str, Action]:
    """Read a plan: point -> action. Raises BadSettings that names the part it cannot read."""
    plan: dict[str, Action] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        if (found := STEP.fullmatch(part)) is None:
            raise BadSettings([f"FAILPOINTS holds {part!r}: write point=kill|stop|raise|delay:S@N"])
        point, does, at = found.groups()
        plan[point] = Action(does, int(at or 1))
    return plan


class FailPoints:
    """The plan in force, how often each point was reached, and the log."""

    def __init__(
        self, *, text: str = "", file: Path | None = None, log: Path | None = None
    ) -> None:
        self._plan = read_plan(text)
        self._file = file
        self._log = log
        self._read_at = -1
        self._arrivals: Counter[str] = Counter()
        self._seen: set[str] = set()

    def reach(self, point: str) -> None:
        """Do what the plan says of this arrival."""
        if self._file is not None:
            self._follow(self._file)
        self._arrivals[point] += 1
        if point not in self._seen:
            self._seen.add(point)
            self._note(point, "reached")
        action = self._plan.get(point)
        if action is not None and self._arrivals[point] == action.at:
            self._note(point, action.does)
            _act(point, action.does)

    def _follow(self, file: Path) -> None:
        try:
            changed_at = file.stat().st_mtime_ns
        except FileNotFoundError:
            changed_at = 0
        if changed_at != self._read_at:
            self._read_at = changed_at
            self._plan = read_plan(file.read_text() if changed_at else "")
            self._arrivals.clear()

    def _note(self, point: str, what: str) -> None:
        if self._log is not None:
            entry = {"at": time.time(), "pid": os.getpid(), "point": point, "what": what}
            with self._log.open("a") as log:  # one short write: it outlives a kill
                log.write(json.dumps(entry) + "\n")


def _act(point: str, does: str) -> None:
    match does.partition(":"):
        case ("kill", _, _):
            os.kill(os.getpid(), signal.SIGKILL)
        case ("stop", _, _):
            os.kill(os.getpid(), signal.SIGSTOP)
        case ("delay", _, seconds):
            time.sleep(float(seconds))
        case _:
            raise Broken(f"a test ordered a fault at {point}")


_armed: list[FailPoints] = []


def reach(point: str) -> None:
    """Stand at a named point; nothing happens unless a test armed it."""
    for points in _armed:
        points.reach(point)


def arm(environment: Mapping[str, str]) -> bool:
    """Put the plan of the environment in force; return whether there is one.

    Raises:
        BadSettings: it cannot be read.
    """
    _armed.clear()
    text, file = environment.get("FAILPOINTS", ""), environment.get("FAILPOINTS_FILE", "")
    if text or file:
        log = environment.get("FAILPOINTS_LOG", "")
        points = FailPoints(
            text=text, file=Path(file) if file else None, log=Path(log) if log else None
        )
        _armed.append(points)
    return bool(_armed)
