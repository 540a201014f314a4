"""A return's delivery in the trace of the event that told of it."""

import pytest

from tests.outbound.test_outbound_whole import Hall, Running, hall
from tests.traces import (
    TRACE_ID,
    TRACEPARENT,
    facts_of,
    id_of,
    parent_of,
    trace_of,
    traced,
    words_of,
)

__all__ = ["hall"]  # a fixture

pytestmark = pytest.mark.postgres


async def test_a_delivery_and_its_write_are_in_the_trace_of_the_return(
    hall: Hall,
) -> None:
    await hall.postgres.execute("UPDATE mirror.deliveries SET traceparent = $1", TRACEPARENT)
    with traced() as spans:
        running = Running(hall.worker("w-1"))
        await hall.until("delivered")
        await running.stop()
    delivery, written = spans.named("delivery")[0], spans.one("return")
    assert trace_of(delivery) == trace_of(written) == TRACE_ID
    assert parent_of(written) == id_of(delivery)
    assert facts_of(delivery)["stands"] == "delivered"
    (answer,) = hall.part3.returns.values()
    said = words_of([delivery, written])
    for personal in (answer.author.name, answer.author.email, answer.text):
        assert personal
        assert personal not in said
