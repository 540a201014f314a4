"""How a command that starts servers ends: in order, whichever way it is asked to."""

import asyncio
import signal
import sys
from collections.abc import Coroutine

from deploy.local.jars import DownloadFailed
from deploy.local.processes import ProgramFailed

_ASKED_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_command(main: Coroutine[None, None, int]) -> int:
    """Run `main` and return the command's exit code.

    Ctrl-C, SIGTERM and a closed terminal cancel `main`, so that its `async with` blocks stop
    what they started; asked a second time, the guardian does the rest. A program that failed is
    told in words, without a traceback.
    """
    asked: list[int] = []
    try:
        return asyncio.run(_until_asked(main, asked))
    except asyncio.CancelledError:
        return 128 + asked[0] if asked else 1
    except KeyboardInterrupt:  # before or after the time in which the loop hears of it
        return 128 + signal.SIGINT
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
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue  # started by nohup, to outlive its terminal
        loop.add_signal_handler(number, end, number)
    return await main
