"""How a program runs: its loop, and the signals that ask it to end."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import structlog

from services import failpoints
from services.covering import cover_last_words
from services.http_server import CannotListen
from services.settings import BadSettings, stop_for

log = structlog.get_logger()

PR_SET_DUMPABLE = 4  # of linux/prctl.h


def run_program(main: Coroutine[Any, Any, None]) -> None:
    """Run a program's coroutine to its end, on uvloop where there is one.

    A port that is taken ends it with 1 and one line that says so: the traceback would only hide it.
    """
    cover_last_words()
    try:
        if failpoints.arm(os.environ):
            log.warning("failpoints.armed")
    except BadSettings as error:
        main.close()
        stop_for(error)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(main)
        except CannotListen as error:
            sys.exit(str(error))


def keep_memory_private() -> None:
    """Let no core dump and no other process of this user show what the memory holds.

    On Linux the process is marked as not dumpable, which closes ptrace and `/proc/<pid>/mem` to all
    but root; elsewhere there are only no core dumps. Call it before any secret is read.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not there on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        sys.exit("the memory of this process cannot be closed to others: prctl was refused")


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set, so that the program ends in good order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not made for Windows

    return uvloop.new_event_loop
