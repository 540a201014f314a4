import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from deploy.local.leftovers import Record, end, processes_of
from deploy.local.ports import free_port
from deploy.local.processes import ProgramFailed
from deploy.local.readiness import http_ready, log_ready, port_ready
from deploy.local.runs import Run, open_run

SERVE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 503)
        self.end_headers()
        self.wfile.write(os.environ["GREETING"].encode())
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
WITH_CHILD = """
import subprocess, sys, time
command = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(command, start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(600)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest_asyncio.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    async with open_run(tmp_path) as opened:
        yield opened


async def test_a_program_is_started_once_it_answers(run: Run) -> None:
    port = free_port()
    program = await run.start(
        "server",
        python(SERVE, str(port)),
        environment={"GREETING": "hello"},
        ready=http_ready(f"http://127.0.0.1:{port}/readyz"),
    )
    assert program.is_running
    assert "serving" in program.tail()


async def test_a_program_that_only_answers_503_is_not_ready(run: Run) -> None:
    port = free_port()
    with pytest.raises(ProgramFailed, match=r"was not ready within 0\.5 s"):
        await run.start(
            "server",
            python(SERVE, str(port)),
            environment={"GREETING": "wait"},
            ready=http_ready(f"http://127.0.0.1:{port}/"),
            ready_within_s=0.5,
        )
    assert not run.programs["server"].is_running


async def test_a_program_that_ends_too_soon_shows_the_end_of_its_log(run: Run) -> None:
    command = python("raise SystemExit('no such table: records')")
    with pytest.raises(ProgramFailed) as failed:
        await run.start("worker", command, ready=log_ready("never"))
    assert "worker ended with 1 before it was ready" in str(failed.value)
    assert "  | no such table: records" in str(failed.value)


async def test_a_killed_program_comes_back_on_its_port_with_its_environment(run: Run) -> None:
    port = free_port()
    program = await run.start(
        "server",
        python(SERVE, str(port)),
        environment={"GREETING": "hello"},
        ready=port_ready(port),
    )
    first = program.pid
    program.kill()
    assert not program.is_running
    assert program.returncode == -signal.SIGKILL
    await program.start()
    assert program.pid not in {None, first}
    assert program.environment == {"GREETING": "hello"}


async def test_killing_a_program_takes_along_what_it_started(run: Run) -> None:
    program = await run.start("parent", python(WITH_CHILD), ready=log_ready("child"))
    child = int(program.tail().split()[-1])
    assert is_alive(child)
    program.kill()
    assert not is_alive(child)


async def test_a_program_that_ignores_the_request_to_stop_is_killed(run: Run) -> None:
    program = await run.start("deaf", python(DEAF), ready=log_ready("deaf"))
    await program.stop(grace_s=0.2)
    assert program.returncode == -signal.SIGKILL


async def test_a_paused_program_is_stopped_all_the_same(run: Run) -> None:
    program = await run.start("sleeper", python("import time; time.sleep(600)"))
    program.pause()
    await program.stop()
    assert program.returncode == -signal.SIGTERM


async def test_the_run_tells_of_a_program_that_ended_by_itself(run: Run) -> None:
    await run.start("lasting", python("import time; time.sleep(600)"))
    await run.start("short", python("print('that was all'); raise SystemExit(3)"))
    with pytest.raises(ProgramFailed, match="short ended by itself with 3") as failed:
        await run.watch()
    assert "that was all" in str(failed.value)


async def test_a_task_of_a_run_that_fails_is_told(run: Run) -> None:
    await run.complete("good", python("print('done')"))
    with pytest.raises(ProgramFailed, match="bad ended with 2"):
        await run.complete("bad", python("raise SystemExit(2)"))


async def test_two_programs_of_a_run_cannot_have_one_name(run: Run) -> None:
    run.program("worker", python("pass"))
    with pytest.raises(ValueError, match="worker"):
        run.program("worker", python("pass"))


def test_a_process_that_was_given_a_dead_programs_number_is_left_alone() -> None:
    an_hour_ago = time.time() - 3600
    mistaken = Record(
        name="worker",
        pid=os.getpid(),
        stop_signal=signal.SIGKILL,
        recorded_at=min(an_hour_ago, psutil.Process().create_time() - 60),
    )
    assert processes_of(mistaken) == []
    end([mistaken])  # or this test would be the last one


def test_free_ports_are_below_those_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(20000 <= port < 49152 for port in ports)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a port be reserved")
def test_a_port_that_was_given_is_kept_for_its_server_also_while_that_is_down() -> None:
    port = free_port()
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)):
            pass
        with socket.socket() as another_run, pytest.raises(OSError, match="in use"):
            another_run.bind(("127.0.0.1", port))
