"""When a look is believed, and when its project is listed once more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_worker.inbound.settling import AwaitedReply, Moments, Seen, answered_by, is_fresh

T = datetime(2026, 11, 24, 9, tzinfo=UTC)
MAYA, GC = {"procore_id": "7"}, {"procore_id": "9"}


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def record(**fields: Any) -> dict[str, Any]:
    plain = {"status": "open", "title": "Anchors", "ball_in_court": [MAYA], "assignees": [MAYA]}
    made = plain | {"replies": [], "workflow": []} | fields
    return made | {"content_version": repr(sorted(made.items()))}


def seen(
    read_at: float,
    known_at: float | None = -60,
    now: dict[str, Any] | None = None,
    known: dict[str, Any] | None = None,
) -> Seen:
    before = None if known_at is None else at(known_at)
    return Seen(at(read_at), before, now or record(title="Anchor bolts"), known or record())


ONE = Moments(T, T)


def test_a_state_of_the_notices_own_second_is_believed() -> None:
    assert is_fresh(ONE, seen(0))
    assert is_fresh(Moments(at(0.7), at(0.7)), seen(0))  # `updated_at` is in whole seconds


def test_a_state_older_than_the_notice_is_not_believed() -> None:
    assert not is_fresh(ONE, seen(-3))


def test_a_state_that_was_known_before_the_notice_is_not_believed() -> None:
    assert not is_fresh(ONE, seen(-1, known_at=-1))


def test_of_several_changes_a_read_may_lack_the_last_one() -> None:
    assert not is_fresh(Moments(at(-1), T), seen(0))
    assert is_fresh(Moments(at(-0.04), T), seen(0))  # one person's one action


def test_a_new_record_is_believed_once_somebody_has_the_ball() -> None:
    new = Seen(T, None, record(), None)
    assert is_fresh(ONE, new)
    assert not is_fresh(ONE, Seen(T, None, record(ball_in_court=[]), None))
    assert is_fresh(ONE, Seen(T, None, record(ball_in_court=[], status="closed"), None))


@pytest.mark.parametrize(
    "moved",
    [
        {"status": "withdrawn"},
        {"assignees": [GC]},
        {"replies": [{"procore_id": "1"}]},
        {"workflow": [{"procore_id": "1", "response": "Approved"}]},
    ],
)
def test_what_moves_the_ball_without_moving_it_may_be_half_a_state(moved: dict[str, Any]) -> None:
    assert not is_fresh(ONE, seen(0, now=record(**moved)))
    assert is_fresh(ONE, seen(0, now=record(**moved, ball_in_court=[GC])))


def test_a_change_that_cannot_be_seen_may_be_half_a_state() -> None:
    assert not is_fresh(ONE, seen(0, now=record()))


def test_closing_takes_the_ball_from_everybody() -> None:
    known = record(ball_in_court=[])
    assert is_fresh(ONE, seen(0, now=record(status="closed", ball_in_court=[]), known=known))


@given(st.floats(-100, -2.001), st.floats(0, 50))
def test_nothing_older_than_the_slack_is_ever_believed(read: float, apart: float) -> None:
    assert not is_fresh(Moments(at(-apart), T), seen(read, known_at=-1000))


def test_a_reply_is_answered_by_the_look_that_shows_it() -> None:
    made = AwaitedReply("1", "create", T)
    shown = seen(0, now=record(replies=[{"procore_id": "1"}]))
    assert answered_by([made], shown) == ["1"]
    assert answered_by([made], seen(0)) == []


def test_a_reply_marked_official_needs_a_state_of_that_moment() -> None:
    marked = AwaitedReply("1", "update", T)
    thread = record(replies=[{"procore_id": "1"}])
    assert answered_by([marked], seen(0, now=thread, known=thread)) == ["1"]
    assert answered_by([marked], seen(-30, now=thread, known=thread)) == []


def test_a_deleted_reply_is_answered_by_the_look_that_misses_it() -> None:
    gone = AwaitedReply("1", "delete", T)
    thread = record(replies=[{"procore_id": "1"}])
    assert answered_by([gone], seen(0, now=record(), known=thread)) == ["1"]
    assert answered_by([gone], seen(0, now=thread, known=thread)) == []
    assert answered_by([gone], seen(0)) == []  # another RFI's
