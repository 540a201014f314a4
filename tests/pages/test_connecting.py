"""The steps to a connection, and every way they must refuse."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from services.errors import NeedsPerson, TryLater
from tests.pages.fakes import GINA, RIVERSIDE, World
from tests.pages.reading import Visitor, values_of
from token_service.public.ports import Company, ProcoreProject, RecordCounts, ToolAccess

pytestmark = pytest.mark.postgres
PAGE = "/projects/p-1/integrations"
REVIEW = f"{PAGE}/connect/review?company=562&project=88001"


async def test_the_whole_way_ends_in_one_connection(gina: Visitor, world: World) -> None:
    await gina.open(PAGE)
    await gina.press("Connect")
    assert gina.main("data-state") == "connecting"
    await gina.press("Yes")
    assert gina.choices == ["Castellano & Sons", "Harbour Build Ltd."]
    await gina.press("Continue", company="562")
    assert "Riverside Public Library" in gina.choices
    await gina.press("Continue", project="88001")
    assert "Admin on the RFIs tool" in gina.text
    assert "Nobody is mailed" in gina.text
    assert [one.get_text() for one in gina.page.select(".figure b")] == ["40", "60"]
    await gina.press("Create connection")
    assert gina.main("data-state") == "backfilling"
    made = world.connections.by_project["p-1"]
    assert (made.procore_company_id, made.procore_project_id) == ("562", "88001")
    assert (made.owner_user_id, made.procore_project_name) == (
        GINA.user_id,
        "Riverside Public Library",
    )


async def test_without_a_grant_connect_leads_through_authorize_and_back(
    visit: Callable[[str | None], Visitor], world: World
) -> None:
    gina = visit(world.sessions.sign_in(GINA))
    await gina.open(PAGE)
    await gina.press("Connect")
    assert gina.main("data-page") == "account-integrations"
    assert "authorize your Procore account first" in gina.text
    assert values_of(gina.form_with("Authorize"))["next"] == f"{PAGE}/connect"


async def test_a_double_click_makes_one_connection(gina: Visitor, world: World) -> None:
    await gina.open(REVIEW)
    fields = values_of(gina.form_with("Create connection"))
    path = f"{PAGE}/connect/create"
    answers = await asyncio.gather(*(gina.client.post(path, data=fields) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert world.connections.created == 1


async def test_the_back_button_after_creating_leads_to_the_connection(
    gina: Visitor, world: World
) -> None:
    await gina.open(REVIEW)
    fields = values_of(gina.form_with("Create connection"))
    await gina.press("Create connection")
    await gina.send(f"{PAGE}/connect/create", fields)
    assert gina.main("data-state") == "backfilling"
    await gina.open(REVIEW)
    assert urlsplit(gina.url).path == PAGE
    assert world.connections.created == 1


async def test_two_tabs_with_two_projects_make_one_connection(gina: Visitor, world: World) -> None:
    await gina.open(REVIEW)
    first = values_of(gina.form_with("Create connection"))
    await gina.open(REVIEW.replace("88001", "88002"))
    second = values_of(gina.form_with("Create connection"))
    for fields in (first, second):
        await gina.send(f"{PAGE}/connect/create", fields)
    assert world.connections.created == 1
    assert world.connections.by_project["p-1"].procore_project_id == "88001"


async def test_an_old_form_does_not_bring_back_a_connection_that_ended(
    gina: Visitor, world: World
) -> None:
    await gina.open(REVIEW)
    fields = values_of(gina.form_with("Create connection"))
    await gina.press("Create connection")
    await world.connections.disconnect("p-1", GINA.user_id)
    await gina.send(f"{PAGE}/connect/create", fields)
    assert "has been used already" in gina.alert
    assert gina.main("data-state") == "disconnected"
    assert world.connections.by_project["p-1"].state == "disconnected"


@pytest.mark.parametrize(
    ("access", "words"),
    [
        (
            [
                ToolAccess("rfis", enabled=True, level="Admin"),
                ToolAccess("submittals", enabled=True, level="Standard"),
            ],
            "Submittals tool in Procore is Standard",
        ),
        (
            [
                ToolAccess("rfis", enabled=False, level="Admin"),
                ToolAccess("submittals", enabled=True, level="Admin"),
            ],
            "RFIs tool is not available",
        ),
        ([], "RFIs tool is not available"),
    ],
)
async def test_missing_permissions_are_named_with_what_to_do(
    gina: Visitor, world: World, access: list[ToolAccess], words: str
) -> None:
    world.procore.access = access
    await gina.open(REVIEW)
    assert words in gina.alert
    assert "What to do:" in gina.alert
    assert "Create connection" not in gina.buttons


async def test_a_permission_taken_away_after_the_check_stops_the_creation(
    gina: Visitor, world: World
) -> None:
    await gina.open(REVIEW)
    world.procore.access[0] = replace(world.procore.access[0], level="Read Only")
    await gina.press("Create connection")
    assert "Read Only" in gina.alert
    assert world.connections.created == 0


async def test_a_role_taken_away_after_the_check_stops_the_creation(
    gina: Visitor, world: World
) -> None:
    await gina.open(REVIEW)
    viewer = msgspec.structs.replace(GINA, role="viewer")
    world.part3.projects["p-1"] = msgspec.structs.replace(RIVERSIDE, team=(viewer,))
    await gina.press("Create connection")
    assert gina.status == 403
    assert "Viewer" in gina.alert
    assert world.connections.created == 0


async def test_an_app_that_is_not_installed_is_said_at_the_company(
    gina: Visitor, world: World
) -> None:
    world.procore.not_installed_in.add("562")
    await gina.open(f"{PAGE}/connect/company")
    await gina.press("Continue", company="562")
    assert "not installed" in gina.alert
    assert "company administrator" in gina.alert
    assert gina.choices, "another company can still be chosen"


async def test_an_archived_project_is_refused(gina: Visitor, world: World) -> None:
    world.part3.projects["p-1"] = msgspec.structs.replace(RIVERSIDE, archived=True)
    await gina.open(PAGE)
    await gina.press("Connect")
    assert "archived" in gina.alert


async def test_ids_of_others_are_not_among_the_choices(gina: Visitor) -> None:
    await gina.open(f"{PAGE}/connect/review?company=562&project=99999")
    assert "not among those" in gina.alert
    await gina.open(f"{PAGE}/connect/project?company=99999")
    assert "not among those" in gina.alert


async def test_a_project_connected_elsewhere_is_refused_without_saying_where(
    gina: Visitor, world: World
) -> None:
    await gina.open(REVIEW)
    error = NeedsPerson("tied to Secret Tower", reason="already_connected")
    world.connections.hook_refusal = error
    await gina.press("Create connection")
    assert "connected already" in gina.alert
    assert "Secret Tower" not in gina.text


async def test_a_hook_that_cannot_be_made_leaves_nothing_half_made(
    gina: Visitor, world: World
) -> None:
    await gina.open(REVIEW)
    world.connections.hook_refusal = TryLater("Procore is slow", reason="procore_down")
    await gina.press("Create connection")
    assert gina.status == 503
    assert "Procore can't be reached" in gina.text
    assert world.connections.by_project == {}


async def test_a_grant_that_lapsed_on_the_way_leads_to_authorize(
    gina: Visitor, world: World
) -> None:
    await gina.open(f"{PAGE}/connect")
    world.grants.lapse(GINA.user_id)
    await gina.press("Yes")
    assert gina.main("data-state") == "needs_reauthorization"
    assert parse_qs(urlsplit(gina.url).query)["next"] == [f"{PAGE}/connect"]


async def test_procore_out_of_reach_is_said_with_503(gina: Visitor, world: World) -> None:
    world.procore.down = True
    await gina.open(f"{PAGE}/connect/company")
    assert gina.status == 503
    assert "Procore can't be reached" in gina.text


async def test_somebody_in_no_company_is_told_what_to_do(gina: Visitor, world: World) -> None:
    world.procore.by_company = {}
    await gina.open(f"{PAGE}/connect")
    await gina.press("Yes")
    assert "belongs to no company" in gina.alert


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ("100%", ["Quay Street 100% Renewal"]),
        ("_", ["Harbour_Terminal Phase 2"]),
        ("2024-", ["Riverside Public Library"]),
        ("  riverside   PUBLIC ", ["Riverside Public Library"]),
        (".*", []),
        ("(a+)+$", []),
    ],
)
async def test_the_search_is_literal(gina: Visitor, sought: str, found: list[str]) -> None:
    await gina.open(f"{PAGE}/connect/project?company=562")
    await gina.press("Search", q=sought)
    assert gina.choices == found


async def test_a_very_long_search_is_cut(gina: Visitor) -> None:
    await gina.open(f"{PAGE}/connect/project?company=562&q={'x' * 5000}")
    field = gina.page.find("input", id="q")
    assert field is not None
    assert len(str(field["value"])) == 100
    assert "No project" in gina.text


async def test_many_projects_are_shown_in_part_and_say_so(gina: Visitor, world: World) -> None:
    many = Company("900", "Large & Co")
    world.procore.by_company[many] = [
        ProcoreProject(str(number), f"Project {number:03}") for number in range(200)
    ]
    await gina.open(f"{PAGE}/connect/project?company=900")
    assert "The first 60 of 200 projects" in gina.text
    await gina.press("Search", q="project 199")
    assert gina.choices == ["Project 199"]
    only = gina.page.find("input", attrs={"name": "project"})
    assert only is not None
    assert only.has_attr("checked")


async def test_counts_that_procore_does_not_say_stop_nobody(gina: Visitor, world: World) -> None:
    world.procore.found = RecordCounts(rfis=None, submittals=3)
    await gina.open(REVIEW)
    assert [one.get_text() for one in gina.page.select(".figure b")] == ["All", "3"]
    assert "Create connection" in gina.buttons


@pytest.mark.parametrize("once", ["", "short", "é" * 40, "x" * 300])
async def test_a_form_without_a_proper_mark_is_refused(
    gina: Visitor, world: World, once: str
) -> None:
    await gina.open(REVIEW)
    await gina.press("Create connection", once=once)
    assert gina.status == 403
    assert world.connections.created == 0
