"""The brake on bursts of removals: what is gone at once is marked only by a person's word."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.connections import RemovalsConfirmed
from sync_worker.inbound.brake import Burst, is_too_much
from tests.worker.bench import Bench
from tests.worker.sides import rfi_json, submittal_json

COUNTS = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("at_once", "live", "too_much"),
    [
        (5, 10, False),
        (6, 10, True),
        (6, 60, False),
        (7, 60, True),
        (10, 100, False),
        (11, 100, True),
        (0, 0, False),
        (100, 1_000, False),
        (101, 1_000, True),
    ],
)
def test_a_burst_is_more_than_five_and_more_than_a_tenth(
    at_once: int, live: int, too_much: bool
) -> None:
    assert is_too_much(Burst(at_once, 0, 0, live)) is too_much


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_what_went_before_and_of_the_other_kind_counts_alike(
    gone: int, recent: int, elsewhere: int, live: int
) -> None:
    together = Burst(gone + recent + elsewhere, 0, 0, live)
    assert is_too_much(Burst(gone, recent, elsewhere, live)) is is_too_much(together)


async def held(bench: Bench) -> list[str]:
    rows = [one for one in await bench.rows("removals") if one["state"] == "held"]
    return sorted((row["procore_id"] for row in rows), key=int)


async def fill_and_empty(bench: Bench, *, gone: int = 8) -> list[str]:
    """Have 12 RFIs over, then `gone` of them in the recycle bin; return their ids."""
    bench.procore.per_page = 20
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 13)))
    await bench.backfilled()
    ids = [str(n) for n in range(1, gone + 1)]
    for one in ids:
        bench.procore.recycle("rfi", one)
    await bench.looked("rfi", *ids)
    return ids


def removed(bench: Bench) -> list[str]:
    return [key[1] for key, one in bench.part3.held.items() if one.status == "removed"]


async def confirm(bench: Bench, until: datetime | None = None) -> None:
    now = datetime.now(UTC)
    word = RemovalsConfirmed(until=until or now, at=now, user_id="u-1", name="Gina Castellano")
    bench.tokens.connect(removals_confirmed=word)
    await bench.worker.projects.learn_changes()


async def looked_to_the_end(bench: Bench) -> None:
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)


@pytest.mark.postgres
async def test_of_a_burst_nothing_is_marked_and_people_are_told_once(bench: Bench) -> None:
    ids = await fill_and_empty(bench)
    assert (removed(bench), await held(bench)) == ([], ids)
    told = [row for row in await bench.rows("activity") if row["event"] == "removals.held"]
    assert len(told) == 1
    assert told[0]["words"].startswith("8 of 12 records went to Procore's recycle bin")
    await bench.swept()
    assert removed(bench) == []
    assert (await bench.events()).count("removals.held") == 1


@pytest.mark.postgres
async def test_a_few_removals_are_marked_at_once(bench: Bench) -> None:
    ids = await fill_and_empty(bench, gone=5)
    assert sorted(removed(bench)) == ids
    assert await held(bench) == []


@pytest.mark.postgres
async def test_removals_one_by_one_trip_the_brake_when_they_are_too_many(bench: Bench) -> None:
    await fill_and_empty(bench, gone=5)
    bench.procore.recycle("rfi", "6")
    await bench.looked("rfi", "6")
    assert (len(removed(bench)), await held(bench)) == (5, ["6"])


@pytest.mark.postgres
async def test_removals_of_both_kinds_are_one_burst(bench: Bench) -> None:
    bench.procore.per_page = 20
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 7)))
    bench.procore.hold("submittal", *(submittal_json(n) for n in range(1, 7)))
    await bench.backfilled()
    kinds: tuple[Any, ...] = ("rfi", "submittal")
    for kind in kinds:
        for n in range(1, 5):
            bench.procore.recycle(kind, str(n))
    await bench.looked("rfi", *"1234")
    await bench.looked("submittal", *"1234")
    assert len(removed(bench)) == 4
    assert len(await held(bench)) == 4


@pytest.mark.postgres
async def test_what_a_person_confirmed_is_marked_and_its_content_kept(bench: Bench) -> None:
    ids = await fill_and_empty(bench)
    await confirm(bench)
    await looked_to_the_end(bench)
    assert sorted(removed(bench), key=int) == ids
    assert bench.shown("rfi", "1").title == "Question 1"
    assert await held(bench) == []
    (word,) = [row for row in await bench.rows("activity") if row["event"] == "removals.confirmed"]
    assert word["person"]["name"] == "Gina Castellano"
    assert "8 records" in word["words"]
    # the next single removal is no part of that burst
    bench.procore.recycle("rfi", "9")
    await bench.looked("rfi", "9")
    assert "9" in removed(bench)


@pytest.mark.postgres
async def test_what_went_after_the_person_had_looked_is_not_confirmed(bench: Bench) -> None:
    ids = await fill_and_empty(bench)
    until = max(row["found_at"] for row in await bench.rows("removals"))
    await asyncio.sleep(0.01)
    bench.procore.recycle("rfi", "9")
    await bench.looked("rfi", "9")
    await confirm(bench, until)
    await looked_to_the_end(bench)
    await bench.looked("rfi", "9")
    assert sorted(removed(bench), key=int) == ids
    assert await held(bench) == ["9"]


@pytest.mark.postgres
async def test_the_brake_ends_by_itself_once_the_records_are_back(bench: Bench) -> None:
    ids = await fill_and_empty(bench)
    for one in ids:
        bench.procore.restore("rfi", one)
    await bench.swept()
    assert (await held(bench), removed(bench)) == ([], [])
    assert (await bench.events()).count("removals.over") == 1


@pytest.mark.postgres
async def test_a_restored_record_is_the_same_one_again(bench: Bench) -> None:
    await fill_and_empty(bench)
    await confirm(bench)
    await looked_to_the_end(bench)
    bench.procore.restore("rfi", "1")
    await bench.swept()
    assert bench.shown("rfi", "1").status == "open"
    assert len([key for key in bench.part3.held if key[1] == "1"]) == 1


@pytest.mark.postgres
async def test_what_waits_for_a_person_costs_no_calls(bench: Bench) -> None:
    await fill_and_empty(bench)
    await bench.swept()
    bench.procore.calls.clear()
    await bench.swept()
    assert bench.procore.asked("rfi") == []


@pytest.mark.postgres
async def test_what_was_purged_while_it_waited_does_not_wait_for_ever(bench: Bench) -> None:
    await fill_and_empty(bench)
    bench.procore.bin.clear()
    await bench.swept()
    assert (await held(bench), removed(bench)) == ([], [])
