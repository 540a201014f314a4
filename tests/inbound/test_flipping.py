"""How often a record may go to and fro between states that were put before."""

from datetime import UTC, datetime, timedelta

import pytest

from sync_worker.inbound.flipping import lately, rests_until

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def ago(*minutes: float) -> tuple[datetime, ...]:
    return tuple(NOW - timedelta(minutes=one) for one in minutes)


@pytest.mark.parametrize(
    ("case", "flips", "rests"),
    [
        ("never", (), None),
        ("five are put", ago(4, 3, 2, 1), None),
        ("the sixth waits for the first to age", ago(5, 4, 3, 2, 1), timedelta(minutes=5)),
        ("those of long ago do not count", ago(50, 11, 10, 3, 2, 1), None),
        ("of many the fifth newest counts", ago(9, 8, 5, 4, 3, 2, 1), timedelta(minutes=5)),
    ],
)  # fmt: skip
def test_more_than_five_in_ten_minutes_rest(
    case: str, flips: tuple[datetime, ...], rests: timedelta | None
) -> None:
    until = rests_until(flips, NOW)
    assert until == (NOW + rests if rests else None), case
    if until is not None:
        assert rests_until(flips, until) is None, "it goes on by itself"
        assert rests_until(flips, until - SECOND) == until


def test_what_is_kept_of_flips_does_not_grow() -> None:
    assert lately(ago(1, 30, 5, 10), NOW) == ago(5, 1)
