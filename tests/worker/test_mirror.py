"""Bringing one record: files in two passes, equal content, and who may put over whom."""

import hashlib
from typing import Any

import msgspec
import pytest

from schemas.records import Record
from services.errors import TryLater
from services.part3.client import Part3Refused
from services.procore.files import FileNotWhole
from sync_worker.inbound.mirror import Reader, StaleRead
from sync_worker.inbound.stored import FenceLost
from sync_worker.inbound.translate import translate_rfi
from sync_worker.leases import Key
from tests.worker.bench import Bench
from tests.worker.sides import OWNER, PROJECT, later, rfi_json

pytestmark = pytest.mark.postgres
KEY = Key(PROJECT, "rfi", "1")


async def source_of(bench: Bench) -> tuple[Reader, Any]:
    reader = await bench.worker.projects.reader(PROJECT)
    assert reader is not None
    rfi = await bench.procore.rfi(reader.place, "1", whose=OWNER, priority=None)  # type: ignore[arg-type]
    return reader, rfi


async def test_a_record_is_shown_before_its_files_and_again_with_them(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1, files=[5, 6]))
    shown: list[Any] = []

    def look_at_part3(*_: Any) -> None:
        shown.append((len(bench.shown("rfi", "1").files), bench.shown("rfi", "1").extras))

    bench.procore.on["download"] = look_at_part3
    await bench.looked("rfi", "1")
    assert shown[0] == (0, {"files_pending": 2})
    assert len(bench.shown("rfi", "1").files) == 2
    assert "files_pending" not in bench.shown("rfi", "1").extras
    assert bench.part3.files == {
        hashlib.sha256(f"bytes of {n}".encode()).hexdigest() for n in (5, 6)
    }


@pytest.mark.parametrize("fault", [FileNotWhole("cut"), Part3Refused("too big")])
async def test_a_file_that_fails_keeps_no_other_back_and_comes_later(
    bench: Bench, fault: Exception
) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1, files=[5, 6, 7]))

    def fail(what: Any, _whose: str) -> None:
        if what == "6":
            raise fault

    bench.procore.on["download"] = fail
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):

        async def two_came() -> bool:
            there = bench.shown("rfi", "1")
            return there is not None and len(there.files) == 2

        await bench.until(two_came)

        async def one_is_pending() -> bool:
            return bool((await bench.row("records"))["files_pending"] == 1)

        await bench.until(one_is_pending)  # noted just after Part3 has them
        bench.procore.on.clear()
        await bench.until(bench.nothing_to_look_at)
    assert len(bench.shown("rfi", "1").files) == 3
    assert (await bench.row("records"))["files_pending"] == 0


async def test_a_file_is_copied_once(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1, files=[5]))
    await bench.looked("rfi", "1")
    bench.procore.hold("rfi", rfi_json(1, files=[5, 6], updated_at=later(5)))
    await bench.looked("rfi", "1")
    assert bench.procore.asked("download") == ["5", "6"]


async def test_an_equal_record_is_not_put_again(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.looked("rfi", "1")
    bench.procore.hold("rfi", rfi_json(1, updated_at=later(5)))
    await bench.looked("rfi", "1")
    assert bench.part3.puts == ["1"]
    assert (await bench.row("records"))["procore_updated_at"].isoformat() == later(5)


async def test_what_part3_changed_meanwhile_is_put_over_by_who_holds_the_lease(
    bench: Bench,
) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.looked("rfi", "1")
    there = bench.shown("rfi", "1")
    bench.part3.store(msgspec.convert(msgspec.structs.asdict(there), Record, strict=False))
    bench.procore.hold("rfi", rfi_json(1, subject="New", updated_at=later(5)))
    await bench.looked("rfi", "1")
    assert bench.shown("rfi", "1").title == "New"


async def test_a_worker_that_lost_its_lease_puts_nothing_over_a_newer_state(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.looked("rfi", "1")
    bench.procore.hold("rfi", rfi_json(1, subject="Old", updated_at=later(5)))
    slept = bench.replica("w-2")
    fence = await slept.leases.take(KEY)
    reader, old = await source_of(bench)
    await bench.postgres.execute("UPDATE mirror.records SET lease_until = now() - interval '1 s'")
    bench.procore.hold("rfi", rfi_json(1, subject="Newer", updated_at=later(9)))
    old_before = await slept.records.read(KEY)
    await bench.looked("rfi", "1")
    with pytest.raises(FenceLost):
        _ = await slept.mirror._put_if_changed(
            KEY,
            fence,
            old_before,
            await slept.mirror._translated(KEY, old, {}, old_before),
            old,
        )
    assert bench.shown("rfi", "1").title == "Newer"
    assert reader.whose == OWNER


async def test_a_lease_lost_during_a_refused_put_is_noticed(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.looked("rfi", "1")
    bench.procore.hold("rfi", rfi_json(1, subject="Old", updated_at=later(5)))
    slept = bench.replica("w-2")
    fence = await slept.leases.take(KEY)
    reader, old = await source_of(bench)
    lapse = "UPDATE mirror.records SET lease_until = now() - interval '1 s'"
    newer = rfi_json(1, subject="Newer", updated_at=later(9))
    seen: list[int] = []

    async def overtaken() -> None:
        await bench.postgres.execute(lapse)
        bench.procore.hold("rfi", newer)
        await bench.looked("rfi", "1")

    def sleep_before_the_put(*_: Any) -> Any:
        seen.append(1)
        return overtaken() if len(seen) == 1 else None

    bench.part3.on["put"] = sleep_before_the_put
    with pytest.raises(FenceLost):
        _ = await slept.mirror.bring(reader, KEY, fence, old)
    assert bench.shown("rfi", "1").title == "Newer"


async def test_what_was_put_without_an_answer_and_then_removed_is_marked_as_removed(
    bench: Bench,
) -> None:
    """Nobody knows that Part3 shows it, so Part3 is asked; and what it shows stays as it is."""
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    _, rfi = await source_of(bench)
    record = translate_rfi(rfi, {}, {})
    bench.part3.store(msgspec.structs.replace(record, title="as it was put"))
    fence = await bench.worker.leases.take(KEY)
    await bench.worker.mirror.bury(KEY, fence)
    shown = bench.shown("rfi", "1")
    assert (shown.status, shown.title) == ("removed", "as it was put")


async def test_a_stale_read_is_not_put_over_what_was_put_without_an_answer(bench: Bench) -> None:
    """A put may arrive although nobody hears so: its state counts as seen before it is sent."""
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.looked("rfi", "1")
    fence = await bench.worker.leases.take(KEY)
    bench.procore.hold("rfi", rfi_json(1, subject="newer", updated_at=later(10)))
    reader, newer = await source_of(bench)

    def arrives_unheard(record: Any) -> None:
        bench.part3.store(record)
        raise TryLater("no answer", reason="part3_down")

    bench.part3.on["put"] = arrives_unheard
    with pytest.raises(TryLater):
        await bench.worker.mirror.bring(reader, KEY, fence, newer)
    bench.part3.on.clear()
    bench.procore.hold("rfi", rfi_json(1, subject="older, yet other", updated_at=later(5)))
    _, older = await source_of(bench)
    with pytest.raises(StaleRead):
        await bench.worker.mirror.bring(reader, KEY, fence, older)
    assert bench.shown("rfi", "1").title == "newer"
