"""What a worker keeps of records that Procore does not say: rounds, revisions, origins, drafts."""

from typing import Any

import pytest

from schemas.connections import ProjectOptions
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, later, rfi_json, submittal_json

pytestmark = pytest.mark.postgres

GC, ARCHITECT = {"id": 12, "name": "Gus Ortega"}, {"id": 31, "name": "Amy Lind"}


def asked(*answers: tuple[int, int], ball: dict[str, Any] | None, at: float, **more: Any) -> Any:
    """An RFI from Gus to Amy; `answers` are (id, author's id), a minute apart."""
    replies = [
        {"id": one, "created_by_id": by, "plain_text_body": "x", "answer_date": later(60 * one)}
        for one, by in answers
    ]
    fields: dict[str, Any] = {
        "rfi_manager": GC,
        "assignees": [{**ARCHITECT, "response_required": True}],
        "ball_in_courts": [ball] if ball else [],
        "questions": [{"body": "Why?", "answers": replies}],
        "updated_at": later(at),
    }
    return rfi_json(1, **(fields | more))


async def test_rounds_are_numbered_and_every_reply_keeps_its_own(bench: Bench) -> None:
    await bench.connect()
    for state in (
        asked(ball=ARCHITECT, at=1),
        asked((1, 31), ball=GC, at=2),
        asked((1, 31), (2, 12), ball=ARCHITECT, at=3),
        asked((1, 31), (2, 12), (3, 31), ball=GC, at=4),
        asked((1, 31), (2, 12), (3, 31), ball=None, at=5, status="closed"),
        asked((1, 31), (2, 12), (3, 31), ball=ARCHITECT, at=6),
    ):
        bench.procore.hold("rfi", state)
        await bench.looked("rfi", "1")
    extras = bench.shown("rfi", "1").extras
    assert extras["Round"] == "3, reopened"
    assert [(one["because"], one["reply_ids"]) for one in extras["rounds"]] == [
        ("opened", ["1"]),
        ("clarification", ["2", "3"]),
        ("reopened", []),
    ]
    await bench.looked("rfi", "1")  # the same state again begins no round
    assert bench.shown("rfi", "1").extras == extras


async def test_a_revision_names_the_one_just_before_whichever_comes_first(bench: Bench) -> None:
    await bench.connect()
    chain: dict[str, Any] = {"source_rfi_header_id": 1}
    bench.procore.hold(
        "rfi",
        rfi_json(1, revision="0", status="closed_with_revision", current_revision=False),
        rfi_json(2, revision="1", **chain),
        rfi_json(3, revision="2", **chain),
    )
    await bench.looked("rfi", "3")
    assert bench.shown("rfi", "3").previous_revision is None  # none before it is mirrored yet
    await bench.looked("rfi", "1", "2")
    previous = {one: bench.shown("rfi", one).previous_revision for one in ("1", "2", "3")}
    assert previous == {"1": None, "2": "1", "3": "2"}


async def test_a_submittals_revisions_are_linked_by_section_and_number(bench: Bench) -> None:
    section: dict[str, Any] = {"specification_section": {"label": "05 12 00 - Steel"}}
    same: dict[str, Any] = {"number": "7", **section}
    bench.procore.hold(
        "submittal",
        submittal_json(1, revision="0", current_revision=False, **same),
        submittal_json(2, revision="1", **same),
        submittal_json(3, revision="0", number="8", **section),
        submittal_json(4, revision="1", number="7"),
    )
    await bench.backfilled()
    await bench.swept()  # a link that was found late is put by a look of its own
    shown = {one: bench.shown("submittal", one) for one in "1234"}
    assert {one: record.previous_revision for one, record in shown.items()} == {
        "1": None, "2": "1", "3": None, "4": None
    }  # fmt: skip
    assert shown["1"].extras["superseded"] is True
    assert "superseded" not in shown["2"].extras


async def test_an_rfi_that_procore_copied_here_twice_is_mirrored_once(bench: Bench) -> None:
    await bench.connect()
    origin = {"source_provider_name": "Holm Steel", "rfi_number": "3"}
    twice = [rfi_json(n, connect_export_origin=origin) for n in (1, 2)]
    bench.procore.hold("rfi", *twice, rfi_json(3))
    await bench.backfilled()
    there = [one for one in ("1", "2") if bench.shown("rfi", one)]
    assert len(there) == 1
    assert bench.shown("rfi", there[0]).extras["Connected from"] == "Holm Steel, RFI 3 there"
    (other,) = {"1", "2"} - set(there)
    why = (await bench.row("records", procore_id=other))["not_mirrored_because"]
    assert f"Procore's id {there[0]}" in why
    bench.procore.recycle("rfi", there[0])
    await bench.looked("rfi", there[0])
    await bench.looked("rfi", other)
    assert bench.shown("rfi", other).status == "open"


async def test_drafts_stay_in_procore_until_the_project_shows_them(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1), rfi_json(2, status="draft"))
    bench.procore.hold("submittal", submittal_json(3, status={"name": "Draft", "status": "Draft"}))
    await bench.backfilled()
    assert sorted(bench.part3.held) == [("rfi", "1")]
    await bench.connect(options=ProjectOptions(show_drafts=True))
    async with bench.worker.running():

        async def drafts_came() -> bool:
            return len(bench.part3.held) == 3

        await bench.until(drafts_came)
        await bench.until(bench.is_idle)
    assert bench.shown("rfi", "2").status == bench.shown("submittal", "3").status == "draft"
    bench.procore.hold("rfi", rfi_json(4, status="draft"))
    await bench.looked("rfi", "4")
    assert bench.shown("rfi", "4").status == "draft"
    await bench.connect(options=ProjectOptions())
    bench.procore.hold("rfi", rfi_json(5, status="draft"))
    bench.procore.hold("rfi", rfi_json(2, status="open", updated_at=later(9)))
    await bench.looked("rfi", "5", "2")
    assert bench.shown("rfi", "5") is None
    assert bench.shown("rfi", "2").status == "open"
    assert (await bench.row("projects", project_id=PROJECT))["options"]["show_drafts"] is False
