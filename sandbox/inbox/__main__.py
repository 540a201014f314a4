"""`python -m sandbox.inbox`: an SMTP receiver with a page that shows what arrived."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import uvicorn

from sandbox.inbox.app import Settings, build_app

EX_CONFIG = 78


def leave(_signal: int, _frame: FrameType | None) -> None:
    """uvicorn winds down and then raises the signal again: that ends us with 0."""
    sys.exit(0)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Raises ValueError naming every port that is no number."""
    ports = {
        name: environ.get(name) or default
        for name, default in (("SANDBOX_INBOX_PORT", "8025"), ("SMTP_PORT", "1025"))
    }
    faults = [f"{name}: {value!r} is no port" for name, value in ports.items() if not _port(value)]
    if faults:
        raise ValueError("\n".join(faults))
    return Settings(
        data=Path(environ.get("SANDBOX_INBOX_DATA") or ".data/inbox"),
        host=environ.get("SANDBOX_INBOX_HOST") or "127.0.0.1",
        http_port=int(ports["SANDBOX_INBOX_PORT"]),
        smtp_port=int(ports["SMTP_PORT"]),
    )


def _port(value: str) -> bool:
    return value.isdecimal() and int(value) <= 65535


def main() -> None:
    try:
        settings = read_settings(os.environ)
    except ValueError as faults:
        print(faults, file=sys.stderr)
        sys.exit(EX_CONFIG)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, leave)
    print(
        f"Inbox on http://{settings.host}:{settings.http_port},"
        f" SMTP on {settings.host}:{settings.smtp_port}",
        flush=True,
    )
    uvicorn.run(
        build_app(settings),
        host=settings.host,
        port=settings.http_port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        server_header=False,
    )


if __name__ == "__main__":
    main()
