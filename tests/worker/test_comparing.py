"""The daily comparison: what is equal, what mends itself, what is shown with a reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.errors import TryLater
from sync_worker.completeness.markers import Written, verdict_of
from tests.worker.bench import Bench
from tests.worker.sides import later, rfi_json, submittal_json

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)


async def filled(bench: Bench) -> None:
    """Have 5 RFIs with a file each and 3 submittals over, and their first comparison made."""
    bench.procore.hold(
        "rfi", *(rfi_json(n, files=[n * 10], updated_at=later(-90_000)) for n in range(1, 6))
    )
    bench.procore.hold("submittal", *(submittal_json(n, updated_at=later(-9)) for n in range(1, 4)))
    await bench.backfilled()
    await compared(bench)


async def compared(bench: Bench) -> None:
    """Make the comparisons that are due, to their end."""
    async with bench.worker.running():

        async def done() -> bool:
            soon = "UPDATE mirror.comparisons SET due_at = now() WHERE due_at > now()"
            if not await bench.rows("looks"):
                await bench.postgres.execute(soon + " AND due_at < now() + interval '5 minutes'")
            _ = await bench.worker.compare_one()
            rows = await bench.rows("comparisons")
            late = [r for r in rows if r["due_at"] and (r["due_at"] - NOW_).total_seconds() < 300]
            return len(rows) == 2 and not late

        NOW_ = datetime.now(UTC)  # noqa: N806 - as of this comparison
        await bench.until(done)


async def audited(bench: Bench) -> None:
    """Have everything listed anew and compared, as once a day."""
    await bench.postgres.execute("UPDATE mirror.sweeps SET audited_at = now() - interval '2 days'")
    await bench.sweep_due()
    async with bench.worker.running():
        await bench.until(bench.is_idle)
    await compared(bench)


async def result(bench: Bench, kind: str = "rfi") -> tuple[int, int, int]:
    row = await bench.row("comparisons", kind=kind)
    return row["equal"], row["compared"], row["files"]


async def differences(bench: Bench) -> dict[str, tuple[str, bool]]:
    """Return by record the reason, and whether it was repaired."""
    rows = await bench.rows("differences")
    return {row["procore_id"]: (row["reason"], row["repaired_at"] is not None) for row in rows}


async def test_after_a_backfill_all_of_it_is_compared_without_a_call_on_procore(
    bench: Bench,
) -> None:
    bench.procore.hold("rfi", *(rfi_json(n, files=[n * 10]) for n in range(1, 6)))
    await bench.backfilled()
    await bench.swept()
    bench.procore.calls.clear()
    await compared(bench)
    assert await result(bench) == (5, 5, 5)
    assert bench.procore.calls == []
    assert await differences(bench) == {}
    assert (await bench.events()).count("comparison.done") == 2


async def test_what_part3_lost_or_holds_otherwise_is_put_again(bench: Bench) -> None:
    await filled(bench)
    del bench.part3.held["rfi", "1"]
    other = msgspec.structs.replace(bench.shown("rfi", "2"), title="Overwritten")
    bench.part3.held["rfi", "2"] = other
    bench.part3.files.discard(bench.shown("rfi", "3").files[0].sha256)
    await audited(bench)
    assert bench.shown("rfi", "1").title == "Question 1"
    assert bench.shown("rfi", "2").title == "Question 2"
    assert bench.shown("rfi", "3").files[0].sha256 in bench.part3.files
    assert await result(bench) == (5, 5, 5)
    assert await differences(bench) == {
        "1": ("missing_in_part3", True),
        "2": ("differs_in_part3", True),
        "3": ("file_missing", True),
    }
    words = {row["procore_id"]: row["words"] for row in await bench.rows("differences")}
    assert words["2"] == "Part3 held another state: title."
    assert words["3"] == "Part3 did not hold the bytes of file-30.pdf."


async def test_what_was_forgotten_here_is_found_on_both_sides(bench: Bench) -> None:
    await filled(bench)
    await bench.postgres.execute("DELETE FROM mirror.records WHERE procore_id = '1'")
    await audited(bench)
    assert await result(bench) == (5, 5, 5)
    assert (await bench.row("records", procore_id="1", kind="rfi"))["record"] is not None


async def test_a_thread_that_changed_in_silence_is_found_by_reading_it_in_full(
    bench: Bench,
) -> None:
    await filled(bench)
    reply = {"id": 900, "body": "Yes.", "created_at": later(0), "official": False}
    silent = rfi_json(1, files=[10], updated_at=later(-90_000))
    silent["questions"][0]["answers"] = [reply]
    bench.procore.hold("rfi", silent)
    await bench.postgres.execute("UPDATE mirror.records SET looked_at = now() - interval '1 day'")
    await audited(bench)
    assert [one.procore_id for one in bench.shown("rfi", "1").replies] == ["900"]


async def test_closed_rfis_are_read_in_full_once_a_week_only(bench: Bench) -> None:
    await filled(bench)
    await bench.postgres.execute(
        "UPDATE mirror.records SET status = 'closed', looked_at = now() - interval '2 days'"
    )
    bench.procore.calls.clear()
    await audited(bench)
    assert bench.procore.asked("rfi") == []
    await bench.postgres.execute("UPDATE mirror.records SET looked_at = now() - interval '8 days'")
    await audited(bench)
    assert len(bench.procore.asked("rfi")) == 5


async def test_what_cannot_be_brought_is_shown_with_its_reason_and_mended_later(
    bench: Bench,
) -> None:
    bench.procore.hold("rfi", rfi_json(1, files=[7]), rfi_json(2))

    def away(*_: Any) -> None:
        message = "file-7.pdf: the storage answered 404"
        raise TryLater(message, reason="file_unavailable")

    bench.procore.on["download"] = away
    await bench.backfilled()
    await compared(bench)
    assert await result(bench) == (1, 2, 0)
    assert await differences(bench) == {"1": ("files_pending", False)}
    (row,) = await bench.rows("differences")
    assert row["words"] == "file-7.pdf: the storage answered 404"
    bench.procore.on.clear()
    await bench.postgres.execute("UPDATE mirror.looks SET due_at = now()")
    async with bench.worker.running():
        await bench.until(bench.nothing_to_look_at)
    await bench.postgres.execute("UPDATE mirror.comparisons SET due_at = now()")
    await compared(bench)
    assert await result(bench) == (2, 2, 1)
    assert await differences(bench) == {"1": ("files_pending", True)}


async def test_what_procore_lists_no_more_is_looked_for_in_its_bin(bench: Bench) -> None:
    await filled(bench)
    bench.procore.recycle("rfi", "1")  # and no notice of it came
    del bench.procore.held["rfi", "2"]  # nor can it be seen any more
    await audited(bench)
    assert bench.shown("rfi", "1").status == "removed"
    assert await differences(bench) == {"2": ("not_shown", False)}
    assert await result(bench) == (4, 5, 5)


async def test_what_waits_behind_the_brake_is_said_and_not_mended(bench: Bench) -> None:
    bench.procore.per_page = 20
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 9)))
    await bench.backfilled()
    for n in range(1, 8):
        bench.procore.recycle("rfi", str(n))
    await audited(bench)
    assert await differences(bench) == {str(n): ("removal_held", False) for n in range(1, 8)}
    assert (await result(bench))[:2] == (1, 8)


async def test_drafts_count_neither_way_and_what_cannot_be_read_is_named(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1), rfi_json(2, status="draft"))
    bench.procore.hold("rfi", rfi_json(3) | {"updated_at": "not a time"})
    await bench.backfilled()
    await compared(bench)
    assert await differences(bench) == {"3": ("unreadable", False)}
    assert (await result(bench))[:2] == (1, 2)


async def test_part3_away_delays_a_comparison_and_blames_nothing(bench: Bench) -> None:
    await bench.backfilled()

    def away(*_: Any) -> None:
        message = "away"
        raise TryLater(message, reason="part3_down")

    bench.part3.on["records"] = away
    await bench.postgres.execute("UPDATE mirror.comparisons SET due_at = now()")
    assert await bench.worker.compare_one()
    assert all(row["compared_at"] is None for row in await bench.rows("comparisons"))
    bench.part3.on.clear()
    await bench.postgres.execute("UPDATE mirror.comparisons SET due_at = now()")
    await compared(bench)
    assert all(row["compared_at"] for row in await bench.rows("comparisons"))


def written(**fields: Any) -> Written:
    plain: dict[str, Any] = {
        "marker": "P3-7KQ2M9XR4T",
        "return_id": "ret_1",
        "procore_id": "1",
        "looked_at": NOW,
        "removed_at": None,
        "written_at": NOW - timedelta(days=1),
        "record": {"replies": [{"text": "<p>Yes.</p><p>Part3 ref. P3-7KQ2M9XR4T</p>"}]},
    }
    return Written(**(plain | fields))


def comments(*texts: str | None) -> dict[str, Any]:
    return {"workflow": [{"comment": text} for text in texts]}


LINE = "Part3 ref. P3-7KQ2M9XR4T"


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, "once"),
        ({"record": comments(LINE, None)}, "once"),
        ({"record": comments(LINE, LINE)}, "doubled"),
        ({"record": comments("Part3 ref. P3-7KQ2M9XR4V")}, "missing"),
        ({"record": {}}, "missing"),
        ({"record": None}, "unread"),
        ({"looked_at": datetime(2026, 11, 27, tzinfo=UTC)}, "unread"),
        ({"removed_at": NOW}, "unread"),
        # a look that was before the write, or that reads may have lagged behind, tells nothing
        ({"record": {}, "written_at": NOW + timedelta(seconds=1)}, "unread"),
        ({"record": {}, "written_at": NOW - timedelta(seconds=59)}, "unread"),
        ({"written_at": NOW - timedelta(seconds=1)}, "once"),
    ],
)
def test_a_marker_stands_once_or_something_is_wrong(fields: Any, verdict: str) -> None:
    assert verdict_of(written(**fields), NOW) == verdict


async def deliver(bench: Bench, return_id: str, rfi_id: str, marker: str) -> None:
    await bench.postgres.execute(
        "INSERT INTO mirror.deliveries (return_id, project_id, kind, procore_id, state) "
        "VALUES ($1, 'prj_1', 'rfi', $2, 'delivered')",
        return_id,
        rfi_id,
    )
    await bench.postgres.execute(
        "INSERT INTO mirror.write_intents "
        "(op_key, marker, return_id, operation, state, changed_at) "
        "VALUES ($1, $1, $2, 'rfi_reply', 'confirmed', now() - interval '5 minutes')",
        marker,
        return_id,
    )


async def test_the_audit_counts_our_own_returns_and_cries_out_at_a_wrong_one(bench: Bench) -> None:
    await filled(bench)
    marks = [f"P3-7KQ2M9XR4{letter}" for letter in "ABC"]
    for n, (marker, times) in enumerate(zip(marks, (1, 2, 0), strict=True), start=1):
        await deliver(bench, f"ret_{n}", str(n), marker)
        now = datetime.now(UTC).isoformat()
        raw = rfi_json(n, files=[n * 10], updated_at=now, status="closed")
        raw["questions"][0]["answers"] = [
            {"id": n * 100 + m, "rich_text_body": f"Part3 ref. {marker}", "created_at": now}
            for m in range(times)
        ]
        bench.procore.hold("rfi", raw)
    await audited(bench)
    row = await bench.row("comparisons", kind="rfi")
    assert (row["markers"], row["markers_wrong"]) == (3, 2)
    told = {r["event"]: r["words"] for r in await bench.rows("activity") if r["return_id"]}
    assert set(told) == {"audit.marker_doubled", "audit.marker_missing"}
    assert marks[1] in told["audit.marker_doubled"]


async def test_nothing_of_a_former_tie_is_compared_or_counted_for_the_new_one(
    bench: Bench,
) -> None:
    await filled(bench)
    await bench.postgres.execute(
        "UPDATE mirror.projects SET checked = '{}', connected_at = now() - interval '1 year'"
    )
    await bench.connect(state="disconnected", unlinked=True)

    async def undone() -> bool:
        _ = await bench.worker.duties.unlinking.go_on()
        return (await bench.row("projects"))["unlinking"] is False

    await bench.until(undone)
    bench.procore.held.clear()
    bench.procore.hold("rfi", rfi_json(11))
    await bench.connect(procore_project_id="502")
    assert await bench.rows("comparisons") == []
    project = await bench.row("projects")
    assert project["checked"] is None
    assert project["connected_at"] > datetime.now(UTC) - timedelta(hours=1)
    async with bench.worker.running():
        await bench.until(bench.is_backfilled)
    await compared(bench)
    assert await result(bench) == (1, 1, 0)
    assert await result(bench, "submittal") == (0, 0, 0)
