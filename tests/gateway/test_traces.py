"""What the gateway says of a notice in traces, and hands on with it."""

from tests.gateway.stage import V4, procore, stage
from tests.traces import SENT_SPAN, TRACE_ID, TRACEPARENT, facts_of, id_of, parent_of, traced


async def test_a_notice_carries_the_gateways_span_of_the_senders_trace_into_kafka() -> None:
    async with stage() as gateway:
        with traced() as spans:
            sent = b"traceparent: " + TRACEPARENT.encode()
            answers = await gateway.send(procore(V4, sent))
            assert answers.statuses == [204]
        received = spans.one("notice received")
        assert parent_of(received) == SENT_SPAN
        (written,) = gateway.kafka.written
        assert written.headers["traceparent"].decode() == f"00-{TRACE_ID}-{id_of(received)}-01"
        assert facts_of(received) == {"sender": "procore"}


async def test_a_notice_that_kafka_does_not_take_says_so() -> None:
    async with stage() as gateway:
        gateway.kafka.away = True
        with traced() as spans:
            answers = await gateway.send(procore(V4))
            assert answers.statuses == [503]
        assert facts_of(spans.one("notice received"))["reason"] == "kafka_down"
