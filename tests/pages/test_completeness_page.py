"""The completeness page: what is equal, what is left out, and the removals to confirm."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from services.postgres import Postgres
from tests.pages.fakes import ADA, GINA, RIVERSIDE, World
from tests.pages.mirror_rows import in_step, record_row
from tests.pages.reading import Visitor
from tests.pages.test_dispositions_page import TOM
from token_service.public.ports import RemovalsConfirmer

pytestmark = pytest.mark.postgres
PAGE = "/projects/p-1/completeness"


async def comparison_row(mirror: Postgres, kind: str, **values: Any) -> None:
    await mirror.execute(
        "INSERT INTO mirror.comparisons (project_id, kind, listed_at, compared_at, compared, "
        "equal, files, markers, markers_wrong) "
        "VALUES ('p-1', $1, now() - interval '1 minute', now(), $2, $3, $4, $5, $6)",
        kind,
        values.get("compared", 100),
        values.get("equal", 100),
        values.get("files", 40),
        values.get("markers", 0),
        values.get("markers_wrong", 0),
    )


async def difference_row(mirror: Postgres, procore_id: str, words: str, **values: Any) -> None:
    await mirror.execute(
        "INSERT INTO mirror.differences (project_id, kind, procore_id, reason, words, repaired_at) "
        "VALUES ('p-1', 'rfi', $1, $2, $3, CASE WHEN $4 THEN now() END)",
        procore_id,
        values.get("reason", "file_missing"),
        words,
        values.get("repaired", False),
    )


async def hold_removals(mirror: Postgres, *ids: str) -> datetime:
    """Hold records as the worker does; return until when they were found."""
    for one in ids:
        await mirror.execute(
            "INSERT INTO mirror.removals (project_id, kind, procore_id) VALUES ('p-1', 'rfi', $1)",
            one,
        )
    until: datetime = await mirror.fetchval(
        "SELECT max(found_at) FROM mirror.removals WHERE project_id = 'p-1'"
    )
    return until


async def test_a_project_without_a_comparison_says_so(gina: Visitor) -> None:
    await gina.open(PAGE)
    assert gina.main("data-page") == "completeness"
    assert gina.text.count("Not compared yet.") == 2
    assert "not connected" in gina.text


async def test_it_says_how_much_is_equal_and_what_was_put_right(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await comparison_row(mirror, "rfi", equal=99, markers=3)
    await comparison_row(mirror, "submittal")
    await record_row(mirror, "rfi", "1001", number="12", title="Slab edge")
    await record_row(mirror, "rfi", "1002", number="13", title="Roof drain")
    await difference_row(mirror, "1001", "The storage answered 404.", reason="files_pending")
    await difference_row(mirror, "1002", "Part3 held another state: title.", repaired=True)
    await gina.open(PAGE)
    assert "99 of 100 equal , with 40 files. 1 record put right." in gina.text
    assert "100 of 100 equal" in gina.text
    assert "3 returns, each exactly once in Procore." in gina.text
    assert "What was not equal: 1 record still is not" in gina.text
    assert "RFI 12 Slab edge The storage answered 404." in gina.text
    assert "RFI 13 Roof drain Part3 held another state: title. Put right" in gina.text
    await gina.open("/projects/p-1/integrations")
    assert "99 of 100 equal" in gina.text


async def test_a_wrong_marker_is_said_plainly(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await comparison_row(mirror, "rfi", markers=3, markers_wrong=1)
    await gina.open(PAGE)
    assert "1 return of 3 not exactly once in Procore." in gina.text


async def test_of_a_private_record_only_the_number_shows(
    ada: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await record_row(mirror, "rfi", "1001", title="Claim", record={"private": True})
    await difference_row(mirror, "1001", "Part3 did not hold the bytes of claim.pdf.")
    await hold_removals(mirror, "1001")
    await ada.open(PAGE)
    assert "RFI 1001" in ada.text
    assert "laim" not in ada.text


async def test_what_is_not_mirrored_stands_with_its_reason(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    for number, (reason, listed) in enumerate(
        [(None, "draft"), (None, "draft"), (None, "unreadable"), ("It is hidden.", None)]
    ):
        if listed:
            await mirror.execute(
                "INSERT INTO mirror.listed (project_id, kind, procore_id, state) "
                "VALUES ('p-1', 'rfi', $1, $2)",
                str(number),
                listed,
            )
        if reason:
            await record_row(mirror, "submittal", "9", number="03 30 00-1", title="Secret draft")
            await mirror.execute("UPDATE mirror.records SET not_mirrored_because = $1", reason)
    await gina.open(PAGE)
    assert "2 RFIs: It is a draft in Procore" in gina.text
    assert "1 RFI: What Procore lists of it cannot be read." in gina.text
    assert "1 Submittal: It is hidden. 03 30 00-1" in gina.text
    assert "Secret draft" not in gina.text


async def test_the_contractor_confirms_what_the_page_showed(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    for n in range(1, 9):
        await record_row(mirror, "rfi", str(n), number=str(n), title=f"Question {n}")
    until = await hold_removals(mirror, *"123456")
    await gina.open("/projects/p-1/integrations")
    assert "6 records went to Procore's recycle bin at once" in gina.text
    await gina.open(PAGE)
    assert "6 records of 8 went to Procore's recycle bin at once" in gina.alert
    assert "RFI 6 Question 6" in gina.text
    await gina.press("Mark 6 records as removed")
    assert gina.status == 200
    by = RemovalsConfirmer(GINA.user_id, GINA.name)
    assert world.connections.confirmed == [("p-1", by, until)]


async def test_the_prime_consultant_may_confirm_too_and_other_members_may_not(
    ada: Visitor,
    visit: Callable[[str | None], Visitor],
    world: World,
    mirror: Postgres,
) -> None:
    await in_step(world, mirror)
    await record_row(mirror, "rfi", "1")
    until = await hold_removals(mirror, "1")
    team = (*RIVERSIDE.team, TOM)
    world.part3.projects["p-1"] = type(RIVERSIDE)(id="p-1", name=RIVERSIDE.name, team=team)
    tom = visit(world.sessions.sign_in(TOM))
    await tom.open(PAGE)
    assert tom.buttons == []
    assert f"Who can confirm it: {ADA.name} , {GINA.name}" in tom.text
    token = next(v.csrf_token for v in world.sessions.visits.values() if v.user_id == TOM.user_id)
    form = {"until": until.isoformat(), "csrf_token": token}
    refused = await tom.send(f"{PAGE}/removals", form)
    assert (refused.status, "Only the two parties" in refused.text) == (403, True)
    await ada.open(PAGE)
    await ada.press("Mark 1 record as removed")
    assert [one[1].user_id for one in world.connections.confirmed] == [ADA.user_id]


@pytest.mark.parametrize("until", ["", "yesterday", "2026-11-28T10:00:00"])
async def test_a_form_without_a_time_changes_nothing(
    until: str, gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await record_row(mirror, "rfi", "1")
    await hold_removals(mirror, "1")
    await gina.open(PAGE)
    await gina.press("Mark 1 record as removed", until=until)
    assert gina.status in (400, 403)
    assert world.connections.confirmed == []


@pytest.mark.parametrize(
    ("state", "message", "words"),
    [
        ("ok", None, "the webhook is in order"),
        ("repaired", None, "was missing or changed and was set up again"),
        ("created", None, "was missing or changed and was set up again"),
        ("missed", None, "Procore had given up some notices"),
        ("unchecked", "Procore answered 503.", "could not be checked"),
    ],
)
async def test_it_says_how_the_hook_was_found(
    gina: Visitor, world: World, mirror: Postgres, state: str, message: str | None, words: str
) -> None:
    await in_step(world, mirror)
    await gina.open(PAGE)
    assert "The webhook has not been checked yet." in gina.text
    await mirror.execute(
        "UPDATE mirror.projects SET hook_checked_at = now(), hook_state = $1, hook_message = $2",
        state,
        message,
    )
    await gina.open(PAGE)
    assert words in gina.text
    assert (message or "Checked") in gina.text


async def test_what_rests_and_what_is_empty_stands_there(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await gina.open(PAGE)
    assert "Nothing is left out." in gina.text
    extras = {"Files not mirrored": "plan.pdf: empty in Procore (0 bytes)"}
    record = {"private": False, "extras": extras}
    await record_row(mirror, "rfi", "1001", number="12", title="Slab edge", record=record)
    hidden = {"private": True, "extras": extras}
    await record_row(mirror, "rfi", "1002", number="13", title="Claim", record=hidden)
    large = "plan.pdf: larger than 5 GiB, which is the most that is copied"
    hidden = {"private": True, "extras": {"Files not mirrored": large}}
    await record_row(mirror, "rfi", "1003", number="14", title="Claim", record=hidden)
    await mirror.execute("UPDATE mirror.records SET parked_until = now() + interval '5 minutes'")
    await gina.open(PAGE)
    assert "3 records changed to and fro too often." in gina.text
    assert "RFI 12 Slab edge , until" in gina.text
    assert "RFI 12 is in step but for plan.pdf: empty in Procore (0 bytes)." in gina.text
    assert "RFI 13 is in step but for a file that is empty in Procore." in gina.text
    assert "RFI 14 is in step but for a file that is too large to be copied." in gina.text
    assert "Claim" not in gina.text
