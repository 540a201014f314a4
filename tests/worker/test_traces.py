"""A look and its put in the trace of the notice that asked for them."""

import pytest

from services.errors import TryLater
from services.tracing import trace_id_at_hand
from tests.traces import TRACE_ID, TRACEPARENT, facts_of, id_of, parent_of, trace_of, traced
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, rfi_json, submittal_json

pytestmark = pytest.mark.postgres
NOTICED = """
UPDATE mirror.looks SET traceparent = $1 WHERE procore_id = $2
"""


async def test_a_look_and_its_put_are_in_the_trace_of_their_notice(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.worker.looks.want(PROJECT, "rfi", ["1"], 1)
    await bench.postgres.execute(NOTICED, TRACEPARENT, "1")
    with traced() as spans:
        async with bench.worker.running(sweeping=False):
            await bench.until(bench.nothing_to_look_at)
    look, put = spans.one("look"), spans.one("put")
    assert trace_of(look) == trace_of(put) == TRACE_ID
    assert parent_of(put) == id_of(look)
    assert facts_of(look) == {"kind": "rfi", "records": 1, "attempts": 0}


async def test_what_is_read_with_anothers_look_is_put_in_its_own_trace(bench: Bench) -> None:
    await bench.connect()
    traces = {str(n): TRACEPARENT.replace("0af7", f"{n}af7") for n in (1, 2, 3)}
    bench.procore.hold("submittal", *(submittal_json(n) for n in (1, 2, 3)))
    await bench.worker.looks.want(PROJECT, "submittal", list(traces), 1)
    for procore_id, traceparent in traces.items():
        await bench.postgres.execute(NOTICED, traceparent, procore_id)
    with traced() as spans:
        async with bench.worker.running(sweeping=False):
            await bench.until(bench.nothing_to_look_at)
    assert facts_of(spans.one("look"))["records"] == 3
    assert {trace_of(put) for put in spans.named("put")} == {one[3:35] for one in traces.values()}


async def test_a_look_that_fails_for_now_says_why_and_logs_its_trace_without_any_export(
    bench: Bench,
) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.worker.looks.want(PROJECT, "rfi", ["1"], 1)
    await bench.postgres.execute(NOTICED, TRACEPARENT, "1")
    at_hand: list[str | None] = []

    def fail_once(*_: object) -> None:
        at_hand.append(trace_id_at_hand())
        if len(at_hand) == 1:
            message = "Procore is away, says Amy Chen"
            raise TryLater(message, reason="procore_down")

    bench.procore.on["rfi"] = fail_once

    async def failed() -> bool:
        return (await bench.row("looks"))["reason"] is not None

    with traced() as spans:
        async with bench.worker.running(sweeping=False):
            await bench.until(failed)
    assert facts_of(spans.named("look")[0])["reason"] == "procore_down"
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert set(at_hand) == {TRACE_ID}
