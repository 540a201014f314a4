import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from deploy.local.leftovers import read_records
from deploy.local.runs import open_run

ROOT = Path(__file__).parents[2]
# A command as `make demo` is one: it opens a run, starts a program that has a child, and stays.
COMMAND = """
import sys
from pathlib import Path
from deploy.local.commands import run_command
from deploy.local.readiness import log_ready
from deploy.local.runs import open_run

PROGRAM = '''
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
'''

async def main():
    async with open_run(Path(sys.argv[1])) as run:
        await run.start("program", [sys.executable, "-c", PROGRAM], ready=log_ready("up"))
        print("started", flush=True)
        await run.watch()
    return 0

sys.exit(run_command(main()))
"""


class Command:
    """A command running beside the tests, with the processes it started."""

    def __init__(self, data_folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(data_folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"
        self.started = psutil.Process(self.process.pid).children(recursive=True)
        assert len(self.started) == 3  # the program, its child, and the guardian

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode

    def guardian(self) -> psutil.Process:
        (guardian,) = (each for each in self.started if "guardian" in " ".join(each.cmdline()))
        return guardian

    def living(self) -> list[psutil.Process]:
        return [each for each in self.started if each.is_running() and not is_zombie(each)]


def is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_command_that_is_asked_to_end_leaves_nothing_running(
    tmp_path: Path, number: int, code: int
) -> None:
    command = Command(tmp_path)
    assert command.end(number) == code
    assert command.living() == []


def test_a_command_that_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.end(signal.SIGKILL)
    wait_until(lambda: command.living() == [])


async def test_the_next_run_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.guardian().kill()
    command.end(signal.SIGKILL)
    wait_until(lambda: len(command.living()) == 2)
    async with open_run(tmp_path):
        assert command.living() == []


async def test_a_run_leaves_the_one_beside_it_alone(tmp_path: Path) -> None:
    command = Command(tmp_path)
    async with open_run(tmp_path):
        pass
    assert len(command.living()) == 3
    command.end(signal.SIGINT)


async def test_the_logs_of_the_last_runs_stay_and_their_data_goes(tmp_path: Path) -> None:
    for number in range(13):
        async with open_run(tmp_path) as run:
            (run.folder / "kafka").mkdir()
            await run.complete(f"task-{number}", [sys.executable, "-c", f"print({number})"])
    folders = sorted((tmp_path / "runs").glob("2*"))
    assert len(folders) == 11  # the last one, and ten before it
    assert all({path.name for path in each.iterdir()} == {"logs", "owner.lock"} for each in folders)
    logs = {log.stem: log.read_text() for each in folders for log in (each / "logs").iterdir()}
    assert logs == {f"task-{number}": f"{number}\n" for number in range(2, 13)}


async def test_a_program_is_on_record_before_it_begins(tmp_path: Path) -> None:
    async with open_run(tmp_path) as run:
        records = run.folder / "pids"
        program = await run.start(
            "look", [sys.executable, "-c", f"import os; print(os.listdir({str(records)!r}))"]
        )
        while program.is_running:
            await asyncio.sleep(0.01)
        assert program.tail() == "['look.json']"
        (record,) = read_records(records)
        assert (record.name, record.stop_signal) == ("look", signal.SIGTERM)
