"""Spans that tests look at: what a program would export, kept in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.tracing import tracing_into

TRACE_ID, SENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{SENT_SPAN}-01"


@dataclass(frozen=True, slots=True)
class Spans:
    """What was exported meanwhile."""

    exporter: InMemorySpanExporter

    def named(self, name: str) -> list[ReadableSpan]:
        return [one for one in self.exporter.get_finished_spans() if one.name == name]

    def one(self, name: str) -> ReadableSpan:
        found = self.named(name)
        assert len(found) == 1, [one.name for one in self.exporter.get_finished_spans()]
        return found[0]


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def id_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def facts_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def words_of(spans: Sequence[ReadableSpan]) -> str:
    """Return all that spans say, to look in for what they must not."""
    return "\n".join(one.to_json() for one in spans)


@contextmanager
def traced() -> Iterator[Spans]:
    """Make spans meanwhile."""
    exporter = InMemorySpanExporter()
    with tracing_into(SimpleSpanProcessor(exporter), "test"):
        yield Spans(exporter)
