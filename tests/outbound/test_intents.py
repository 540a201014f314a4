"""What may be done about a write, from what is known of it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_worker.outbound.intents import (
    MAX_SENDS,
    Abandoned,
    Adopt,
    AskPerson,
    Check,
    Intent,
    LookUp,
    ReadBack,
    Sighting,
    WaitUntil,
    next_step,
)
from tests.outbound.samples import NOON

NOWHERE = Sighting(())
Q = timedelta(seconds=180)


def intent(state: str = "planned", **fields: Any) -> Intent:
    plain: dict[str, Any] = {
        "op_key": "k",
        "marker": "P3-7KQ2M9XR4T",
        "return_id": "ret_1",
        "operation": "rfi_reply",
        "state": state,
    }
    return Intent(**(plain | fields))


def sent(state: str = "unknown", sends: int = 1) -> Intent:
    return intent(state, sends=sends, sent_at=NOON, not_before=NOON + Q, fence=1)


def test_a_new_intent_is_checked_without_looking_anything_up() -> None:
    assert next_step(intent(), now=NOON) == Check()


@pytest.mark.parametrize("state", ["sending", "unknown", "needs_human"])
def test_what_may_have_arrived_is_looked_up_first(state: str) -> None:
    assert next_step(sent(state), now=NOON + 2 * Q) == LookUp()


def test_what_is_found_is_adopted_at_once_the_oldest_first() -> None:
    found = next_step(sent(), now=NOON, seen=Sighting(("41", "42")))
    assert found == Adopt("41", ("42",))


def test_absence_means_nothing_before_the_quiet_period_is_over() -> None:
    step = next_step(sent(), now=NOON + timedelta(seconds=10), seen=NOWHERE)
    assert step == WaitUntil(NOON + timedelta(seconds=20))


def test_the_last_look_is_at_the_end_of_the_quiet_period() -> None:
    step = next_step(sent(), now=NOON + timedelta(seconds=179), seen=NOWHERE)
    assert step == WaitUntil(NOON + Q)


def test_after_the_quiet_period_it_may_go_once_more_and_then_a_person_decides() -> None:
    assert next_step(sent(), now=NOON + Q, seen=NOWHERE) == Check()
    assert next_step(sent(sends=2), now=NOON + Q, seen=NOWHERE) == AskPerson()


def test_a_person_may_ask_for_one_more_send_and_no_further_one() -> None:
    asked: dict[str, Any] = {"now": NOON + Q, "seen": NOWHERE, "asked_again": True}
    assert next_step(sent("needs_human", sends=2), **asked) == Check()
    assert next_step(sent("needs_human", sends=3), **asked) == AskPerson()


def test_what_is_confirmed_is_only_read_back() -> None:
    done = intent("confirmed", sends=1, remote_id="41")
    assert next_step(done, now=NOON) == ReadBack("41")


def test_what_was_withdrawn_in_time_never_goes() -> None:
    assert next_step(intent("abandoned"), now=NOON) == Abandoned()


INTENTS = st.builds(
    intent,
    st.sampled_from(["planned", "sending", "unknown", "needs_human"]),
    sends=st.integers(0, 4),
    sent_at=st.just(NOON),
    not_before=st.sampled_from([None, NOON + Q]),
)
LATER = st.integers(0, 400).map(lambda seconds: NOON + timedelta(seconds=seconds))
SIGHTINGS = st.sampled_from([None, NOWHERE, Sighting(("41",))])


@given(INTENTS, LATER, SIGHTINGS, st.booleans())
def test_nothing_is_sent_again_unless_it_is_surely_absent(
    intent: Intent, now: datetime, seen: Sighting | None, asked_again: bool
) -> None:
    step = next_step(intent, now=now, seen=seen, asked_again=asked_again)
    if isinstance(step, Check) and intent.has_begun:
        assert seen == NOWHERE
        assert intent.not_before is None or now >= intent.not_before
        assert intent.sends < MAX_SENDS + asked_again
