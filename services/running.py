"""How a program runs: its loop, and the signals that ask it to end."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from services.http_server import CannotListen


def run_program(main: Coroutine[Any, Any, None]) -> None:
    """Run a program's coroutine to its end, on uvloop where there is one.

    A port that is taken ends it with 1 and one line that says so: the traceback would only hide it.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(main)
        except CannotListen as error:
            sys.exit(str(error))


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
