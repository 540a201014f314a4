"""`python -m sandbox.part3`: the Part3 stand-in as a program."""

import os
import signal
import sys
from types import FrameType

import uvicorn

from sandbox.part3.app import build_app
from sandbox.part3.settings import BadSettings, read_settings

EX_CONFIG = 78


def leave(_signal: int, _frame: FrameType | None) -> None:
    """uvicorn winds down and then raises the signal again: that ends us with 0."""
    sys.exit(0)


def main() -> None:
    try:
        settings = read_settings(os.environ)
    except BadSettings as faults:
        print(faults, file=sys.stderr)
        sys.exit(EX_CONFIG)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, leave)
    app, _ = build_app(settings)
    print(f"Part3 stand-in on {settings.public_url}", flush=True)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=65,  # longer than clients keep an idle connection
        timeout_graceful_shutdown=5,
        server_header=False,
    )


if __name__ == "__main__":
    main()
