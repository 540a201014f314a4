"""What the progress says, from figures alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Kind
from services.pauses import Pause, Pauses
from token_service.public.health import health_of
from token_service.public.progress import (
    Counts,
    Standing,
    Sweep,
    bar_of,
    live_values,
    seconds_left,
    time_left_words,
)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
AGO = NOW - timedelta(seconds=60)


def standing(rfi: Sweep, submittal: Sweep) -> Standing:
    return Standing(
        now=NOW,
        sweeps={"rfi": rfi, "submittal": submittal},
        records={"rfi": Counts(), "submittal": Counts()},
    )


def under_way(kind: Kind, found: int, done: int, *, listing: bool = False) -> Sweep:
    return Sweep(kind=kind, found=found, done=done, still_listing=listing, started_at=AGO)


def finished(kind: Kind) -> Sweep:
    return Sweep(kind=kind, found=4, done=4, started_at=AGO, backfilled_at=NOW, still_listing=False)


def test_the_time_left_follows_the_pace_so_far() -> None:
    half = standing(under_way("rfi", 40, 20), under_way("submittal", 60, 30))
    assert seconds_left(half) == 60
    assert time_left_words(half) == "About 1 minute left"


def test_nothing_is_estimated_while_it_is_still_listed() -> None:
    listing = standing(under_way("rfi", 40, 20), under_way("submittal", 60, 30, listing=True))
    assert seconds_left(listing) is None
    assert time_left_words(listing) == "Working it out…"


def test_nothing_is_estimated_from_next_to_nothing() -> None:
    begun = standing(under_way("rfi", 4000, 1), finished("submittal"))
    assert seconds_left(begun) is None


def test_a_project_without_records_is_done_at_once() -> None:
    nothing = Sweep(kind="rfi", started_at=AGO, backfilled_at=NOW, still_listing=False)
    done = standing(nothing, finished("submittal"))
    assert done.backfilled
    assert time_left_words(done) == "Done"
    assert live_values(done)["show"]["rfi_phase"] == "There are no RFIs in Procore yet"


@given(
    found=st.integers(0, 10**6),
    done=st.integers(0, 2 * 10**6),
    files=st.integers(0, 10**6),
    files_done=st.integers(0, 2 * 10**6),
    seconds=st.integers(0, 10**7),
    listing=st.booleans(),
)
def test_no_figures_make_a_bar_or_an_estimate_absurd(
    found: int, done: int, files: int, files_done: int, seconds: int, listing: bool
) -> None:
    sweep = Sweep(
        kind="rfi",
        found=found,
        done=done,
        files_found=files,
        files_done=files_done,
        still_listing=listing,
        started_at=NOW - timedelta(seconds=seconds),
    )
    value, length = bar_of(sweep)
    assert 0 <= value <= max(length, 0)
    left = seconds_left(standing(sweep, finished("submittal")))
    assert left is None or left >= 0
    assert "-" not in time_left_words(standing(sweep, finished("submittal")))


def test_health_names_the_worst_first() -> None:
    fine = standing(finished("rfi"), finished("submittal"))
    words = {
        "In step": fine,
        "Catching up": Standing(
            now=NOW, sweeps=fine.sweeps, records=fine.records, looks_failing=2, looks_due=1
        ),
        "Returns held": Standing(
            now=NOW, sweeps=fine.sweeps, records=fine.records, looks_failing=2, returns_held=1
        ),
    }
    for word, one in words.items():
        assert health_of(one, "/activity").word == word


def test_a_pause_by_the_operators_says_what_rests_by_whom_since_when_and_why() -> None:
    pause = Pause(by="Dana", reason="Procore has an incident", at=NOW)
    fine = standing(finished("rfi"), finished("submittal"))
    resting = replace(fine, pauses=Pauses(to_procore=pause))
    assert resting.page_state == "attention"
    health = health_of(resting, "/activity", paused=resting.is_paused)
    assert health.word == "Paused"
    assert health.words.startswith("Returns are kept here for now")
    assert "the operators (Dana) since 24 Nov 2026, 09:00 UTC: Procore has an" in health.next_step


def test_both_kinds_have_their_words() -> None:
    shown = live_values(standing(under_way("rfi", 2, 1), under_way("submittal", 2, 1)))["show"]
    for kind in get_args(Kind):
        assert {f"{kind}_phase", f"{kind}_files"} <= set(shown)
