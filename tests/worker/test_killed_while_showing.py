"""A backfill whose worker dies while it shows a page."""

import asyncio
from typing import Any

import pytest

from tests.worker.bench import Bench
from tests.worker.sides import rfi_json

pytestmark = pytest.mark.postgres


async def test_what_a_killed_worker_had_shown_is_read_in_full_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 6)))
    records, kept = bench.worker.records, asyncio.Event()
    keep = records.keep

    async def keep_and_stand_still(*arguments: Any, **named: Any) -> None:
        await keep(*arguments, **named)
        kept.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(records, "keep", keep_and_stand_still)
    await bench.connect()
    async with bench.worker.until_killed(), asyncio.timeout(20):
        await kept.wait()
    assert bench.procore.asked("rfi") == []
    async with bench.replica("w-1").running():
        await bench.until(bench.is_backfilled)
    assert set(bench.procore.asked("rfi")) == {"1", "2", "3", "4", "5"}
