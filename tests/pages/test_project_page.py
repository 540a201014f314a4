"""Project settings, Integrations: every state of a connection."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from services.postgres import Postgres
from tests.pages.fakes import ADA, GINA, RIVERSIDE, World
from tests.pages.mirror_rows import (
    connect,
    delivery_row,
    in_step,
    project_row,
    record_row,
    state_in,
    sweep_row,
)
from tests.pages.reading import Visitor
from token_service.public.live import progress_events
from token_service.public.pages.project import state_of
from token_service.public.progress import PageState, Standing, read_standing

pytestmark = pytest.mark.postgres
PAGE = "/projects/p-1/integrations"


async def test_a_project_that_is_not_connected_offers_connect(gina: Visitor) -> None:
    await gina.open(PAGE)
    assert gina.main("data-page") == "project-integrations"
    assert gina.main("data-state") == "not_connected"
    assert "Not connected" in gina.text
    assert gina.buttons == ["Connect"]


async def test_who_is_no_general_contractor_sees_who_could_connect(ada: Visitor) -> None:
    await ada.open(PAGE)
    assert ada.buttons == []
    assert "Gina Castellano" in ada.text


async def test_a_new_connection_waits_for_its_backfill(gina: Visitor, world: World) -> None:
    await connect(world)
    await gina.open(PAGE)
    assert gina.main("data-state") == "backfilling"
    assert "Waiting to start" in gina.text


async def test_a_backfill_shows_found_done_files_and_bars(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await connect(world)
    await project_row(mirror)
    await sweep_row(mirror, "rfi", found=40, done=18, files_found=52, files_done=20)
    await sweep_row(mirror, "submittal", found=25, next_page=2)
    await gina.open(PAGE)
    assert gina.main("data-state") == "backfilling"
    assert "18 of 40 done" in gina.text
    assert "20 of 52 files copied" in gina.text
    assert "Listing Submittals in Procore: 25 found so far" in gina.text
    known, unknown = gina.page.find_all("progress")
    assert (known["max"], known["value"]) == ("92", "38")
    assert unknown.get("value") is None
    refresh = gina.page.select_one("noscript meta")
    assert refresh is not None
    assert refresh["http-equiv"] == "refresh"


async def test_a_connected_project_shows_counts_and_health(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await record_row(mirror, "rfi", "1001")
    await gina.open(PAGE)
    assert gina.main("data-state") == "connected"
    assert "In step" in gina.text
    assert "Riverside Public Library" in gina.text
    assert "Last sweep" in gina.text
    assert gina.page.select_one(".figure b").get_text() == "1"  # type: ignore[union-attr]


async def test_held_returns_lead_with_the_next_step(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await delivery_row(mirror, "r-1", "held", reason="not_authorized", message="Ada authorizes.")
    await gina.open(PAGE)
    assert "Returns held" in gina.text
    assert "Next step: Ada authorizes." in gina.text
    assert gina.page.select_one('a[href="/projects/p-1/activity?held=1"]') is not None


async def test_attention_says_why_and_who_can_mend_it(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await connect(world)
    await project_row(
        mirror,
        reason="app_not_installed",
        message="The app is not installed in Harbour Build Ltd.",
        mended_by={"name": "Bruno Keller"},
    )
    await gina.open(PAGE)
    assert gina.main("data-state") == "attention"
    assert "The app is not installed" in gina.alert
    assert "Bruno Keller" in gina.alert


async def test_a_lapsed_owner_is_named(gina: Visitor, world: World, mirror: Postgres) -> None:
    await in_step(world, mirror)
    world.grants.lapse(GINA.user_id)
    await gina.open(PAGE)
    assert "no working authorization" in gina.text


async def test_disconnect_asks_once_more_and_says_that_both_copies_stay(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await gina.open(PAGE)
    await gina.press("Disconnect")
    assert "Both copies stay" in gina.text
    assert state_in(world) == "active"
    await gina.press("Disconnect")
    assert state_in(world) == "disconnected"
    assert gina.main("data-state") == "disconnected"
    assert gina.buttons == ["Connect"]


async def test_an_architect_cannot_disconnect(ada: Visitor, world: World) -> None:
    await connect(world)
    await ada.open(PAGE)
    assert ada.buttons == []
    token = next(iter(world.sessions.visits.values())).csrf_token
    await ada.send(f"{PAGE}/disconnect", {"csrf_token": token})
    assert ada.status == 403
    assert state_in(world) == "active"


@pytest.mark.parametrize(
    "path",
    ["", "/progress", "/connect", "/connect/company", "/connect/review"],
)
async def test_a_foreign_project_is_not_found(gina: Visitor, path: str) -> None:
    await gina.open(f"/projects/p-2/integrations{path}")
    assert gina.status == 404
    assert "Tower" not in gina.answer.text
    absent = gina.answer.text
    await gina.open(f"/projects/p-404/integrations{path}")
    assert gina.answer.text == absent, "a foreign project must look like one that is not there"


async def test_part3_out_of_reach_is_said_with_503(gina: Visitor, world: World) -> None:
    world.part3.down = True
    await gina.open(PAGE)
    assert gina.status == 503
    assert "Part3 can't be reached" in gina.text


async def test_a_role_taken_away_counts_at_once(gina: Visitor, world: World) -> None:
    await connect(world)
    await gina.open(f"{PAGE}?ask=disconnect")
    viewer = msgspec.structs.replace(GINA, role="viewer")
    world.part3.projects["p-1"] = msgspec.structs.replace(RIVERSIDE, team=(ADA, viewer))
    await gina.press("Disconnect")
    assert gina.status == 403
    assert state_in(world) == "active"


async def test_the_stream_sends_what_a_reload_would_show(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await connect(world)
    await project_row(mirror)
    await sweep_row(mirror, "rfi", found=40, done=18)
    await sweep_row(mirror, "submittal", found=60, done=20)

    async def read() -> tuple[PageState, Standing]:
        standing = await read_standing(mirror, "p-1")
        return state_of(world.connections.by_project["p-1"], standing), standing

    events = progress_events(read, asyncio.Event(), step_s=0.01, lasts_s=5)
    assert (await anext(events)).startswith("retry:")
    first = await anext(events)
    assert first.startswith("event: progress\n")
    assert "18 of 40 done" in first
    await sweep_row(mirror, "rfi", found=40, done=30)
    changed = [await anext(events) for _ in range(2)]
    assert any("30 of 40 done" in event for event in changed)
    await sweep_row(mirror, "rfi", found=40, done=40, backfilled=True)
    await sweep_row(mirror, "submittal", found=60, done=60, backfilled=True)
    rest = [event async for event in events]
    assert rest[-1] == "event: moved\ndata: connected\n\n"


async def test_the_stream_is_for_members_and_in_the_right_form(
    gina: Visitor,
    world: World,
    mirror: Postgres,
    visit: Callable[[str | None], Visitor],
) -> None:
    await in_step(world, mirror)
    answer = await gina.client.get(f"{PAGE}/progress")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert "event: moved\ndata: connected" in answer.text
    assert (await visit(None).open(f"{PAGE}/progress")).status == 401


async def test_a_new_connection_is_not_shown_as_the_one_before(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await mirror.execute("UPDATE mirror.projects SET state = 'disconnected'")
    await gina.open(PAGE)
    assert gina.main("data-state") == "backfilling"
    assert "Waiting to start" in gina.text


async def test_an_open_stream_does_not_hold_up_the_end_of_the_program(
    world: World, mirror: Postgres
) -> None:
    ending = asyncio.Event()

    async def read() -> tuple[PageState, Standing]:
        return "backfilling", await read_standing(mirror, "p-1")

    events = progress_events(read, ending, step_s=3600, lasts_s=7200)
    await anext(events)
    await anext(events)
    ending.set()
    assert [event async for event in events] == []


async def test_a_general_contractor_chooses_the_options_and_the_others_see_them(
    gina: Visitor, ada: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await gina.open(PAGE)
    assert not world.connections.by_project["p-1"].options.send_emails
    await gina.press("Save options", send_emails="yes")
    assert world.connections.by_project["p-1"].options.send_emails
    ticked = gina.page.select_one("#option-send_emails")
    assert ticked is not None
    assert ticked.has_attr("checked")
    await ada.open(PAGE)
    assert "Save options" not in ada.buttons
    assert "notifications of returned submittals Yes" in ada.text
    token = next(v.csrf_token for v in world.sessions.visits.values() if v.user_id == ADA.user_id)
    refused = await ada.send(f"{PAGE}/options", {"csrf_token": token})
    assert (refused.status, "Only a General Contractor" in refused.text) == (403, True)
    assert world.connections.by_project["p-1"].options.send_emails


async def test_a_general_contractor_chooses_whether_drafts_are_shown(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await gina.open(PAGE)
    assert "they stay in Procore until they are opened there" in gina.text
    await gina.press("Save options", show_drafts="yes")
    assert world.connections.by_project["p-1"].options.show_drafts
    assert "Drafts are shown as Upcoming, and counted" in gina.text
