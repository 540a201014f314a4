"""A put whose answer was lost may have arrived: what is kept is then not what Part3 shows."""

from typing import Any

import pytest

from schemas.records import Record
from services.errors import TryLater
from tests.worker.bench import Bench
from tests.worker.sides import later, rfi_json

pytestmark = pytest.mark.postgres


async def look(bench: Bench) -> None:
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)


async def look_unheard(bench: Bench) -> None:
    """Let the next put arrive, and nobody hear so."""
    arrived: list[Record] = []

    def arrive(record: Record) -> None:
        bench.part3.store(record)
        arrived.append(record)
        raise TryLater("the answer was lost", reason="part3_down")

    async def has_arrived() -> bool:
        return bool(arrived) and (await bench.row("looks"))["claimed_by"] is None

    bench.part3.on["put"] = arrive
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):
        await bench.until(has_arrived)
    del bench.part3.on["put"]


def title(bench: Bench) -> Any:
    return bench.shown("rfi", "1").title


@pytest.fixture
async def shown(bench: Bench) -> Bench:
    """RFI 1 is in Part3 with the title A."""
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1, subject="A"))
    await look(bench)
    return bench


async def test_what_is_as_before_an_unheard_put_is_put_again(shown: Bench) -> None:
    shown.procore.hold("rfi", rfi_json(1, subject="B", updated_at=later(60)))
    await look_unheard(shown)
    assert title(shown) == "B"
    shown.procore.hold("rfi", rfi_json(1, subject="A", updated_at=later(120)))
    await look(shown)
    assert title(shown) == "A"
    puts = len(shown.part3.puts)
    await look(shown)  # heard now, so nothing is in doubt any more
    assert len(shown.part3.puts) == puts


async def test_what_was_removed_is_so_again_after_an_unheard_put_of_a_stale_read(
    shown: Bench,
) -> None:
    shown.procore.recycle("rfi", "1")
    await look(shown)
    assert shown.shown("rfi", "1").status == "removed"
    shown.procore.restore("rfi", "1")
    await look_unheard(shown)
    assert shown.shown("rfi", "1").status == "open"
    shown.procore.recycle("rfi", "1")
    await look(shown)
    assert shown.shown("rfi", "1").status == "removed"


async def test_the_state_before_in_the_same_second_waits_until_reads_have_settled(
    shown: Bench,
) -> None:
    shown.procore.hold("rfi", rfi_json(1, subject="B"))
    await look_unheard(shown)
    shown.procore.hold("rfi", rfi_json(1, subject="A"))  # of before, by a read that lags

    async def is_put_off() -> bool:
        row = await shown.row("looks")
        return row["reason"] == "stale" and row["claimed_by"] is None

    await shown.want("rfi", "1")
    async with shown.worker.running(sweeping=False):
        await shown.until(is_put_off)
    assert title(shown) == "B"
    await shown.postgres.execute(
        "UPDATE mirror.records SET unheard_put_at = unheard_put_at - interval '61 seconds'"
    )
    await shown.postgres.execute("UPDATE mirror.looks SET due_at = now()")
    async with shown.worker.running(sweeping=False):
        await shown.until(shown.nothing_to_look_at)
    assert title(shown) == "A"
