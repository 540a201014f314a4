"""Account settings, Integrations."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.pages.fakes import GINA, World
from tests.pages.reading import Visitor
from token_service.public.ports import EndedByOperators

pytestmark = pytest.mark.postgres
PAGE = "/account/integrations"


async def test_without_a_grant_the_page_offers_authorize(ada: Visitor) -> None:
    await ada.open(PAGE)
    assert ada.main("data-page") == "account-integrations"
    assert ada.main("data-state") == "not_authorized"
    assert "Not authorized" in ada.text
    assert ada.buttons == ["Authorize"]
    assert ada.form_with("Authorize")["action"] == "/oauth/procore/authorize"
    assert ada.form_with("Authorize")["method"] == "post"


async def test_with_a_grant_the_page_names_the_procore_account(gina: Visitor) -> None:
    await gina.open(PAGE)
    assert gina.main("data-state") == "authorized"
    assert "gina@harbourbuild.example" in gina.text
    assert "3 Nov 2026, 09:30 UTC" in gina.text
    assert gina.buttons == ["Disconnect"]


async def test_a_lapsed_grant_says_so_and_offers_authorize(gina: Visitor, world: World) -> None:
    world.grants.lapse(GINA.user_id)
    await gina.open(PAGE)
    assert gina.main("data-state") == "needs_reauthorization"
    assert "Needs reauthorization" in gina.text
    assert "no longer accepts" in gina.alert
    assert "Authorize" in gina.buttons


async def test_a_grant_that_operators_ended_says_when_and_why(gina: Visitor, world: World) -> None:
    del world.grants.by_user[GINA.user_id]
    at = datetime(2026, 11, 28, 9, 5, tzinfo=UTC)
    world.grants.ended_of[GINA.user_id] = EndedByOperators(at, "A key leaked <b>today</b>")
    await gina.open(PAGE)
    assert gina.main("data-state") == "needs_reauthorization"
    assert "ended your authorization on 28 Nov 2026, 09:05 UTC" in gina.alert
    assert "A key leaked <b>today</b>" in gina.alert  # as text
    assert gina.buttons == ["Authorize"]


async def test_disconnect_asks_once_more_and_then_takes_the_grant_back(
    gina: Visitor, world: World
) -> None:
    await gina.open(PAGE)
    await gina.press("Disconnect")
    assert GINA.user_id in world.grants.by_user
    assert "Take back your authorization?" in gina.text
    await gina.press("Disconnect")
    assert GINA.user_id not in world.grants.by_user
    assert gina.main("data-state") == "not_authorized"
    assert "Procore has been told" in gina.text


async def test_without_a_visit_the_page_says_to_come_in_from_part3(
    visit: Callable[[str | None], Visitor],
) -> None:
    stranger = await visit(None).open(PAGE)
    assert stranger.status == 401
    assert "Part3" in stranger.alert


@pytest.mark.parametrize(
    "next_path",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/projects/p-1/integrations/../../evil",
        "/projects/p-1/integrations%0d%0aset-cookie:x",
        "/somewhere",
    ],
)
async def test_only_pages_of_ours_are_led_back_to(ada: Visitor, next_path: str) -> None:
    await ada.client.get(PAGE)
    answer = await ada.client.get(PAGE, params={"next": next_path})
    assert 'name="next"' not in answer.text
    assert "evil" not in answer.text


async def test_a_page_of_ours_is_led_back_to(ada: Visitor) -> None:
    await ada.open(f"{PAGE}?next=/projects/p-1/integrations/connect")
    field = ada.form_with("Authorize").find("input", attrs={"name": "next"})
    assert field is not None
    assert field["value"] == "/projects/p-1/integrations/connect"


async def test_unknown_words_in_the_address_say_nothing(ada: Visitor) -> None:
    await ada.open(f"{PAGE}?notice=You+have+won")
    assert "You have won" not in ada.text


@pytest.mark.parametrize(
    ("button", "name"), [("Keep Gina Castellano", "Gina Castellano"), ("Use G. Other", "G. Other")]
)
async def test_coming_back_with_another_account_asks_which_one_it_shall_be(
    gina: Visitor, world: World, button: str, name: str
) -> None:
    present = world.grants.by_user[GINA.user_id]
    world.grants.others[GINA.user_id] = replace(present, procore_name="G. Other")
    await gina.open(PAGE)
    assert "came back from Procore as G. Other" in gina.alert
    await gina.press(button, account="other" if button.startswith("Use") else "present")
    assert world.grants.by_user[GINA.user_id].procore_name == name
    assert gina.url.endswith("/projects/p-1/integrations/connect")


async def test_an_answer_to_no_question_about_accounts_is_refused(
    gina: Visitor, world: World
) -> None:
    present = world.grants.by_user[GINA.user_id]
    world.grants.others[GINA.user_id] = replace(present, procore_name="G. Other")
    await gina.open(PAGE)
    await gina.press("Use G. Other", account="whatever")
    assert gina.status == 403
    assert world.grants.by_user[GINA.user_id] == present
