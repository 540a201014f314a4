"""Another owner, and a wrongly chosen project undone."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from schemas.returns import Member
from services.postgres import Postgres
from tests.pages.fakes import ADA, GINA, World
from tests.pages.mirror_rows import connect, delivery_row, in_step, record_row, state_in
from tests.pages.reading import Visitor
from tests.pages.test_project_page import PAGE
from token_service.public.ports import ToolAccess

pytestmark = pytest.mark.postgres

HAL = Member(
    user_id="u-hal",
    name="Hal Okafor",
    email="hal@harbourbuild.example",
    company="Harbour Build",
    role="general_contractor",
)


@pytest.fixture
def hal(visit: Callable[[str | None], Visitor], world: World) -> Visitor:
    """Another General Contractor of the team, authorized."""
    project = world.part3.projects["p-1"]
    world.part3.projects["p-1"] = type(project)(
        id=project.id, name=project.name, team=(*project.team, HAL), number=project.number
    )
    world.grants.authorize(HAL.user_id, HAL.name, HAL.email)
    return visit(world.sessions.sign_in(HAL))


def owner(world: World) -> str:
    return world.connections.by_project["p-1"].owner_user_id


async def test_another_admin_of_the_contractor_makes_themself_the_owner(
    hal: Visitor, gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await gina.open(PAGE)
    assert "Make me the owner" not in gina.buttons  # she is
    await hal.open(PAGE)
    await hal.press("Make me the owner")
    assert owner(world) == HAL.user_id
    assert re.search(r"Owner Hal Okafor ?, with whose authorization", hal.text)
    assert "Make me the owner" not in hal.buttons


async def test_who_is_no_admin_in_procore_is_told_what_is_missing(
    hal: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    world.procore.access = [
        ToolAccess("rfis", enabled=True, level="Admin"),
        ToolAccess("submittals", enabled=True, level="Standard"),
    ]
    await hal.open(PAGE)
    await hal.press("Make me the owner")
    assert hal.status == 403
    assert "Submittals tool in Procore is Standard" in hal.text
    assert "be this connection's owner yet" in hal.text
    assert owner(world) == GINA.user_id


async def test_who_has_not_authorized_is_led_there_first(
    hal: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    world.grants.lapse(HAL.user_id)
    await hal.open(PAGE)
    await hal.press("Make me the owner")
    assert hal.main("data-page") == "account-integrations"
    assert owner(world) == GINA.user_id


@pytest.mark.parametrize("what", ["own", "unlink"])
async def test_an_architect_can_do_neither(ada: Visitor, world: World, what: str) -> None:
    await connect(world)
    await ada.open(f"{PAGE}?ask=unlink")
    assert ada.buttons == []
    token = next(iter(world.sessions.visits.values())).csrf_token
    await ada.send(f"{PAGE}/{what}", {"csrf_token": token})
    assert ada.status == 403
    assert (state_in(world), owner(world)) == ("active", GINA.user_id)
    assert ADA.role == "prime_consultant"


async def test_unlinking_says_what_will_happen_and_lists_what_was_delivered(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await record_row(mirror, "rfi", "1001", number="17", title="Anchor bolts")
    await record_row(mirror, "submittal", "2001")
    await delivery_row(mirror, "ret-1", "delivered", procore_id="1001")
    await delivery_row(mirror, "ret-2", "held", procore_id="1001")
    await gina.open(PAGE)
    await gina.press("Wrong project?")
    for words in (
        "Was Riverside Public Library the wrong Procore project?",
        "2 records that came from it are marked as removed in Part3",
        "1 return already delivered stays in Procore",
        "RFI 17 Anchor bolts",
    ):
        assert words in gina.text
    assert state_in(world) == "active"
    await gina.press("Unlink")
    assert state_in(world) == "disconnected"
    assert gina.main("data-state") == "disconnected"
    assert "2 records that came from it are marked as removed in Part3 (2 to go" in gina.text
    assert "Anchor bolts" in gina.text
    assert gina.buttons == ["Connect"]


async def test_unlinked_before_anything_came_over_it_looks_as_if_it_had_never_been(
    gina: Visitor, world: World
) -> None:
    await connect(world)
    await gina.open(f"{PAGE}?ask=unlink")
    assert "Nothing has come over yet, so nothing stays of it" in gina.text
    await gina.press("Unlink")
    assert gina.main("data-state") == "not_connected"
    assert "Riverside Public Library" not in gina.text


async def test_after_a_disconnect_it_can_still_be_unlinked(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await record_row(mirror, "rfi", "1001")
    await world.connections.disconnect("p-1", GINA.user_id)
    await gina.open(PAGE)
    assert "Was it the wrong project?" in gina.text
    await gina.open(f"{PAGE}?ask=unlink")
    await gina.press("Unlink")
    assert world.connections.by_project["p-1"].unlinked


async def test_who_disconnects_their_last_project_may_end_their_authorization_with_it(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await gina.open(f"{PAGE}?ask=disconnect")
    assert "Also end my authorization with Procore: no other project uses it" in gina.text
    assert 'name="end_authorization" value="yes" checked' in gina.answer.text
    await gina.press("Disconnect")
    assert state_in(world) == "disconnected"
    assert GINA.user_id not in world.grants.by_user
    assert "Your authorization with Procore was ended too" in gina.text
    assert "Both copies are kept" in gina.text


async def test_without_that_choice_the_authorization_stays(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    await gina.open(f"{PAGE}?ask=disconnect")
    token = next(iter(world.sessions.visits.values())).csrf_token
    await gina.send(f"{PAGE}/disconnect", {"csrf_token": token})
    assert state_in(world) == "disconnected"
    assert GINA.user_id in world.grants.by_user
    assert "was ended too" not in gina.text


async def test_an_authorization_that_another_project_uses_is_not_offered_to_end(
    gina: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    world.connections.by_project["p-9"] = replace(
        world.connections.by_project["p-1"], project_id="p-9", project_name="North Pier"
    )
    await gina.open(f"{PAGE}?ask=disconnect")
    assert "Your authorization with Procore stays, as another project uses it: North Pier" in (
        gina.text
    )
    assert "end_authorization" not in gina.answer.text


async def test_somebody_elses_authorization_is_theirs_to_end(
    hal: Visitor, world: World, mirror: Postgres
) -> None:
    await in_step(world, mirror)
    world.grants.by_user.pop(HAL.user_id)
    await hal.open(f"{PAGE}?ask=disconnect")
    assert "read with Gina Castellano's authorization. It stays" in hal.text.replace(" '", "'")
    assert "end_authorization" not in hal.answer.text
