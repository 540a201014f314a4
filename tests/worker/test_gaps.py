"""Records of Kafka that are gone before they were read: everything is listed anew."""

from datetime import UTC, datetime

import pytest

from services.kafka import Gap
from sync_worker.gaps import look_at_everything
from tests.worker.bench import Bench
from tests.worker.sides import rfi_json

pytestmark = pytest.mark.postgres

GAP = Gap(topic="procore.notices", partition=0, expected=7, found=90)


async def test_a_gap_has_every_project_listed_and_shows_what_its_records_spoke_of(
    bench: Bench,
) -> None:
    await bench.connect("prj_2", procore_project_id="502")
    await bench.backfilled()
    await bench.swept()
    later_s = "now() + interval '1 hour'"
    sweeps = f"UPDATE mirror.sweeps SET due_at = {later_s}, retry_at = {later_s}"  # noqa: S608 - a constant
    await bench.postgres.execute(sweeps)
    await bench.postgres.execute(f"UPDATE mirror.projects SET returns_due_at = {later_s}")  # noqa: S608 - a constant
    bench.procore.hold("rfi", rfi_json(1, updated_at=datetime.now(UTC).isoformat()))
    assert await bench.is_idle()
    await look_at_everything(bench.postgres, GAP)
    due = await bench.postgres.fetchval(
        "SELECT count(*) FROM mirror.sweeps WHERE due_at <= now() AND retry_at IS NULL"
    )
    asked = await bench.postgres.fetchval(
        "SELECT count(*) FROM mirror.projects WHERE returns_due_at <= now()"
    )
    assert (due, asked) == (4, 2)  # RFIs and submittals of both; returns of both
    async with bench.worker.running():
        await bench.until(bench.is_idle)
    assert bench.shown("rfi", "1") is not None


async def test_a_gap_during_a_backfill_does_not_make_it_begin_anew(bench: Bench) -> None:
    await bench.connect()
    before = await bench.rows("sweeps")
    await look_at_everything(bench.postgres, GAP)
    assert [one["due_at"] for one in await bench.rows("sweeps")] == [
        one["due_at"] for one in before
    ]
