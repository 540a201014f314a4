"""A project tied to the wrong one in Procore is undone, and its records are kept as removed."""

import pytest

from tests.worker.bench import Bench
from tests.worker.sides import OWNER, PROJECT, rfi_json, submittal_json

pytestmark = pytest.mark.postgres


async def unlink(bench: Bench) -> None:
    await bench.connect(state="disconnected", unlinked=True)


async def until_unlinked(bench: Bench) -> None:
    async def undone() -> bool:
        _ = await bench.worker.duties.unlinking.go_on()
        return (await bench.row("projects"))["unlinking"] is False

    await bench.until(undone)


async def test_what_came_from_the_wrong_project_is_kept_as_removed(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1, files=[5]), rfi_json(2))
    bench.procore.hold("submittal", submittal_json(3))
    await bench.backfilled()
    bench.procore.calls.clear()
    await unlink(bench)
    await until_unlinked(bench)
    for kind, record_id in (("rfi", "1"), ("rfi", "2"), ("submittal", "3")):
        there = bench.shown(kind, record_id)  # type: ignore[arg-type]
        assert (there.status, there.ball_in_court) == ("removed", ())
        assert "wrong Procore project" in there.status_label
    assert [one.name for one in bench.shown("rfi", "1").files] == ["file-5.pdf"]
    assert bench.procore.calls == []
    assert "connection.unlinked" in await bench.events()


async def test_the_right_project_is_filled_and_nobody_asks_it_for_the_wrong_ones_records(
    bench: Bench,
) -> None:
    bench.procore.hold("rfi", rfi_json(1))
    await bench.backfilled()
    await unlink(bench)
    await until_unlinked(bench)
    bench.procore.held.clear()
    bench.procore.hold("rfi", rfi_json(11))
    await bench.connect(procore_project_id="502")
    async with bench.worker.running():
        await bench.until(bench.is_backfilled)
    bench.procore.calls.clear()
    await bench.swept()
    assert bench.procore.asked("rfi") == []
    assert bench.shown("rfi", "11").status == "open"
    assert bench.shown("rfi", "1").status == "removed"


async def test_the_same_project_after_all_shows_its_records_again(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1))
    await bench.backfilled()
    await unlink(bench)
    await until_unlinked(bench)
    await bench.connect()
    async with bench.worker.running():
        await bench.until(bench.is_backfilled)
    assert bench.shown("rfi", "1").status == "open"
    assert len(await bench.rows("records")) == 1


async def test_before_anything_came_over_no_trace_is_left(bench: Bench) -> None:
    await bench.connect()
    await unlink(bench)
    await until_unlinked(bench)
    assert await bench.events() == []
    assert await bench.rows("records") == []


async def test_a_record_that_a_look_is_still_at_is_marked_after_it(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1))
    await bench.backfilled()
    fences = await bench.worker.leases.take_free(PROJECT, "rfi", ["1"])
    await unlink(bench)
    other = bench.replica("w-2")
    _ = await other.duties.unlinking.go_on()
    assert bench.shown("rfi", "1").status == "open"
    assert (await bench.row("projects"))["unlinking"] is True
    await bench.worker.leases.give_all_back(PROJECT, "rfi", fences)
    await until_unlinked(bench)
    assert bench.shown("rfi", "1").status == "removed"


async def test_disconnecting_alone_marks_nothing(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1))
    await bench.backfilled()
    await bench.connect(state="disconnected")
    assert await bench.worker.duties.unlinking.go_on() is False
    assert bench.shown("rfi", "1").status == "open"
    assert (await bench.row("projects"))["owner_user_id"] == OWNER
