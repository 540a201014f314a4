"""A record that is answered too often within a few minutes, and what counts as a correction."""

import pytest

from schemas.returns import Return
from sync_worker.inbound.rounds import Round
from sync_worker.outbound.breaker import MOST_WRITES, too_many_writes
from sync_worker.outbound.memory import is_of_an_earlier_round
from tests.outbound.bench import rfi_bench
from tests.outbound.samples import answer_to, rfi

DESPITE = answer_to(rfi(), confirmed_despite=("too_many_writes",))


@pytest.mark.parametrize(
    ("answer", "writes", "held"),
    [
        (answer_to(rfi()), MOST_WRITES - 1, False),
        (answer_to(rfi()), MOST_WRITES, True),
        (DESPITE, 50, False),
    ],
)
def test_ten_writes_to_one_record_in_ten_minutes_are_a_loop(
    answer: Return, writes: int, *, held: bool
) -> None:
    hold = too_many_writes(answer, "RFI A-014", writes)
    assert (hold is not None) is held
    if hold is not None:
        assert "RFI A-014 was answered 10 times" in hold.message
        assert "goes by itself" in hold.message


async def test_a_loop_is_held_and_goes_by_itself_once_it_is_over() -> None:
    bench = rfi_bench()
    bench.memory.writes = MOST_WRITES
    await bench.attempt()
    assert (bench.last_told.state, bench.last_told.reason) == ("held", "too_many_writes")
    assert bench.procore.received == []
    bench.memory.writes = MOST_WRITES - 1
    await bench.until_due()
    assert bench.told == ["held", "sending", "delivered"]


@pytest.mark.parametrize(
    ("rounds", "earlier"),
    [
        ((), False),
        ((Round(because="opened"), Round(because="reopened", before=("90", "91"))), True),
        ((Round(because="opened"), Round(because="clarification", before=("90",))), False),
    ],
)
def test_a_reply_of_an_earlier_round_is_corrected_by_nothing(
    rounds: tuple[Round, ...], *, earlier: bool
) -> None:
    assert is_of_an_earlier_round("91", rounds) is earlier
