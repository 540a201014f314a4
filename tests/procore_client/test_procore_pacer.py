"""Turns of one grant: what the headers say, who goes first, and nothing before a reset."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import TryLater
from services.procore.pacer import Pacer, Priority

NOW = 1_790_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def headers(remaining: object, reset: object, limit: object = 25) -> dict[str, str]:
    return {
        "x-rate-limit-limit": str(limit),
        "x-rate-limit-remaining": str(remaining),
        "x-rate-limit-reset": str(reset),
    }


async def runs(pacer: Pacer, priority: Priority, done: Callable[[], None]) -> None:
    async with pacer.turn(priority):
        done()


async def test_two_calls_of_a_grant_run_at_once_and_the_third_waits() -> None:
    pacer = Pacer(now=Clock())
    inside: list[int] = []
    go_on = asyncio.Event()

    async def call(number: int) -> None:
        async with pacer.turn(Priority.LOOK):
            inside.append(number)
            await go_on.wait()

    tasks = [asyncio.create_task(call(number)) for number in range(3)]
    await asyncio.sleep(0.01)
    assert inside == [0, 1]
    go_on.set()
    await asyncio.gather(*tasks)
    assert inside == [0, 1, 2]


async def test_a_return_has_a_place_of_its_own_beside_two_looks() -> None:
    pacer = Pacer(now=Clock())
    order: list[str] = []
    async with pacer.turn(Priority.LOOK), pacer.turn(Priority.BACKFILL):
        await asyncio.wait_for(runs(pacer, Priority.RETURN, lambda: order.append("return")), 1)
    assert order == ["return"]


async def test_who_waits_goes_by_urgency_and_then_by_age() -> None:
    pacer = Pacer(now=Clock())
    order: list[str] = []
    go_on = asyncio.Event()

    async def call(name: str, priority: Priority) -> None:
        async with pacer.turn(priority):
            order.append(name)
            await go_on.wait()

    blockers = [asyncio.create_task(call("blocker", Priority.LOOK)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting = [
        asyncio.create_task(call(name, priority))
        for name, priority in (
            ("backfill", Priority.BACKFILL),
            ("sweep", Priority.SWEEP),
            ("look 1", Priority.LOOK),
            ("look 2", Priority.LOOK),
        )
    ]
    await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(*blockers, *waiting)
    assert order[2:] == ["look 1", "look 2", "sweep", "backfill"]


async def test_between_a_429_and_its_reset_nothing_goes_not_even_a_return() -> None:
    clock = Clock()
    pacer = Pacer(now=clock)
    pacer.note(429, headers(0, int(NOW) + 60))
    for priority in Priority:
        with pytest.raises(TryLater) as caught:
            await runs(pacer, priority, lambda: None)
        assert caught.value.reason == "rate_limited"
        assert caught.value.not_before == datetime.fromtimestamp(int(NOW) + 60, UTC)
    clock.now = NOW + 60.5
    await runs(pacer, Priority.BACKFILL, lambda: None)


async def test_retry_after_wins_over_the_reset() -> None:
    pacer = Pacer(now=Clock())
    pacer.note(429, headers(0, int(NOW) + 60) | {"retry-after": "300"})
    assert pacer.opens_at(Priority.RETURN) == NOW + 300


async def test_who_was_already_waiting_is_turned_away_by_a_429() -> None:
    pacer = Pacer(now=Clock())
    async with pacer.turn(Priority.LOOK), pacer.turn(Priority.LOOK):
        waiting = asyncio.create_task(runs(pacer, Priority.SWEEP, lambda: None))
        await asyncio.sleep(0)
        pacer.note(429, {"retry-after": "120"})
    with pytest.raises(TryLater, match="waits for Procore's limit"):
        await waiting


async def test_a_short_closing_is_sat_out() -> None:
    pacer = Pacer()
    loop = asyncio.get_running_loop()
    began = loop.time()
    pacer.note(429, {"retry-after": "1"})
    await asyncio.wait_for(runs(pacer, Priority.LOOK, lambda: None), 5)
    assert loop.time() - began >= 0.99  # Procore's second, not ours: earlier would be refused


async def test_an_exhausted_window_closes_before_any_429() -> None:
    pacer = Pacer(now=Clock())
    pacer.note(200, headers(0, int(NOW) + 30))
    with pytest.raises(TryLater):
        await runs(pacer, Priority.LOOK, lambda: None)


async def test_the_last_fifth_of_a_window_is_kept_for_looks_and_returns() -> None:
    pacer = Pacer(now=Clock())
    pacer.note(200, headers(5, int(NOW) + 60, limit=25))
    for priority in (Priority.SWEEP, Priority.BACKFILL):
        with pytest.raises(TryLater):
            await runs(pacer, priority, lambda: None)
    for priority in (Priority.LOOK, Priority.RETURN):
        await runs(pacer, priority, lambda: None)


async def test_a_window_with_room_holds_nobody_back() -> None:
    pacer = Pacer(now=Clock())
    pacer.note(200, headers(6, int(NOW) + 60, limit=25))
    await runs(pacer, Priority.BACKFILL, lambda: None)


async def test_the_last_call_of_a_window_goes_alone_and_a_lost_answer_stops_nobody() -> None:
    pacer = Pacer(now=Clock())
    async with pacer.turn(Priority.LOOK):
        pacer.note(200, headers(1, int(NOW) + 30))
    done: list[str] = []
    async with pacer.turn(Priority.LOOK):  # whose answer never comes
        second = asyncio.create_task(runs(pacer, Priority.RETURN, lambda: done.append("second")))
        await asyncio.sleep(0.01)
        assert done == []
    await asyncio.wait_for(second, 1)
    await asyncio.wait_for(runs(pacer, Priority.LOOK, lambda: done.append("third")), 1)
    assert done == ["second", "third"]


async def test_a_late_answer_of_an_old_window_does_not_reopen_what_a_429_closed() -> None:
    pacer = Pacer(now=Clock())
    pacer.note(429, {"retry-after": "120"})
    pacer.note(200, headers(20, int(NOW) + 5))
    assert pacer.opens_at(Priority.RETURN) == NOW + 120


async def test_a_429_without_a_word_of_when_waits_longer_each_time_until_an_answer_comes() -> None:
    clock = Clock()
    pacer = Pacer(now=clock)
    waits = []
    for _ in range(5):
        pacer.note(429, {})
        waits.append(pacer.opens_at(Priority.RETURN) - clock.now)
        clock.now = pacer.opens_at(Priority.RETURN)
    assert all(wait >= 1 for wait in waits)
    assert waits[4] > 3 * waits[0]
    pacer.note(200, {})
    pacer.note(429, {})
    assert pacer.opens_at(Priority.RETURN) - clock.now <= waits[1]


@pytest.mark.parametrize("asked", ["-1", "1e9", "nan", "inf", "Wed, 21 Oct 2026 07:28:00 GMT", ""])
async def test_an_absurd_retry_after_closes_for_a_second_to_an_hour(asked: str) -> None:
    pacer = Pacer(now=Clock())
    pacer.note(429, {"retry-after": asked})
    assert 1 <= pacer.opens_at(Priority.RETURN) - NOW <= 3_600


@given(
    st.lists(
        st.tuples(
            st.sampled_from([200, 403, 429, 503]),
            st.dictionaries(
                st.sampled_from(
                    [
                        "x-rate-limit-limit",
                        "x-rate-limit-remaining",
                        "x-rate-limit-reset",
                        "retry-after",
                    ]
                ),
                st.one_of(
                    st.text(max_size=8),
                    st.integers().map(str),
                    st.floats().map(str),
                    st.integers(int(NOW) - 100, int(NOW) + 9_000).map(str),
                ),
            ),
        )
    )
)
def test_no_headers_whatever_close_a_grant_for_more_than_an_hour(
    answers: list[tuple[int, dict[str, str]]],
) -> None:
    pacer = Pacer(now=Clock())
    for status, said in answers:
        pacer.note(status, said)
    assert pacer.opens_at(Priority.BACKFILL) <= NOW + 3_600


async def test_a_cancelled_wait_costs_no_turn() -> None:
    pacer = Pacer(now=Clock())
    async with pacer.turn(Priority.LOOK), pacer.turn(Priority.LOOK):
        waiting = [asyncio.create_task(runs(pacer, Priority.LOOK, lambda: None)) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    done: list[int] = []
    for _ in range(4):
        await asyncio.wait_for(runs(pacer, Priority.LOOK, lambda: done.append(1)), 1)
    assert len(done) == 4


async def test_a_wait_cancelled_at_the_moment_it_is_admitted_costs_no_turn() -> None:
    pacer = Pacer(now=Clock())
    for _ in range(10):
        gate = asyncio.Event()

        async def hold(gate: asyncio.Event = gate) -> None:
            async with pacer.turn(Priority.LOOK):
                await gate.wait()

        holders = [asyncio.create_task(hold()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting = asyncio.create_task(runs(pacer, Priority.LOOK, lambda: None))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*holders)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    assert pacer._under_way == 0


async def test_what_a_window_had_left_is_unknown_once_it_is_over() -> None:
    clock = Clock()
    pacer = Pacer(now=clock)
    pacer.note(200, headers(2, NOW + 10))
    for _ in range(3):  # answers of an outage: without headers, or none at all
        async with pacer.turn(Priority.RETURN):
            pass
    assert pacer.budget_left == -1
    assert pacer.keeps_back(Priority.RETURN)
    clock.now = NOW + 10
    assert pacer.budget_left == float("inf")
    assert not pacer.keeps_back(Priority.RETURN)
