"""Ends the programs of a run when the run's own process is gone, also after kill -9.

It holds the reading end of a pipe whose other end only the run's process has. When that closes,
for whatever reason, nobody is left to stop the programs but this one.

Usage: python -m deploy.local.guardian RECORDS_FOLDER
"""

import signal
import sys
from pathlib import Path

from deploy.local.leftovers import end, read_records


def main(arguments: list[str]) -> None:
    """Wait for the end of the input, then end what the folder's records name."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the run, whose end we wait for
    records = Path(arguments[0])
    while sys.stdin.buffer.read(4096):
        pass
    end(read_records(records))


if __name__ == "__main__":
    main(sys.argv[1:])
