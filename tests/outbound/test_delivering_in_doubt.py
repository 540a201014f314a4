"""A return in doubt: its answer lost, a read stale, its worker or its database behind."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from services.errors import OutcomeUnknown, TryLater
from services.procore.models import Submittal
from tests.outbound.bench import BENCHES, LIMITS, Bench, raising_once, rfi_bench, submittal_bench
from tests.outbound.samples import AMY_REF, APPROVED, GC, NOON, reply, rfi


@BENCHES
async def test_a_lost_answer_is_found_by_its_marker_and_not_sent_again(
    make: Callable[[], Bench],
) -> None:
    bench = make()
    bench.procore.fault = raising_once("write.answer", OutcomeUnknown("cut"))
    task = await bench.attempt()
    assert (task.state, task.reason) == ("waiting", "outcome_unknown")
    assert bench.due_in_s is not None
    assert bench.due_in_s < 5
    await bench.until_due()
    assert bench.told == ["sending", "waiting", "delivered"]
    assert bench.procore.effects(AMY_REF) == 1
    assert len(bench.procore.uploads) == len(bench.last_told.receipt.files)  # type: ignore[union-attr]


@BENCHES
async def test_a_lost_request_goes_again_after_the_quiet_period(make: Callable[[], Bench]) -> None:
    bench = make()
    sent_at: list[datetime] = []

    def first_is_lost(step: str) -> None:
        if step == "write.lost":
            sent_at.append(bench.clock())
            if len(sent_at) == 1:
                raise OutcomeUnknown("cut")

    bench.procore.fault = first_is_lost
    await bench.attempt()
    while bench.task.state != "delivered":
        await bench.until_due()
    first, second = sent_at
    assert second - first >= timedelta(seconds=LIMITS.quiet_s)
    assert bench.procore.effects(AMY_REF) == 1
    assert len(bench.procore.uploads) == len(bench.last_told.receipt.files)  # type: ignore[union-attr]


@BENCHES
async def test_what_leaves_is_noted_as_sending_before(make: Callable[[], Bench]) -> None:
    bench = make()
    noted: list[str] = []

    def look(step: str) -> None:
        if step == "write.lost":
            noted.extend(intent.state for intent in bench.intents.rows.values())

    bench.procore.fault = look
    await bench.attempt()
    assert noted == ["sending"]


async def test_a_write_done_late_within_the_quiet_period_is_adopted() -> None:
    bench = rfi_bench()
    bench.procore.fault = raising_once("write.late", OutcomeUnknown("timeout"))
    await bench.attempt()
    await bench.until_due()
    assert bench.task.state == "waiting"
    bench.procore.execute_late()
    await bench.until_due()
    assert bench.task.state == "delivered"
    assert bench.procore.effects(AMY_REF) == 1


async def test_what_is_never_seen_after_two_sends_is_put_before_a_person() -> None:
    bench = rfi_bench()

    def black_hole(step: str) -> None:
        if step == "write.lost":
            raise OutcomeUnknown("cut")

    bench.procore.fault = black_hole
    await bench.attempt()
    while bench.task.state != "held":
        await bench.until_due()
    assert bench.last_told.reason == "outcome_unknown"
    assert [what for what, _ in bench.procore.calls].count("reply") == 2
    await bench.until_due()
    assert [what for what, _ in bench.procore.calls].count("reply") == 2
    bench.procore.fault = lambda _step: None
    bench.part3.returns["ret_1"] = replace(bench.answer, confirmed_despite=("outcome_unknown",))
    await bench.until_due()
    assert bench.task.state == "delivered"
    assert bench.procore.effects(AMY_REF) == 1


@BENCHES
async def test_a_refused_call_has_no_effect_and_goes_again_without_waiting(
    make: Callable[[], Bench],
) -> None:
    bench = make()
    later = NOON + timedelta(seconds=30)
    bench.procore.fault = raising_once(
        "write.lost", TryLater("limit", reason="rate_limited", not_before=later)
    )
    await bench.attempt()
    assert (bench.last_told.state, bench.last_told.reason) == ("waiting", "rate_limited")
    assert bench.store.due_at["ret_1"] == later
    await bench.until_due()
    assert bench.task.state == "delivered"
    assert bench.procore.effects(AMY_REF) == 1


@BENCHES
async def test_a_stale_read_is_read_again_before_anything_is_said(
    make: Callable[[], Bench],
) -> None:
    bench = make()
    bench.procore.fault = lambda step: (
        setattr(bench.procore, "stale_reads", 1) if step == "write.answer" else None
    )
    await bench.attempt()
    assert bench.told == ["sending"]
    await bench.until_due()
    assert bench.told == ["sending", "delivered"]
    assert bench.procore.effects(AMY_REF) == 1


async def test_a_reply_that_reads_back_different_is_not_called_delivered() -> None:
    bench = rfi_bench()

    def tamper(step: str) -> None:
        if step == "download":
            bench.procore.contents = dict.fromkeys(bench.procore.contents, b"<html>login</html>")

    bench.procore.fault = tamper
    await bench.attempt()
    while bench.task.state == "sending":
        await bench.until_due()
    assert (bench.last_told.state, bench.last_told.reason) == ("held", "read_back_differs")
    assert "sketch.pdf" in (bench.last_told.message or "")
    assert bench.procore.effects(AMY_REF) == 1


async def test_a_response_that_another_overwrote_meanwhile_is_not_called_delivered() -> None:
    bench = submittal_bench()

    def overrule(step: str) -> None:
        record = bench.procore.record
        if step == "write.answer" and isinstance(record, Submittal):
            rows = tuple(
                replace(row, response=APPROVED) if row.id == "301" else row
                for row in record.approvers
            )
            bench.procore.record = replace(record, approvers=rows)

    bench.procore.fault = overrule
    await bench.attempt()
    while bench.task.state == "sending":
        await bench.until_due()
    assert bench.last_told.reason == "read_back_differs"
    assert "Approved instead of Approved as Noted" in (bench.last_told.message or "")


async def test_an_adopted_reply_is_the_authors_own_and_not_a_quotation_of_it() -> None:
    bench = rfi_bench()
    bench.procore.fault = raising_once("write.lost", OutcomeUnknown("cut"))
    await bench.attempt()
    (intent,) = bench.intents.rows.values()
    quoted = reply("88", GC, f"<p>Thanks for Part3 ref. {intent.marker}</p>")
    bench.procore.record = rfi(answers=(quoted,))
    await bench.until_due()
    assert bench.task.state == "waiting"
    assert bench.intents.remote_ids == {}


@BENCHES
async def test_a_database_restored_from_before_the_write_does_not_send_it_twice(
    make: Callable[[], Bench],
) -> None:
    bench = make()
    await bench.attempt()
    restored = make()
    restored.procore = restored.writes = bench.procore
    await restored.attempt()
    assert restored.task.state == "delivered"
    assert bench.procore.executed == 1


async def test_another_worker_taking_over_before_the_send_stops_it() -> None:
    bench = rfi_bench()

    def taken_over(step: str) -> None:
        if step == "upload":
            bench.intents.lease += 1
            bench.store.claim("ret_1")

    bench.procore.fault = taken_over
    with pytest.raises(TryLater, match="another worker"):
        await bench.attempt()
    assert bench.procore.effects(AMY_REF) == 0


@BENCHES
async def test_a_write_repeated_with_a_fresh_token_is_one_send(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.procore.answers_401 = True
    await bench.attempt()
    assert bench.task.state == "delivered"
    assert [intent.sends for intent in bench.intents.rows.values()] == [1]


async def test_an_upload_of_unknown_outcome_is_simply_brought_again() -> None:
    bench = rfi_bench()
    bench.procore.fault = raising_once("upload", OutcomeUnknown("cut"))
    await bench.attempt()
    assert bench.last_told.reason == "procore_down"
    await bench.until_due()
    assert bench.task.state == "delivered"
