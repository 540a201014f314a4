"""One program of a run: started, watched, stopped, and on purpose killed, paused and restarted.

Nothing here is bound to an event loop, so a program started in one may be restarted in another:
tests share the servers, and each test has its own loop.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from deploy.local import leftovers
from deploy.local.readiness import Ready

_CHILD = Path(__file__).with_name("child.py")
_POLL_S = 0.03
_TAIL_LINES = 25
_REAP_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 1.0
_STANDING_STILL = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


class ProgramFailed(Exception):  # noqa: N818  # says what happened, as in services.errors
    """A program ended by itself, or did not become ready; says why and shows its log's end."""

    def __init__(self, name: str, reason: str, log: Path, tail: str) -> None:
        self.name = name
        self.reason = reason
        shown = "\n".join(f"  | {line}" for line in tail.splitlines()) or "  | (empty)"
        super().__init__(f"{name} {reason}; the end of its log {log}:\n{shown}")


class Program:
    """A program of a run, alone in its process group, its output in one log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        working_folder: Path | None = None,
        ready: Ready | None = None,
        ready_within_s: float = 60.0,
        stop_signal: int = signal.SIGTERM,
        user: str = "",
    ) -> None:
        """Describe the program; `start` starts it.

        Args:
            name: its name in the run: that of its log and of its record.
            command: the program and its arguments.
            folder: the run's folder.
            environment: variables added to those of this process.
            working_folder: where it runs; the run's folder by default.
            ready: when it counts as started; at once by default.
            ready_within_s: seconds after which a start that is not ready has failed.
            stop_signal: what asks it to end.
            user: the user it runs as, given that this process is root.
        """
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        self.environment = dict(environment or {})
        self._command = [str(part) for part in command]
        self._record_path = folder / "pids" / f"{name}.json"
        self._working_folder = working_folder or folder
        self._ready = ready
        self._ready_within_s = ready_within_s
        self._stop_signal = stop_signal
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._record: leftovers.Record | None = None
        self._wanted = False

    @property
    def pid(self) -> int | None:
        """The number of the running process, which is that of its group too."""
        return self._process.pid if self.is_running and self._process else None

    @property
    def is_running(self) -> bool:
        """Whether the process is there (a paused one is)."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """How the last process ended, None before that; below 0 is the signal that killed it."""
        return self._process.poll() if self._process else None

    @property
    def has_failed(self) -> bool:
        """Whether it ended although nobody here stopped or killed it."""
        return self._wanted and not self.is_running

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """Return the last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def failure(self, reason: str) -> ProgramFailed:
        """Return the error that says this of the program."""
        return ProgramFailed(self.name, reason, self.log, self.tail())

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            ProgramFailed: it ended before it was ready, or was not ready in time; then it is
                not running any more.
        """
        if self.is_running:
            return
        begins_at = self.log.stat().st_size if self.log.exists() else 0
        self._spawn()
        try:
            await self._wait_until_ready(begins_at)
        except BaseException:
            self.kill()
            raise
        self._wanted = True

    def _spawn(self) -> None:
        for needed in (self.log.parent, self._record_path.parent):
            needed.mkdir(parents=True, exist_ok=True)
        signal_number = str(int(self._stop_signal))
        wrapper = [sys.executable, "-I", "-S", str(_CHILD), str(self._record_path)]
        recorded_at = time.time()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*wrapper, str(os.getpid()), signal_number, self._user, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._working_folder,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | self.environment,
                start_new_session=True,
            )
        self._record = leftovers.Record(
            name=self.name,
            pid=self._process.pid,
            stop_signal=int(self._stop_signal),
            recorded_at=recorded_at,
        )

    async def _wait_until_ready(self, begins_at: int) -> None:
        deadline = time.monotonic() + self._ready_within_s
        while True:
            if not self.is_running:
                raise self.failure(f"ended with {self.returncode} before it was ready")
            if self._ready is None or await self._ready(self.log, begins_at):
                return
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {self._ready_within_s:g} s")
            await asyncio.sleep(_POLL_S)

    async def complete(self, within_s: float) -> None:
        """Start it and wait until it has ended with 0.

        Raises:
            ProgramFailed: it ended with another code, or had not ended in time; then it is
                not running any more.
        """
        self._spawn()
        deadline = time.monotonic() + within_s
        try:
            while self.is_running:
                if time.monotonic() > deadline:
                    raise self.failure(f"had not ended within {within_s:g} s")
                await asyncio.sleep(_POLL_S)
        finally:
            self.kill()
        if self.returncode != 0:
            raise self.failure(f"ended with {self.returncode}")

    async def stop(self, grace_s: float = leftovers.GRACE_S) -> None:
        """Ask it to end, kill it and what it started if it is still there after `grace_s`."""
        self._wanted = False
        if self._record is None:
            return
        left = leftovers.processes_of(self._record)
        leftovers.signal_group(self._record, self._stop_signal)
        leftovers.signal_group(self._record, signal.SIGCONT)
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline and leftovers.living(left):
            self.returncode  # noqa: B018  # reaps it, else it stays a zombie
            await asyncio.sleep(_POLL_S)
        self.kill(left)

    def kill(self, also: Sequence[psutil.Process] = ()) -> None:
        """Kill it and all it started, as kill -9 does; its data stays as it lies.

        Args:
            also: processes known to belong to it although it may no longer be their parent.
        """
        self._wanted = False
        if self._record is not None:
            leftovers.kill([*also, *leftovers.processes_of(self._record)])
        if self._process is not None:
            self._process.wait(_REAP_TIMEOUT_S)
        self._record_path.unlink(missing_ok=True)

    async def restart(self) -> None:
        """Kill it if it runs and start it again, with the same command and environment."""
        self.kill()
        await self.start()

    def pause(self) -> None:
        """Let it and all it started stand still: alive, its ports open, and never answering."""
        self._signal_all(signal.SIGSTOP)
        # The signal is on its way when `send` returns: meanwhile a server answers a quick client.
        give_up_at = time.monotonic() + _STOP_TIMEOUT_S
        while not self._stands_still() and time.monotonic() < give_up_at:
            time.sleep(0.001)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal_all(signal.SIGCONT)

    def _stands_still(self) -> bool:
        if self._record is None:
            return True
        states = [_status(process) for process in leftovers.processes_of(self._record)]
        return all(state in _STANDING_STILL for state in states)

    def _signal_all(self, number: int) -> None:
        if self._record is not None:
            leftovers.send(leftovers.processes_of(self._record), number)


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_DEAD)
