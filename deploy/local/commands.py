"""How a command that starts servers ends: in order, whichever way it is asked to."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine

from deploy.local.jars import DownloadFailed
from deploy.local.processes import ProgramFailed

_ASKED_TO_END = (signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 128 + signal.SIGINT


def run_command(main: Coroutine[None, None, int]) -> int:
    """Run `main` and return the command's exit code.

    Ctrl-C, SIGTERM and a closed terminal cancel `main`, so that its `async with` blocks stop
    what they started. A program that failed is told in words, without a traceback.
    """
    asked: list[int] = []
    try:
        return asyncio.run(_until_asked(main, asked))
    except asyncio.CancelledError:
        return 128 + asked[0] if asked else 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (ProgramFailed, DownloadFailed) as error:
        print(error, file=sys.stderr)
        return 1


async def _until_asked(main: Coroutine[None, None, int], asked: list[int]) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def end(number: int) -> None:
        asked.append(number)
        if task is not None:
            task.cancel()

    for number in _ASKED_TO_END:
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, end, number)
    return await main
