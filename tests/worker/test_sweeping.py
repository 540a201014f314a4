"""Backfills and sweeps: what is listed, when again, and what is left of it after a crash."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.errors import TryLater
from services.part3.client import Outdated, Part3Refused
from sync_worker.sweep_store import Sweep
from tests.worker.bench import Bench
from tests.worker.sides import later, rfi_json, submittal_json

pytestmark = pytest.mark.postgres


async def test_a_backfill_shows_every_record_and_its_files(bench: Bench) -> None:
    bench.procore.hold("rfi", *(rfi_json(n, files=[n * 10]) for n in range(1, 6)))
    bench.procore.hold("submittal", *(submittal_json(n) for n in range(1, 4)))
    await bench.backfilled()
    assert len(bench.part3.held) == 8
    assert all(len(bench.shown("rfi", str(n)).files) == 1 for n in range(1, 6))
    rfis = await bench.row("sweeps", kind="rfi")
    assert (rfis["found"], rfis["done"], rfis["files_found"], rfis["files_done"]) == (5, 5, 5, 5)
    assert (await bench.events()).count("backfill.finished") == 2


async def test_a_backfill_shows_its_pages_before_it_brings_files(bench: Bench) -> None:
    bench.procore.hold("rfi", *(rfi_json(n, files=[n]) for n in range(1, 4)))
    let_go = asyncio.Event()
    bench.procore.on["download"] = lambda *_: let_go.wait()
    await bench.connect()
    async with bench.worker.running():

        async def all_shown() -> bool:
            return len(bench.part3.held) == 3

        await bench.until(all_shown)

        async def counted() -> bool:
            row = await bench.row("sweeps", kind="rfi")
            return (row["found"], row["files_found"], row["files_done"]) == (3, 3, 0)

        await bench.until(counted)
        let_go.set()
        await bench.until(bench.is_backfilled)
    assert [sorted(batch) for batch in bench.part3.batches] == [["1", "2"], ["3"]]


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("moment", ["page", "batch"])
async def test_a_backfill_goes_on_at_the_page_where_a_worker_died(
    bench: Bench, page: int, moment: str
) -> None:
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 6)))
    reached = asyncio.Event()
    seen: list[int] = []

    def stop_there(*_: Any) -> Any:
        seen.append(1)
        if len(seen) == page:
            reached.set()
            return asyncio.Event().wait()
        return None

    side = bench.procore if moment == "page" else bench.part3
    if moment == "page":
        side.on[moment] = lambda what, _whose: stop_there() if what[0] == "rfi" else None
    else:
        side.on[moment] = stop_there
    await bench.connect()
    async with bench.worker.until_killed(), asyncio.timeout(20):
        await reached.wait()
    side.on.clear()
    asked_before = len(bench.procore.asked("page"))
    again = bench.replica("w-1")
    async with again.running():
        await bench.until(bench.is_backfilled)
    assert sorted(record_id for _, record_id in bench.part3.held) == ["1", "2", "3", "4", "5"]
    first_again = next(one for one in bench.procore.asked("page")[asked_before:] if one[0] == "rfi")
    assert first_again == ("rfi", page)
    assert (await bench.row("sweeps", kind="rfi"))["done"] == 5


async def test_another_worker_goes_on_when_one_is_asked_to_end(bench: Bench) -> None:
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 6)))
    bench.procore.on["page"] = lambda *_: bench.worker.sweeping.stop()
    await bench.connect()
    async with bench.worker.running():
        await asyncio.sleep(0.3)
    assert (await bench.row("sweeps", kind="rfi"))["lease_owner"] is None
    bench.procore.on.clear()
    async with bench.replica("w-2").running():
        await bench.until(bench.is_backfilled)
    assert len(bench.part3.held) == 5


async def test_a_sweep_lists_only_what_changed_since(bench: Bench) -> None:
    bench.procore.hold("rfi", *(rfi_json(n, updated_at=later(-90_000)) for n in range(1, 6)))
    await bench.backfilled()
    await bench.swept()
    bench.procore.calls.clear()
    changed = datetime.now(UTC).isoformat()
    bench.procore.hold("rfi", rfi_json(3, subject="Changed", updated_at=changed))
    await bench.swept()
    assert bench.shown("rfi", "3").title == "Changed"
    assert [one for one in bench.procore.asked("page") if one[0] == "rfi"] == [("rfi", 1)]
    assert bench.procore.asked("rfi") == ["3"]


async def test_windows_overlap_because_lists_lag(bench: Bench) -> None:
    await bench.backfilled()
    await bench.swept()
    a_minute_ago = (datetime.now(UTC) - timedelta(seconds=60)).isoformat()
    bench.procore.hold("rfi", rfi_json(1, updated_at=a_minute_ago))
    await bench.swept()
    assert bench.shown("rfi", "1") is not None


async def test_a_clock_of_ours_that_is_ahead_hides_no_change(bench: Bench) -> None:
    ten_minutes_ago = datetime.now(UTC) - timedelta(minutes=10)
    bench.procore.answered_at = ten_minutes_ago
    await bench.backfilled()
    changed = (ten_minutes_ago + timedelta(seconds=5)).isoformat()
    bench.procore.hold("rfi", rfi_json(1, updated_at=changed))
    await bench.swept()
    assert bench.shown("rfi", "1") is not None


async def test_a_record_that_changes_while_it_is_listed_moves_no_other_one_out_of_sight(
    bench: Bench,
) -> None:
    await bench.backfilled()
    await bench.swept()
    now = datetime.now(UTC)
    bench.procore.hold("rfi", *(rfi_json(n, updated_at=now.isoformat()) for n in range(1, 6)))

    def edit_the_first(what: Any, _whose: str) -> None:
        if what == ("rfi", 2):
            moved = (now + timedelta(seconds=30)).isoformat()
            bench.procore.hold("rfi", rfi_json(1, updated_at=moved))

    bench.procore.on["page"] = edit_the_first
    await bench.swept()
    assert sorted(record_id for _, record_id in bench.part3.held) == ["1", "2", "3", "4", "5"]


async def test_everything_is_compared_now_and_then(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, updated_at=later(-90_000)))
    await bench.backfilled()
    await bench.swept()
    # its time of change stayed: no window would ever list it again
    bench.procore.hold("rfi", rfi_json(1, updated_at=later(-90_000), subject="Changed in silence"))
    await bench.swept()
    assert bench.shown("rfi", "1").title == "Question 1"
    auditor = bench.replica("w-2", audit_s=0.0)
    await bench.sweep_due()
    async with auditor.running():

        async def corrected() -> bool:
            return bool(bench.shown("rfi", "1").title == "Changed in silence")

        await bench.until(corrected)


async def test_a_settling_sweep_comes_once_and_leaves_the_schedule_alone(bench: Bench) -> None:
    await bench.backfilled()
    await bench.swept()
    due_at = (await bench.row("sweeps", kind="rfi"))["due_at"]
    bench.procore.calls.clear()
    await bench.postgres.execute("UPDATE mirror.sweeps SET settle_at = now() WHERE kind = 'rfi'")

    async def settled() -> bool:
        row = await bench.row("sweeps", kind="rfi")
        return row["settle_at"] is None and row["next_page"] is None

    async with bench.worker.running():
        await bench.until(settled)
        await asyncio.sleep(0.6)
    assert bench.procore.asked("page") == [("rfi", 1)]
    assert bench.procore.asked("recycled") == []
    assert (await bench.row("sweeps", kind="rfi"))["due_at"] == due_at


async def test_a_sweep_asked_for_while_one_is_under_way_comes_after_it(bench: Bench) -> None:
    await bench.backfilled()
    await bench.swept()
    bench.procore.calls.clear()
    want = "UPDATE mirror.sweeps SET wanted_at = now() WHERE kind = 'rfi'"
    asked: list[int] = []

    def ask_meanwhile(*_: Any) -> Any:
        if not asked:
            asked.append(1)
            return bench.postgres.execute(want)
        return None

    bench.procore.on["page"] = ask_meanwhile
    await bench.postgres.execute(want)

    async def done() -> bool:
        row = await bench.row("sweeps", kind="rfi")
        return bool(asked) and row["wanted_at"] is None and row["next_page"] is None

    async with bench.worker.running():
        await bench.until(done)
    assert bench.procore.asked("page") == [("rfi", 1), ("rfi", 1)]


async def test_a_sweep_that_fails_rests_although_it_is_asked_for_again(bench: Bench) -> None:
    await bench.backfilled()
    await bench.swept()
    bench.procore.calls.clear()

    def away(*_: Any) -> None:
        message = "away"
        not_before = datetime.now(UTC) + timedelta(hours=1)
        raise TryLater(message, reason="rate_limited", not_before=not_before)

    bench.procore.on["page"] = away
    ask = "UPDATE mirror.sweeps SET settle_at = now(), wanted_at = now() WHERE kind = 'rfi'"
    await bench.postgres.execute(ask)
    async with bench.worker.running():
        await asyncio.sleep(0.8)
        await bench.postgres.execute(ask)
        bench.worker.sweeping.wake()
        await asyncio.sleep(0.8)
    assert bench.procore.asked("page") == [("rfi", 1)]


async def test_a_backfill_keeps_no_other_project_waiting(bench: Bench) -> None:
    await bench.backfilled()
    bench.procore.on["page"] = lambda what, _: asyncio.Event().wait() if what[1] == 7 else None
    bench.procore.per_page = 1
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 9)))
    for n in range(2, 7):
        await bench.connect(f"prj_{n}", procore_project_id=str(500 + n))
    async with bench.worker.until_killed():

        async def all_places_taken() -> bool:
            return bool(sum(one == ("rfi", 7) for one in bench.procore.asked("page")) >= 1)

        await bench.until(all_places_taken)
        changed = submittal_json(1, updated_at=datetime.now(UTC).isoformat())
        bench.procore.hold("submittal", changed)
        await bench.postgres.execute(
            "UPDATE mirror.sweeps SET wanted_at = now() "
            "WHERE project_id = 'prj_1' AND kind = 'submittal'"
        )

        async def came() -> bool:
            return bench.shown("submittal", "1") is not None

        await bench.until(came)


async def test_a_bad_record_neither_hides_its_page_nor_holds_the_backfill_up(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1), rfi_json(2), rfi_json(3))
    bench.procore.hold("rfi", rfi_json(4) | {"updated_at": "not a time"})

    def poison(what: Any, *_: Any) -> None:
        if what == "2":
            message = "a fault"
            raise ValueError(message)

    bench.procore.on["rfi"] = poison
    await bench.backfilled()
    assert sorted(record_id for _, record_id in bench.part3.held) == ["1", "2", "3"]
    (left,) = [row for row in await bench.rows("looks") if row["kind"] == "rfi"]
    assert (left["procore_id"], left["reason"]) == ("2", "fault")
    finished = [
        row["detail"]["left_over"]
        for row in await bench.rows("activity")
        if row["event"] == "backfill.finished" and row["detail"]["kind"] == "rfi"
    ]
    assert finished == [1]


@pytest.mark.parametrize(
    "answer", [Part3Refused("too much at once"), Outdated("412 to the whole, see decision 0020")]
)
async def test_a_page_that_part3_refuses_is_brought_record_by_record(
    bench: Bench, answer: Exception
) -> None:
    bench.procore.hold("rfi", rfi_json(1), rfi_json(2))

    def refuse(*_: Any) -> None:
        raise answer

    bench.part3.on["batch"] = refuse
    await bench.backfilled()
    assert sorted(record_id for _, record_id in bench.part3.held) == ["1", "2"]


async def test_a_page_does_not_put_a_list_over_what_a_look_has_brought(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, files=[7]))
    await bench.connect()
    reader = await bench.worker.projects.reader("prj_1")
    assert reader is not None
    sweep = await bench.worker.sweeps.claim(backfill=True)
    assert sweep is not None
    source = await bench.procore.rfi(reader.place, "1", whose="usr_owner", priority=None)  # type: ignore[arg-type]
    await bench.looked("rfi", "1")
    before = bench.shown("rfi", "1").version
    # the page was read before the look came
    await bench.worker.sweeping._first_showing.show(sweep, [source], {})
    assert bench.shown("rfi", "1").version == before


@pytest.mark.parametrize("kind", ["rfi", "submittal"])
async def test_what_goes_to_the_recycle_bin_is_kept_as_removed_and_comes_back(
    bench: Bench, kind: Any
) -> None:
    make = rfi_json if kind == "rfi" else submittal_json
    bench.procore.hold(kind, make(1), make(2))
    await bench.backfilled()
    bench.procore.recycle(kind, "1")
    await bench.swept()
    assert bench.shown(kind, "1").status == "removed"
    assert bench.shown(kind, "2").status == "open"
    bench.procore.restore(kind, "1")
    await bench.swept()
    assert bench.shown(kind, "1").status == "open"
    assert (await bench.row("records", procore_id="1"))["removed_at"] is None


async def test_what_was_purged_from_the_bin_is_asked_for_once(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1))
    await bench.backfilled()
    bench.procore.recycle("rfi", "1")
    await bench.swept()
    bench.procore.bin.clear()
    await bench.swept()
    bench.procore.calls.clear()
    await bench.swept()
    assert bench.procore.asked("rfi") == []
    assert bench.shown("rfi", "1").status == "removed"


async def test_many_removed_at_once_cost_one_listing_of_the_bin(bench: Bench) -> None:
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 13)))
    await bench.backfilled()
    for n in range(1, 13):
        bench.procore.recycle("rfi", str(n))
    bench.procore.calls.clear()
    await bench.looked("rfi", *(str(n) for n in range(1, 13)))
    assert len(await bench.rows("removals")) == 12
    assert len(bench.procore.asked("recycled")) <= 4  # those that were under way together


async def test_drafts_stay_in_procore_until_they_are_opened(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, status="draft"))
    bench.procore.hold("submittal", submittal_json(1, status={"name": "Draft", "status": "Draft"}))
    await bench.backfilled()
    assert bench.part3.held == {}
    opened = datetime.now(UTC).isoformat()
    bench.procore.hold("rfi", rfi_json(1, updated_at=opened))
    await bench.swept()
    assert list(bench.part3.held) == [("rfi", "1")]


async def test_submittals_without_files_need_no_read_beyond_their_list(bench: Bench) -> None:
    bench.procore.hold("submittal", submittal_json(1), submittal_json(2, files=[5]))
    await bench.backfilled()
    assert bench.procore.asked("submittals") == [["2"]]
    assert len(bench.shown("submittal", "2").files) == 1
    assert bench.shown("submittal", "1") is not None


async def test_a_sweep_whose_claim_was_lost_on_the_way_is_made_as_soon_as_postgres_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was committed, so without that nobody would list before its lease lapses."""
    bench.procore.hold("rfi", rfi_json(1))
    claim, lost = bench.worker.sweeps.claim, 0

    async def claim_and_hear_nothing(*, backfill: bool) -> Sweep | None:
        nonlocal lost
        claimed = await claim(backfill=backfill)
        if claimed is not None and not lost:
            lost += 1
            raise TryLater("the answer was lost", reason="postgres_down")
        return claimed

    monkeypatch.setattr(bench.worker.sweeps, "claim", claim_and_hear_nothing)
    await bench.backfilled()
    assert lost == 1
    assert bench.shown("rfi", "1") is not None


async def test_only_claims_of_a_worker_that_it_knows_nothing_of_are_freed(bench: Bench) -> None:
    await bench.connect()
    sweeps, others = bench.worker.sweeps, bench.replica("w-2").sweeps
    known, lost = [await sweeps.claim(backfill=True) for _ in range(2)]
    assert known is not None
    assert lost is not None
    await others.free_lost(())
    assert await others.claim(backfill=True) is None
    await sweeps.free_lost({(known.project_id, known.kind)})
    again = await others.claim(backfill=True)
    assert again is not None
    assert again.kind == lost.kind
    assert await others.claim(backfill=True) is None
