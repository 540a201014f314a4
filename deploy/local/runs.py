"""One run of servers and programs: its folder, what belongs to it, and its end.

.data/runs/20261124-021500-4711/
    owner.lock  held as long as the run's process lives, so the system frees it however it dies
    pids/       what each program wrote of itself before it began
    logs/       one file a program; these stay when the run is over
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from deploy.local import leftovers
from deploy.local.processes import Program
from deploy.local.readiness import Ready

ROOT = Path(__file__).resolve().parents[2]
DATA_FOLDER = ROOT / ".data"
_KEPT_RUNS = 10
_LOCK_NAME = "owner.lock"
_GUARDIAN_TIMEOUT_S = leftovers.GRACE_S + 5.0
_WATCH_S = 0.2


class Run:
    """The programs started together, which end together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs: dict[str, Program] = {}

    def program(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        working_folder: Path | None = None,
        ready: Ready | None = None,
        ready_within_s: float = 60.0,
        stop_signal: int = signal.SIGTERM,
        user: str = "",
    ) -> Program:
        """Return a program of this run that is not started yet; see `Program`."""
        if name in self._programs:
            raise ValueError(f"the run has a program {name} already")
        self._programs[name] = Program(
            name,
            command,
            folder=self.folder,
            environment=environment,
            working_folder=working_folder,
            ready=ready,
            ready_within_s=ready_within_s,
            stop_signal=stop_signal,
            user=user,
        )
        return self._programs[name]

    async def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        working_folder: Path | None = None,
        ready: Ready | None = None,
        ready_within_s: float = 60.0,
    ) -> Program:
        """Start a program and return it once it is ready; raises ProgramFailed, see `Program`."""
        program = self.program(
            name,
            command,
            environment=environment,
            working_folder=working_folder,
            ready=ready,
            ready_within_s=ready_within_s,
        )
        await program.start()
        return program

    async def complete(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        working_folder: Path | None = None,
        user: str = "",
        within_s: float = 60.0,
    ) -> Program:
        """Run a program to its end and return it; raises ProgramFailed unless that is 0."""
        program = self.program(
            name,
            command,
            environment=environment,
            working_folder=working_folder,
            user=user,
        )
        await program.complete(within_s)
        return program

    @property
    def programs(self) -> Mapping[str, Program]:
        """The run's programs by name, in the order of their start."""
        return dict(self._programs)

    async def watch(self) -> None:
        """Wait until a program ends by itself, then raise ProgramFailed for it."""
        while True:
            for program in self._programs.values():
                if program.has_failed:
                    raise program.failure(f"ended by itself with {program.returncode}")
            await asyncio.sleep(_WATCH_S)

    async def stop(self) -> None:
        """Stop all programs, the last one first, so that none misses what it needs to end well."""
        for program in reversed(self._programs.values()):
            await program.stop()


@contextlib.asynccontextmanager
async def open_run(data_folder: Path = DATA_FOLDER) -> AsyncIterator[Run]:
    """Open a run below `data_folder` and end all of it on the way out, whatever the reason.

    Runs beside this one are left alone; what a run whose process is gone left behind is ended
    and removed, except for the logs of the last few.
    """
    runs = data_folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    _clear_ended(runs)
    with _own_folder(runs) as folder:
        run = Run(folder)
        try:
            with _guarded(folder / "pids"):
                try:
                    yield run
                finally:
                    await run.stop()
        finally:
            _keep_only_logs(folder)


@contextlib.contextmanager
def _own_folder(runs: Path) -> Iterator[Path]:
    """Make a new run's folder and hold its lock."""
    folder = _unused_name(runs)
    with _locked_beginning(runs):
        (folder / "pids").mkdir(parents=True)
        (folder / "logs").mkdir()
        lock = (folder / _LOCK_NAME).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        yield folder


def _unused_name(runs: Path) -> Path:
    """Return a name that sorts by the time of its run's beginning."""
    while True:
        now = datetime.now(UTC)
        folder = runs / f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{os.getpid()}"
        if not folder.exists():
            return folder
        time.sleep(0.001)


@contextlib.contextmanager
def _locked_beginning(runs: Path) -> Iterator[None]:
    """Keep others from clearing a folder whose owner is about to lock it."""
    with (runs / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _guarded(records: Path) -> Iterator[None]:
    """Have a guardian end the programs if this process disappears."""
    command = [sys.executable, "-m", "deploy.local.guardian", str(records)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        start_new_session=True,
    ) as guardian:
        try:
            yield
        finally:
            _close(guardian.stdin)
            guardian.wait(_GUARDIAN_TIMEOUT_S)


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()


def _clear_ended(runs: Path) -> None:
    """End and remove what runs without an owner left behind, but for the newest ones' logs."""
    with _locked_beginning(runs):
        ended = [folder for folder in sorted(runs.iterdir()) if _is_ownerless(folder)]
        for folder in ended:
            leftovers.end(leftovers.read_records(folder / "pids"))
            _keep_only_logs(folder)
        for folder in ended[:-_KEPT_RUNS]:
            shutil.rmtree(folder, ignore_errors=True)


def _is_ownerless(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    try:
        with (folder / _LOCK_NAME).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a folder that is not a run's, or another user's
        return False
    return True


def _keep_only_logs(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and path.name != "logs":
            shutil.rmtree(path, ignore_errors=True)
