"""The dispositions page: what maps by itself, and what the two parties say."""

from collections.abc import Callable

import pytest
from bs4 import Tag

from schemas.returns import Member
from tests.pages.fakes import GINA, RIVERSIDE, World
from tests.pages.mirror_rows import connect
from tests.pages.reading import Visitor, values_of
from token_service.public.ports import ResponseChoice

pytestmark = pytest.mark.postgres
PAGE = "/projects/p-1/dispositions"
CONFIRM = ResponseChoice("9", "Confirm", "approved as noted")
TOM = Member(
    user_id="u-tom",
    name="Tom Ferreira",
    email="tom@span.example",
    company="Span Engineers",
    role="consultant",
)


def row_of(visitor: Visitor, disposition: str) -> Tag:
    cell = visitor.page.find(id=f"row-{disposition}")
    assert cell is not None, visitor.text
    row = cell.find_parent("tr")
    assert row is not None
    return row


def words(tag: Tag) -> str:
    return " ".join(tag.get_text(" ").split())


def stands(visitor: Visitor, disposition: str) -> str:
    return words(row_of(visitor, disposition).select("td")[1])


def buttons(visitor: Visitor, disposition: str) -> list[str]:
    return [words(one) for one in row_of(visitor, disposition).find_all("button")]


async def press(visitor: Visitor, disposition: str, button: str, **chosen: str) -> Visitor:
    found = [one for one in row_of(visitor, disposition).find_all("button") if words(one) == button]
    assert found, buttons(visitor, disposition)
    form = found[-1].find_parent("form")
    assert form is not None
    return await visitor.send(str(form["action"]), {**values_of(form), **chosen})


async def propose(visitor: Visitor, disposition: str, response: str) -> Visitor:
    await visitor.open(PAGE)
    return await press(visitor, disposition, "Propose", response=response)


async def test_a_project_that_is_not_connected_has_nothing_to_show(gina: Visitor) -> None:
    await gina.open(PAGE)
    assert gina.main("data-page") == "dispositions"
    assert "not connected" in gina.text
    assert gina.buttons == []


async def test_it_shows_what_agrees_and_what_does_not(gina: Visitor, world: World) -> None:
    await connect(world)
    await gina.open(PAGE)
    assert stands(gina, "proceed").startswith("Automatic Approved Name and class agree")
    assert "Automatic Make Corrections Noted" in stands(gina, "proceed_as_noted")
    assert "None yet This one never maps by itself" in stands(gina, "not_reviewed")
    assert "never maps by itself" in stands(gina, "proceed_as_noted_record_copy")
    assert "Stamps: Returned Without Action; Not Reviewed" in words(row_of(gina, "not_reviewed"))
    assert "Pending, Forwarded for Review and Void only ever come from Procore" in gina.text


async def test_several_that_fit_are_left_to_the_stamp(gina: Visitor, world: World) -> None:
    await connect(world)
    world.procore.offered.append(ResponseChoice("8", "No Exceptions Taken", "approved"))
    await gina.open(PAGE)
    assert "More than one fits Approved , No Exceptions Taken" in stands(gina, "proceed")


async def test_responses_out_of_reach_are_said_to_be(gina: Visitor, world: World) -> None:
    await connect(world)
    world.procore.down = True
    await gina.open(PAGE)
    assert gina.status == 200
    assert "can't be read from Procore right now" in gina.text


async def test_both_parties_bring_a_response_into_force(
    gina: Visitor, ada: Visitor, world: World
) -> None:
    await connect(world)
    world.procore.offered.append(CONFIRM)
    await propose(gina, "proceed_as_noted_record_copy", "9")
    assert gina.url.endswith(PAGE)
    shown = stands(gina, "proceed_as_noted_record_copy")
    assert "None yet" in shown
    assert "Proposed: Confirm , by Gina Castellano" in shown
    assert "once a Prime Consultant (Ada Lindqvist) has confirmed it" in shown
    assert "Confirm" not in buttons(gina, "proceed_as_noted_record_copy")
    await ada.open(PAGE)
    await press(ada, "proceed_as_noted_record_copy", "Confirm")
    shown = stands(ada, "proceed_as_noted_record_copy")
    assert "In force Confirm" in shown
    assert "Gina Castellano (General Contractor) and Ada Lindqvist (Prime Consultant)" in shown
    assert "Ada Lindqvist (Prime Consultant) confirmed “Confirm”" in ada.text
    assert "It is in force." in ada.text


async def test_the_prime_consultant_may_propose_too(
    gina: Visitor, ada: Visitor, world: World
) -> None:
    await connect(world)
    await propose(ada, "not_reviewed", "5")
    assert "once a General Contractor (Gina Castellano) has confirmed" in ada.text
    await gina.open(PAGE)
    await press(gina, "not_reviewed", "Confirm")
    assert "In force For Record Only" in stands(gina, "not_reviewed")


async def test_a_looser_response_needs_both_to_confirm_it_warned(
    gina: Visitor, ada: Visitor, world: World
) -> None:
    await connect(world)
    await propose(gina, "revise_resubmit", "1")
    shown = stands(gina, "revise_resubmit")
    assert "Warning: “Approved” (class “approved”) is looser than “Revise and Resubmit”" in shown
    await press(gina, "revise_resubmit", "Confirm")
    assert gina.status == 409
    assert "looser than the disposition" in gina.alert
    await press(gina, "revise_resubmit", "Confirm", despite_looser="yes")
    assert "once a Prime Consultant (Ada Lindqvist) has confirmed" in gina.text
    await ada.open(PAGE)
    await press(ada, "revise_resubmit", "Confirm")
    assert ada.status == 409
    assert "Automatic Revise and Resubmit" in stands(ada, "revise_resubmit")
    await press(ada, "revise_resubmit", "Confirm", despite_looser="yes")
    assert "In force Approved" in stands(ada, "revise_resubmit")
    assert "although it is looser" in stands(ada, "revise_resubmit")


async def test_what_is_in_force_stays_until_both_confirm_something_else(
    gina: Visitor, ada: Visitor, world: World
) -> None:
    await connect(world)
    await propose(gina, "not_reviewed", "5")
    await ada.open(PAGE)
    await press(ada, "not_reviewed", "Confirm")
    await propose(ada, "not_reviewed", "4")
    assert "In force For Record Only" in stands(ada, "not_reviewed")
    assert "Proposed: Rejected" in stands(ada, "not_reviewed")
    await gina.open(PAGE)
    await press(gina, "not_reviewed", "Confirm")
    assert "In force Rejected" in stands(gina, "not_reviewed")
    assert "For Record Only" not in stands(gina, "not_reviewed")


@pytest.mark.parametrize(
    ("becomes", "said"),
    [
        (ResponseChoice("9", "Confirmed", "approved as noted"), "renamed to “Confirmed”"),
        (ResponseChoice("9", "Confirm", "approved"), "moved to the class “approved”"),
        (None, "deleted"),
    ],
    ids=["renamed", "moved", "deleted"],
)
async def test_a_changed_response_suspends_only_its_row(
    gina: Visitor, ada: Visitor, world: World, becomes: ResponseChoice | None, said: str
) -> None:
    await connect(world)
    world.procore.offered.append(CONFIRM)
    await propose(gina, "proceed_as_noted_record_copy", "9")
    await ada.open(PAGE)
    await press(ada, "proceed_as_noted_record_copy", "Confirm")
    before = {code: stands(ada, code) for code in ("proceed", "rejected", "not_reviewed")}
    world.procore.offered = [one for one in world.procore.offered if one.id != "9"]
    world.procore.offered += [becomes] if becomes else []
    await ada.open(PAGE)
    shown = stands(ada, "proceed_as_noted_record_copy")
    assert "Who can mend it: a General Contractor (Gina Castellano)" in shown
    assert shown.startswith("Suspended Both parties confirmed “Confirm”, which has been " + said)
    assert {code: stands(ada, code) for code in before} == before
    world.procore.offered = [*(one for one in world.procore.offered if one.id != "9"), CONFIRM]
    await ada.open(PAGE)
    assert "In force Confirm" in stands(ada, "proceed_as_noted_record_copy")


async def test_what_was_renamed_since_it_was_proposed_cannot_be_confirmed(
    gina: Visitor, ada: Visitor, world: World
) -> None:
    await connect(world)
    world.procore.offered.append(CONFIRM)
    await propose(gina, "proceed_as_noted_record_copy", "9")
    await ada.open(PAGE)
    world.procore.offered[-1] = ResponseChoice("9", "Rejected outright", "rejected")
    await press(ada, "proceed_as_noted_record_copy", "Confirm")
    assert ada.status == 409
    assert "renamed, moved to another class or deleted" in ada.alert
    assert "Confirm" not in buttons(ada, "proceed_as_noted_record_copy")
    assert "nobody can confirm it" in stands(ada, "proceed_as_noted_record_copy")


async def test_either_party_may_withdraw(gina: Visitor, ada: Visitor, world: World) -> None:
    await connect(world)
    await propose(gina, "not_reviewed", "5")
    await ada.open(PAGE)
    await press(ada, "not_reviewed", "Confirm")
    await press(ada, "not_reviewed", "Withdraw")
    assert "None yet" in stands(ada, "not_reviewed")
    assert "Ada Lindqvist (Prime Consultant) withdrew “For Record Only”" in ada.text


async def test_a_withdrawn_proposal_cannot_be_confirmed_from_an_old_page(
    gina: Visitor, ada: Visitor, world: World
) -> None:
    await connect(world)
    await propose(gina, "not_reviewed", "5")
    await ada.open(PAGE)
    await press(gina, "not_reviewed", "Withdraw")
    await press(ada, "not_reviewed", "Confirm")
    assert ada.status == 409
    assert "replaced or withdrawn" in ada.alert
    assert "None yet" in stands(ada, "not_reviewed")


@pytest.mark.parametrize("response", ["", "absent", "10"])
async def test_only_an_answer_of_this_project_can_be_proposed(
    gina: Visitor, world: World, response: str
) -> None:
    await connect(world)
    world.procore.offered.append(ResponseChoice("10", "Pending", "pending"))
    await propose(gina, "not_reviewed", response)
    assert gina.status == 400
    assert "Choose a response of this project" in gina.alert
    assert world.dispositions.log == {}


async def test_nothing_is_decided_while_procore_is_away(gina: Visitor, world: World) -> None:
    await connect(world)
    await gina.open(PAGE)
    world.procore.down = True
    await press(gina, "not_reviewed", "Propose", response="5")
    assert gina.status == 503
    assert "Nothing was changed" in gina.alert
    assert world.dispositions.log == {}


async def test_nothing_is_decided_about_a_project_disconnected_meanwhile(
    gina: Visitor, world: World
) -> None:
    await connect(world)
    await gina.open(PAGE)
    await world.connections.disconnect("p-1", GINA.user_id)
    await press(gina, "not_reviewed", "Propose", response="5")
    assert gina.status == 409
    assert "not connected to that Procore project any more" in gina.alert


async def test_others_of_the_team_only_look(
    gina: Visitor, world: World, visit: Callable[[str | None], Visitor]
) -> None:
    await connect(world)
    team = (*RIVERSIDE.team, TOM)
    world.part3.projects["p-1"] = type(RIVERSIDE)(id="p-1", name=RIVERSIDE.name, team=team)
    await propose(gina, "not_reviewed", "5")
    tom = visit(world.sessions.sign_in(TOM))
    await tom.open(PAGE)
    assert tom.buttons == []
    assert "Proposed: For Record Only" in stands(tom, "not_reviewed")
    token = next(iter(v.csrf_token for v in world.sessions.visits.values() if v.user_id == "u-tom"))
    for what in ("propose", "confirm", "withdraw"):
        fields = {"csrf_token": token, "proposal": "1", "disposition": "rejected", "response": "4"}
        await tom.send(f"{PAGE}/{what}", fields)
        assert tom.status == 403
        assert "Only the two parties decide" in tom.text
    assert len(world.dispositions.log["p-1", "88001"]) == 1


async def test_a_role_lost_since_the_page_was_opened_counts(
    gina: Visitor, ada: Visitor, world: World
) -> None:
    await connect(world)
    await propose(gina, "not_reviewed", "5")
    await ada.open(PAGE)
    form = row_of(ada, "not_reviewed")
    world.part3.projects["p-1"] = type(RIVERSIDE)(id="p-1", name=RIVERSIDE.name, team=(GINA,))
    action = next(str(one["action"]) for one in form.find_all("form"))
    token = values_of(form.find_all("form")[0])["csrf_token"]
    await ada.send(action, {"csrf_token": token, "proposal": "1"})
    assert ada.status == 404


@pytest.mark.parametrize("what", ["propose", "confirm", "withdraw"])
async def test_a_foreign_form_decides_nothing(gina: Visitor, world: World, what: str) -> None:
    await connect(world)
    await gina.open(PAGE)
    fields = {"csrf_token": "other", "disposition": "not_reviewed", "response": "5"}
    await gina.send(f"{PAGE}/{what}", fields)
    assert gina.status == 403
    assert world.dispositions.log == {}
