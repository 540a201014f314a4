"""Returns that the operators let rest: held in Part3 with who, since when and why, never lost."""

from datetime import UTC, datetime

from msgspec.structs import replace

from schemas.returns import Return
from services.pauses import Pause
from sync_worker.outbound.deliver import PAUSED_RECHECK_S
from tests.outbound.bench import Bench
from tests.outbound.samples import answer_to, rfi

PAUSE = Pause(
    by="Dana", reason="Procore has an incident", at=datetime(2026, 11, 28, 9, 5, tzinfo=UTC)
)


def paused_bench(answer: Return | None = None) -> Bench:
    bench = Bench(rfi(), answer or answer_to(rfi()))
    pause(bench)
    return bench


def pause(bench: Bench) -> None:
    assert bench.memory.connection is not None
    bench.memory.connection = replace(bench.memory.connection, paused=PAUSE)


def resume(bench: Bench) -> None:
    assert bench.memory.connection is not None
    bench.memory.connection = replace(bench.memory.connection, paused=None)


async def test_a_paused_return_is_held_in_part3_with_who_since_when_and_why() -> None:
    bench = paused_bench()
    await bench.attempt()
    told = bench.last_told
    assert (told.state, told.reason) == ("held", "paused")
    assert (
        "paused by the operators (Dana) since 28 Nov 2026, 09:05 UTC: Procore has an incident"
        in (told.message or "")
    )
    assert bench.procore.calls == []


async def test_a_paused_return_goes_by_itself_when_it_is_resumed() -> None:
    bench = paused_bench()
    await bench.attempt()
    resume(bench)
    await bench.attempt()
    assert bench.task.state == "delivered"
    assert bench.told == ["held", "sending", "delivered"]


async def test_a_paused_return_is_not_asked_about_again_and_again() -> None:
    bench = paused_bench()
    await bench.attempt()
    assert bench.due_in_s == PAUSED_RECHECK_S


async def test_a_paused_return_that_its_author_takes_back_waits_for_nobody() -> None:
    bench = paused_bench()
    await bench.attempt()
    bench.part3.returns[bench.answer.id] = replace(bench.answer, state="withdrawn")
    bench.ask()
    await bench.attempt()
    assert (bench.task.state, bench.task.reason) == ("failed", "withdrawn")


async def test_what_its_author_can_mend_says_so_also_in_a_pause() -> None:
    bench = Bench(rfi(), answer_to(rfi(), seen_content_version="another"))
    await bench.attempt()
    assert bench.task.reason == "question_changed"
    pause(bench)
    await bench.attempt()
    assert (bench.task.state, bench.task.reason) == ("held", "question_changed")
    bench.ask()  # its author confirmed it: now it waits for the operators alone
    await bench.attempt()
    assert (bench.last_told.state, bench.last_told.reason) == ("held", "paused")
