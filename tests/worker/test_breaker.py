"""A record that goes to and fro rests; a file that stays empty is left out and said so."""

from dataclasses import replace
from typing import Any

import pytest

from services.procore.files import FileEmpty, FileTooLarge
from services.procore.models import Attachment
from tests.worker.bench import Bench
from tests.worker.sides import later, rfi_json

pytestmark = pytest.mark.postgres
LABEL = "Files not mirrored"


async def flip(bench: Bench, times: int, first: int = 1) -> None:
    """Let Procore's RFI become A, B, A, B, … once each."""
    for n in range(first, first + times):
        bench.procore.hold("rfi", rfi_json(1, subject="AB"[n % 2], updated_at=later(60 * n)))
        # what was put a minute ago may be a stale read; a minute passes
        await bench.postgres.execute(
            "UPDATE mirror.seen_versions SET noted_at = noted_at - interval '61 seconds'"
        )
        await bench.want("rfi", "1")
        async with bench.worker.running(sweeping=False):
            await bench.until(lambda: tried(bench))


async def tried(bench: Bench) -> bool:
    return all(look["reason"] == "flipping" for look in await bench.rows("looks"))


async def test_what_goes_to_and_fro_rests_and_then_goes_on_by_itself(bench: Bench) -> None:
    await bench.connect()
    await flip(bench, 7)  # the first two are new, then five flips
    assert bench.part3.puts == ["1"] * 7
    shown = bench.shown("rfi", "1").title
    await flip(bench, 1, first=8)
    assert bench.part3.puts == ["1"] * 7
    assert bench.shown("rfi", "1").title == shown
    (look,) = await bench.rows("looks")
    row = await bench.row("records")
    assert look["due_at"] >= row["parked_until"]
    assert "two programs undid each other" in look["message"]
    await bench.want("rfi", "1")  # asked again meanwhile: told once all the same
    await bench.postgres.execute("UPDATE mirror.looks SET due_at = now()")
    async with bench.worker.running(sweeping=False):
        await bench.until(lambda: tried(bench))
    assert (await bench.events()).count("record.parked") == 1
    await bench.postgres.execute(
        "UPDATE mirror.records SET parked_until = now(), "
        "flips = ARRAY(SELECT f - interval '10 minutes' FROM unnest(flips) f)"
    )
    await bench.postgres.execute("UPDATE mirror.looks SET due_at = now()")
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert bench.shown("rfi", "1").title != shown
    assert (await bench.row("records"))["parked_until"] is None


async def test_what_is_new_is_put_though_much_went_to_and_fro(bench: Bench) -> None:
    await bench.connect()
    await flip(bench, 8)
    bench.procore.hold("rfi", rfi_json(1, subject="Settled", updated_at=later(3_000)))
    await bench.postgres.execute("UPDATE mirror.looks SET due_at = now()")
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert bench.shown("rfi", "1").title == "Settled"


async def test_a_file_that_is_empty_for_a_day_is_left_out_and_said_so(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1, files=[5, 6]))

    def empty(what: Any, _whose: str) -> None:
        if what == "6":
            message = "file-6.pdf arrived empty"
            raise FileEmpty(message)

    bench.procore.on["download"] = empty
    for tries in range(1, 6):
        await bench.want("rfi", "1")
        await bench.postgres.execute("UPDATE mirror.looks SET due_at = now()")
        async with bench.worker.running(sweeping=False):

            async def tried_again(tries: int = tries) -> bool:
                rows = await bench.rows("empty_files")
                return bool(rows) and rows[0]["tries"] == tries

            await bench.until(tried_again)
        assert (await bench.row("records"))["files_pending"] == 1
        await bench.postgres.execute(
            "UPDATE mirror.empty_files SET first_at = first_at - interval '5 hours', "
            "last_at = last_at - interval '6 minutes'"
        )
    await bench.postgres.execute("UPDATE mirror.looks SET due_at = now()")
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    shown = bench.shown("rfi", "1")
    assert [file.procore_id for file in shown.files] == ["5"]
    assert shown.extras[LABEL] == "file-6.pdf: empty in Procore (0 bytes)"
    assert (await bench.row("records"))["files_pending"] == 0
    asked = bench.procore.asked("download").count("6")
    bench.procore.hold("rfi", rfi_json(1, files=[5, 6], subject="New", updated_at=later(5)))
    await bench.looked("rfi", "1")
    assert bench.procore.asked("download").count("6") == asked


async def test_a_file_of_0_bytes_by_procores_own_word_is_believed_at_once(bench: Bench) -> None:
    await bench.connect()
    rfi = rfi_json(1, files=[5, 6])
    rfi["questions"][0]["attachments"][1]["size"] = 0
    bench.procore.hold("rfi", rfi)

    def empty(what: Any, _whose: str) -> None:
        if what == "6":
            message = "file-6.pdf arrived empty"
            raise FileEmpty(message)

    bench.procore.on["download"] = empty
    await looked_until_left_out(bench)
    shown = bench.shown("rfi", "1")
    assert [file.procore_id for file in shown.files] == ["5"]
    assert shown.extras[LABEL] == "file-6.pdf: empty in Procore (0 bytes)"
    assert bench.procore.asked("download").count("6") == 1


async def test_b55_a_file_too_large_by_procores_own_word_is_named_and_not_fetched(
    bench: Bench,
) -> None:
    await bench.connect()
    rfi = rfi_json(1, files=[5, 6])
    rfi["questions"][0]["attachments"][1]["size"] = 5 * 2**30 + 1
    bench.procore.hold("rfi", rfi)
    limited(bench, 5 * 2**30)
    await bench.looked("rfi", "1")
    shown = bench.shown("rfi", "1")
    assert [file.procore_id for file in shown.files] == ["5"]
    why = "file-6.pdf: larger than 5 GiB, which is the most that is copied"
    assert shown.extras[LABEL] == why
    assert (await bench.row("records"))["files_pending"] == 0
    assert "6" not in bench.procore.asked("download")


async def test_b55_a_file_found_too_large_is_named_until_the_limit_is_raised(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1, files=[5, 6]))
    limit = 100 * 2**20

    def too_large(what: Any, _whose: str) -> None:
        if what == "6":
            raise FileTooLarge(Attachment(id="6", name="file-6.pdf", url=None), limit)

    bench.procore.on["download"] = too_large
    limited(bench, limit)
    await looked_until_left_out(bench)
    shown = bench.shown("rfi", "1")
    assert [file.procore_id for file in shown.files] == ["5"]
    assert shown.extras[LABEL].startswith("file-6.pdf: larger than 100 MiB")
    assert bench.procore.asked("download").count("6") == 1
    bench.procore.on["download"] = lambda _what, _whose: None
    limited(bench, 2 * limit)
    bench.procore.hold("rfi", rfi_json(1, files=[5, 6], subject="New", updated_at=later(5)))
    await bench.looked("rfi", "1")
    shown = bench.shown("rfi", "1")
    assert [file.procore_id for file in shown.files] == ["5", "6"]
    assert LABEL not in shown.extras


async def looked_until_left_out(bench: Bench) -> None:
    """Look once, which finds that a file cannot be copied, and once more without it."""

    async def tried_once() -> bool:
        return bool(await bench.rows("empty_files"))

    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):
        await bench.until(tried_once)
        await bench.postgres.execute("UPDATE mirror.looks SET due_at = now()")
        await bench.until(bench.nothing_to_look_at)


def limited(bench: Bench, most_bytes: int) -> None:
    """Give the worker a limit of a file's size."""
    bench.worker.mirror = replace(bench.worker.mirror, most_file_bytes=most_bytes)
    bench.worker._begin_anew()
