"""What a program writes when it logs, kept in memory to be looked in."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import structlog

from services.settings import LogSettings
from services.telemetry import NOISY, configure_logging


@contextmanager
def logged_by(program: str) -> Iterator[io.StringIO]:
    """Give all that goes to stderr meanwhile: each log line down to the lowest level, as JSON.

    Afterwards logging is as it was found, so that no later test's lines go here.
    """
    handlers, before = logging.root.handlers[:], structlog.get_config()
    loggers = (logging.root, *(logging.getLogger(name) for name in (*NOISY, "opentelemetry")))
    levels = {logger: logger.level for logger in loggers}
    written = io.StringIO()
    try:
        with redirect_stderr(written):
            configure_logging(LogSettings("debug", "json"), program)
            # a module's logger that was kept would go on writing here in other tests
            structlog.configure(cache_logger_on_first_use=False)
            yield written
    finally:
        logging.root.handlers[:] = handlers
        for logger, level in levels.items():
            logger.setLevel(level)
        structlog.configure(**before)
        structlog.contextvars.clear_contextvars()
