"""Finding and ending the processes of a run by what its programs recorded of themselves."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

GRACE_S = 8.0
_CLOCK_SLACK_S = 2.0
_POLL_S = 0.05
_GONE_POLL_S = 0.002
_GONE_WITHIN_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a program wrote down before it began; its process group has the same number."""

    name: str
    pid: int
    stop_signal: int
    recorded_at: float  # Unix seconds


def read_records(folder: Path) -> list[Record]:
    """Return the records of a run's programs; one that was cut short is left out."""
    records = []
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            records.append(Record(name=path.stem, **json.loads(path.read_text())))
    return records


def _leader(record: Record) -> psutil.Process | None:
    """Return the program itself; a later process that was given its number is not it."""
    try:
        process = psutil.Process(record.pid)
        if process.create_time() <= record.recorded_at + _CLOCK_SLACK_S:
            return process
    except psutil.NoSuchProcess:
        pass
    return None


def _group(record: Record) -> list[psutil.Process]:
    """Return the members of the program's group, which outlives its leader."""
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            if os.getpgid(pid) == record.pid:
                members.append(psutil.Process(pid))
    return members


def processes_of(record: Record) -> list[psutil.Process]:
    """Return the living processes of a program: itself, its group, and what it started.

    Zombies are left out: they have ended, and only wait for their parent to take note.
    """
    leader = _leader(record)
    if leader is None and psutil.pid_exists(record.pid):
        return []  # the number was given away, and with it that of the group
    found = {process.pid: process for process in _group(record)}
    if leader is not None:
        found[leader.pid] = leader
        with contextlib.suppress(psutil.NoSuchProcess):
            found |= {child.pid: child for child in leader.children(recursive=True)}
    return living(found.values())


def living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return those that have not ended."""
    return [process for process in processes if _is_alive(process)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def send(processes: list[psutil.Process], number: int) -> None:
    """Send a signal to each process that is still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def kill(processes: list[psutil.Process]) -> None:
    """Kill the processes and wait until they are gone, with the ports and files they held."""
    send(processes, signal.SIGKILL)
    deadline = time.monotonic() + _GONE_WITHIN_S
    while living(processes) and time.monotonic() < deadline:
        time.sleep(_GONE_POLL_S)


def signal_group(record: Record, number: int) -> None:
    """Send a signal to a program's group, if the group is still the program's."""
    if processes_of(record):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(record.pid, number)


def end(records: list[Record], grace_s: float = GRACE_S) -> None:
    """Ask every program to stop, then kill what is left after `grace_s` seconds."""
    families = {record.pid: processes_of(record) for record in records}
    for record in records:
        signal_group(record, record.stop_signal)
        signal_group(record, signal.SIGCONT)  # one that was paused has to wake up to stop
    deadline = time.monotonic() + grace_s
    left = [process for family in families.values() for process in family]
    while (left := living(left)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    kill(left)
    for record in records:  # what was started while we waited
        kill(processes_of(record))
