"""Traces: one id from what came in to all it causes, nothing said of people, and free if off."""

import asyncio
import json
import subprocess
import sys

import pytest
import structlog

from services.errors import TryLater
from services.tracing import (
    exporting_traces,
    following,
    is_tracing,
    span,
    trace_headers,
    trace_id_at_hand,
)
from tests.logged import logged_by
from tests.traces import (
    SENT_SPAN,
    TRACE_ID,
    TRACEPARENT,
    facts_of,
    id_of,
    parent_of,
    trace_of,
    traced,
    words_of,
)


@pytest.mark.parametrize("program", ["webhook_gateway", "token_service", "sync_worker"])
def test_without_an_endpoint_nothing_of_opentelemetry_is_imported(program: str) -> None:
    asked = (
        f"import {program}.__main__, sys\n"
        "from services.tracing import exporting_traces, is_tracing\n"
        "with exporting_traces('x', {'OTEL_SDK_DISABLED': 'true',\n"
        "                            'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:9'}):\n"
        "    assert not is_tracing()\n"
        "with exporting_traces('x', {}):\n"
        "    assert not is_tracing()\n"
        "print([one for one in sys.modules if one.startswith(('opentelemetry', 'requests'))])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_an_endpoint_every_span_is_the_same_nothing() -> None:
    assert span("look") is span("put", kind="rfi")


def test_work_goes_on_in_the_trace_it_came_with_and_hands_its_own_span_on() -> None:
    with traced() as spans, following(TRACEPARENT), span("look", kind="rfi"), span("put"):
        handed_on = trace_headers()["traceparent"]
    look, put = spans.one("look"), spans.one("put")
    assert trace_of(look) == trace_of(put) == TRACE_ID
    assert parent_of(look) == SENT_SPAN
    assert parent_of(put) == id_of(look)
    assert handed_on == f"00-{TRACE_ID}-{id_of(put)}-01"
    assert facts_of(look) == {"kind": "rfi"}


def test_what_came_with_no_trace_begins_its_own() -> None:
    with traced() as spans, following(TRACEPARENT):
        for broken in (None, "", "00-zz", TRACEPARENT + "\n"):
            with following(broken), span("look"):
                pass
    traces = {trace_of(one) for one in spans.named("look")}
    assert len(traces) == 4
    assert TRACE_ID not in traces


async def test_two_pieces_of_work_at_once_keep_their_traces_apart() -> None:
    other = TRACEPARENT.replace("0af7", "1bf8")

    async def work(traceparent: str, name: str) -> None:
        with following(traceparent), span(name):
            await asyncio.sleep(0)
            with span(f"{name}'s"):
                await asyncio.sleep(0)

    with traced() as spans:
        await asyncio.gather(work(TRACEPARENT, "one"), work(other, "two"))
    assert trace_of(spans.one("one's")) == TRACE_ID
    assert trace_of(spans.one("two's")) == other[3:35]


def test_a_fault_gives_its_reason_and_none_of_its_words() -> None:
    with traced() as spans:
        away = TryLater("Procore's answer names Amy Chen", reason="procore_down")
        with pytest.raises(TryLater), span("look"):
            raise away
        with pytest.raises(ValueError, match="Amy"), span("put"):
            raise ValueError("Amy Chen")
    assert facts_of(spans.one("look")) == {"reason": "procore_down"}
    assert facts_of(spans.one("put")) == {"reason": "ValueError"}
    assert not spans.one("look").status.is_ok
    assert "Amy" not in words_of([spans.one("look"), spans.one("put")])


def test_log_lines_carry_the_id_of_the_trace_whether_or_not_it_is_exported() -> None:
    with logged_by("test") as written:
        with following(TRACEPARENT):
            structlog.get_logger().info("look.done")
        with traced(), span("look"):
            own = trace_id_at_hand()
            structlog.get_logger().info("look.done")
        structlog.get_logger().info("nothing.at_hand")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [one.get("trace_id") for one in lines] == [TRACE_ID, own, None]


def test_an_endpoint_that_is_away_neither_keeps_a_program_from_work_nor_from_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # seconds, its tries again included
    with exporting_traces("test", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}):
        assert is_tracing()
        with span("look"):
            pass
    assert not is_tracing()
