"""Traces from a hook to Part3 and back: exported where OTEL_EXPORTER_OTLP_ENDPOINT is set.

A notice's trace goes on from the gateway through Kafka and its row of work to the calls it causes,
by W3C `traceparent`; log lines carry its id whether or not anything is exported. Without an
endpoint nothing of OpenTelemetry is imported, and a span is one look at a variable. A span names
kinds, counts and reason codes; never a person, an address, a text or what an exception says.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
LAST_EXPORT_S = 2.0
"""How long a program's end waits for spans that are not exported yet; what is late is lost."""

_followed: ContextVar[str | None] = ContextVar("traceparent", default=None)
_nothing: AbstractContextManager[None] = nullcontext()


class _State:
    """OpenTelemetry's tracer and its API, while spans are made."""

    tracer: Any = None
    trace: Any = None


def is_tracing() -> bool:
    """Tell whether spans are made."""
    return _State.tracer is not None


@contextmanager
def exporting_traces(program: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Export this program's spans meanwhile, as OpenTelemetry's own variables say; or do nothing.

    Args:
        program: `service.name`, unless OTEL_SERVICE_NAME says another.
        environ: where an endpoint may be named.
    """
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or not any(environ.get(name) for name in ENDPOINTS):
        yield
        return
    # heavy, and of no use to who exports nothing
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = environ.get("OTEL_SERVICE_NAME") or program
    with tracing_into(BatchSpanProcessor(OTLPSpanExporter()), named):
        yield


@contextmanager
def tracing_into(processor: Any, program: str) -> Iterator[None]:
    """Hand spans to a span processor of OpenTelemetry's meanwhile."""
    from opentelemetry import trace  # noqa: PLC0415 - see above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    provider = TracerProvider(
        resource=Resource.create({"service.name": program}), shutdown_on_exit=False
    )
    provider.add_span_processor(processor)
    _State.tracer, _State.trace = provider.get_tracer("part3_procore_connector"), trace
    try:
        yield
    finally:
        _State.tracer = None
        ending = threading.Thread(target=provider.shutdown, daemon=True, name="last spans")
        ending.start()
        ending.join(LAST_EXPORT_S)


def traceparent_at_hand() -> str | None:
    """Return the W3C `traceparent` that a call made now belongs to; None outside of any trace."""
    if _State.tracer is not None:
        context = _State.trace.get_current_span().get_span_context()
        if context.is_valid:
            flags = int(context.trace_flags)
            return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"
    return _followed.get()


def trace_headers() -> dict[str, str]:
    """Return the headers by which another program of ours, or Part3, goes on with the trace."""
    at_hand = traceparent_at_hand()
    return {"traceparent": at_hand} if at_hand else {}


def trace_id_at_hand() -> str | None:
    """Return the id of the trace at hand, by which one notice is followed through all logs."""
    at_hand = traceparent_at_hand()
    return at_hand[3:35] if at_hand else None


@contextmanager
def following(traceparent: str | None) -> Iterator[None]:
    """Go on with a trace that began elsewhere; what is not a `traceparent` begins none."""
    found = TRACEPARENT.fullmatch(traceparent or "")
    token = _followed.set(traceparent if found else None)
    try:
        if _State.tracer is None:
            yield
            return
        with _attached(found):
            yield
    finally:
        _followed.reset(token)


def span(name: str, **facts: str | int | bool) -> AbstractContextManager[None]:
    """Measure a piece of work as a span of the trace at hand.

    Args:
        name: in the field's words: notice received, look, put, delivery, return, refresh.
        facts: kinds, counts and codes.
    """
    return _nothing if _State.tracer is None else _span(name, facts)


@contextmanager
def _span(name: str, facts: Mapping[str, Any]) -> Iterator[None]:
    how = {"record_exception": False, "set_status_on_exception": False}  # its words are not ours
    with _State.tracer.start_as_current_span(name, attributes=facts, **how) as current:
        try:
            yield
        except BaseException as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            current.set_attribute("reason", str(reason))
            current.set_status(_State.trace.StatusCode.ERROR)
            raise


def note_fact(name: str, value: str | int | bool) -> None:
    """Say something more of the span at hand."""
    if _State.tracer is not None:
        _State.trace.get_current_span().set_attribute(name, value)


@contextmanager
def _attached(found: re.Match[str] | None) -> Iterator[None]:
    """Make a span elsewhere the parent of what begins here; none: a trace of its own begins."""
    trace = _State.trace
    parent = trace.INVALID_SPAN
    if found is not None:
        parent = trace.NonRecordingSpan(
            trace.SpanContext(
                trace_id=int(found[1], 16),
                span_id=int(found[2], 16),
                is_remote=True,
                trace_flags=trace.TraceFlags(int(found[3], 16)),
            )
        )
    with trace.use_span(parent, end_on_exit=False, record_exception=False):
        yield
