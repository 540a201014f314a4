"""Logs that carry no secrets, and the trace context that travels with a notice."""

import logging
import random
import secrets
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from services.covering import cover
from services.settings import LogSettings
from services.tracing import TRACEPARENT, trace_id_at_hand

NOISY = ("httpx2", "httpcore2", "asyncpg", "aiokafka", "uvicorn.access", "asyncio", "urllib3")
# Traces need ids that differ, not ids that nobody can guess; the system's source costs a call each.
_trace_ids = random.Random(secrets.token_bytes(32))  # noqa: S311 - see above
FORBIDDEN_FIELDS = ("token", "secret", "authorization", "password", "cookie", "code_verifier")


def configure_logging(settings: LogSettings, program: str) -> None:
    """Write one line an event to stderr, as JSON or for the console; no locals in tracebacks.

    What is said of an exception is covered: see `covering`.
    """
    level = getattr(logging, settings.level.upper())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Covered("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # It reports each retry as an ERROR; what matters is logged by services.kafka, once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # its tries again are warnings
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    renderers: list[Any] = (
        [
            structlog.processors.ExceptionRenderer(transformer),
            structlog.processors.JSONRenderer(),
        ]
        if settings.format == "json"
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_trace_id,
            _cover_secrets,
            *renderers,
            _cover_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(program=program)


class _Covered(logging.Formatter):
    """What libraries log, asyncio's reports of lost tasks among it."""

    def format(self, record: logging.LogRecord) -> str:
        return cover(super().format(record))


def _cover_line(_logger: Any, method: str, line: Any) -> str:
    """Cover a finished line that tells of trouble; the others hold names and numbers of ours."""
    return line if method in ("debug", "info") else cover(line)


def _add_trace_id(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Say which trace a line belongs to: the same id from the hook to Part3."""
    if (trace_id := trace_id_at_hand()) is not None:
        event["trace_id"] = trace_id
    return event


def _cover_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name in event:
        if any(word in name.lower() for word in FORBIDDEN_FIELDS):
            event[name] = "***"
    return event


def traceparent_of(header: str | None) -> str:
    """Carry a valid W3C `traceparent` on, or begin a new trace."""
    if header and TRACEPARENT.fullmatch(header):
        return header
    drawn = f"{_trace_ids.getrandbits(192):048x}"
    return f"00-{drawn[:32]}-{drawn[32:]}-01"
