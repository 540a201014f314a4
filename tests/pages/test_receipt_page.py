"""The receipt of a delivered answer, and what is said when it was changed behind our back."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.returns import Receipt, ReceiptAuthor, ReceiptFile
from services.postgres import Postgres
from sync_worker.outbound.seal_store import seal
from tests.pages.fakes import World
from tests.pages.mirror_rows import activity_row, delivery_row, in_step, record_row
from tests.pages.reading import Visitor

pytestmark = pytest.mark.postgres
PAGE = "/projects/p-1/returns/ret_1"
RECEIPT = Receipt(
    procore_id="91",
    author=ReceiptAuthor(procore_id="7", name="Ada Lindqvist"),
    at=datetime(2026, 11, 24, 12, tzinfo=UTC),
    text="<p>Use <b>150 mm</b>.</p>",
    files=(ReceiptFile(name="sketch.pdf", size=2048, sha256="ab" * 32, procore_id="501"),),
)


async def delivered(mirror: Postgres, **record: Any) -> None:
    await record_row(mirror, "rfi", "1001", number="12", title="Slab edge", **record)
    await delivery_row(mirror, "ret_1", "delivered")
    await mirror.execute(
        "UPDATE mirror.deliveries SET receipt = $1 WHERE return_id = 'ret_1'",
        {
            "procore_id": "91",
            "author": {"procore_id": "7", "name": "Ada Lindqvist"},
            "at": "2026-11-24T12:00:00Z",
            "text": RECEIPT.text,
            "response": None,
            "files": [{"name": "sketch.pdf", "size": 2048, "sha256": "ab" * 32}],
        },
    )
    await seal(mirror, "ret_1", RECEIPT)
    await activity_row(mirror, "Ada's return arrived.", event="return.delivered", return_id="ret_1")


async def test_the_activity_leads_to_a_receipt_with_words_files_and_seal(
    ada: Visitor, mirror: Postgres
) -> None:
    await delivered(mirror)
    await ada.open("/projects/p-1/activity")
    link = ada.page.find("a", href=PAGE)
    assert link is not None
    await ada.open(PAGE)
    assert ada.main("data-page") == "receipt"
    for words in ("RFI 12", "As it arrived", "Use 150 mm.", "sketch.pdf", "2,048 bytes"):
        assert words in ada.text
    sealed = await mirror.fetchval("SELECT seal->>'sha256' FROM mirror.sealed_answers")
    assert sealed in ada.text
    assert not ada.page.select(".note.bad")
    assert "It took" not in ada.text


async def test_a_receipt_says_how_long_the_return_took_and_for_whom(
    ada: Visitor, mirror: Postgres
) -> None:
    await delivered(mirror)
    minutes = {"since": "2026-11-24T12:00:00Z", "on": "queue", "spent": {"authorization": 7_200}}
    await mirror.execute("UPDATE mirror.deliveries SET minutes = $1", minutes)
    await ada.open(PAGE)
    assert "It took 2 h: a missing authorization 2 h." in ada.text


async def test_a_change_behind_our_back_stands_above_what_was_returned(
    ada: Visitor, mirror: Postgres
) -> None:
    await delivered(mirror)
    await mirror.execute(
        "UPDATE mirror.sealed_answers SET changes = $1, changed_at = now(), changed_by = 'Gale'",
        ["The text of the reply was changed."],
    )
    await activity_row(mirror, "It is not as it was.", event="answer.changed", return_id="ret_1")
    await ada.open("/projects/p-1/activity")
    badges = [badge.get_text() for badge in ada.page.select(".log .badge")]
    assert badges == ["Changed since", "Delivered"]
    await ada.open(PAGE)
    assert "Changed since" in ada.text
    assert "The text of the reply was changed. Changed in Procore by Gale" in ada.text
    assert "Use 150 mm." in ada.text


async def test_a_receipt_of_what_one_may_not_see_is_not_there(
    gina: Visitor, ada: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await delivered(mirror, record={"private": True})
    world.connections.by_project.clear()  # nobody sees everything
    assert (await gina.open(PAGE)).status == 404
    assert (await ada.open(PAGE)).status == 200  # the author
    assert (await ada.open(f"{PAGE}x")).status == 404
