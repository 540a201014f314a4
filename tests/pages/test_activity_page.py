"""The activity page: what happened, what is held, and what a visitor must not see."""

from collections.abc import Callable

import pytest

from services.postgres import Postgres
from services.waits import WAITING_ON
from tests.pages.fakes import ADA, World
from tests.pages.mirror_rows import activity_row, connect, delivery_row, record_row
from tests.pages.reading import Visitor
from token_service.public.wording import WAITED_FOR, waited

pytestmark = pytest.mark.postgres
PAGE = "/projects/p-1/activity"


async def test_the_newest_comes_first(gina: Visitor, mirror: Postgres) -> None:
    for number in range(3):
        await activity_row(mirror, f"Step {number}.")
    await gina.open(PAGE)
    assert gina.main("data-page") == "activity"
    assert gina.text.index("Step 2.") < gina.text.index("Step 1.") < gina.text.index("Step 0.")


async def test_an_empty_log_says_so(gina: Visitor) -> None:
    await gina.open(PAGE)
    assert "Nothing has happened yet" in gina.text


async def test_held_returns_lead_with_reason_and_who_can_mend_it(
    gina: Visitor, mirror: Postgres
) -> None:
    await record_row(mirror, "rfi", "1001", number="12", title="Slab edge")
    await delivery_row(
        mirror,
        "r-1",
        "held",
        reason="not_authorized",
        message="Tomas has not authorized yet.",
        mended_by={"name": "Tomas Berg"},
    )
    await gina.open(PAGE)
    assert "1 return held" in gina.text
    assert "RFI 12" in gina.text
    assert "Tomas has not authorized yet." in gina.text
    assert "Who can mend it: Tomas Berg" in gina.text


async def test_pages_go_on_by_key_and_miss_nothing(gina: Visitor, mirror: Postgres) -> None:
    for number in range(120):
        await activity_row(mirror, f"Entry {number:03}.")
    await gina.open(PAGE)
    seen: list[str] = []
    while True:
        seen += [one.get_text() for one in gina.page.select(".what > p:nth-of-type(2)")]
        older = gina.page.find("a", string="Older")
        if older is None:
            break
        await activity_row(mirror, "Something newer.")  # must not shift the pages
        await gina.open(str(older["href"]))
    assert seen == [f"Entry {number:03}." for number in reversed(range(120))]


async def test_filters_by_kind_held_and_text(gina: Visitor, mirror: Postgres) -> None:
    await delivery_row(mirror, "r-1", "held", reason="record_closed", message="It is closed.")
    await activity_row(mirror, "One.", kind="rfi", title="100% slab")
    await activity_row(mirror, "Two.", kind="submittal", title="Mix_design", number="03 30 00-4")
    await activity_row(mirror, "Three.", return_id="r-1", reason="record_closed")
    await gina.open(f"{PAGE}?kind=submittal")
    assert "Two." in gina.text
    assert "One." not in gina.text
    await gina.open(f"{PAGE}?held=1")
    assert "Three." in gina.text
    assert "Two." not in gina.text
    await gina.open(f"{PAGE}?text=100%25")
    assert "One." in gina.text
    assert "Two." not in gina.text
    await gina.open(f"{PAGE}?text=mix_")
    assert "Two." in gina.text
    assert "One." not in gina.text


@pytest.mark.parametrize(
    "query",
    [
        "before=abc",
        "before=-1",
        "before=99999999999999999999",
        "before=9999999999999999999",
        "kind=drop",
        "text=%00",
        "held=maybe",
        "before=1%27%20OR%201=1",
    ],
)
async def test_senseless_queries_show_the_log(gina: Visitor, mirror: Postgres, query: str) -> None:
    await activity_row(mirror, "Here.")
    await gina.open(f"{PAGE}?{query}")
    assert gina.status == 200
    assert "Here." in gina.text


async def test_another_project_is_not_in_the_log(gina: Visitor, mirror: Postgres) -> None:
    await activity_row(mirror, "Secret of others.", project_id="p-2")
    await gina.open(PAGE)
    assert "Secret of others" not in gina.text
    assert (await gina.open("/projects/p-2/activity")).status == 404


class TestPrivateRecords:
    """Number only, for whoever takes no part."""

    @pytest.fixture(autouse=True)
    async def _a_private_rfi(self, mirror: Postgres) -> None:
        record = {
            "private": True,
            "manager": {"name": "Somebody", "procore_id": "5"},
            "ball_in_court": [{"name": "Ada", "procore_id": "90"}],
            "assignees": [],
            "workflow": [],
        }
        await record_row(mirror, "rfi", "1001", number="12", title="Secret title", record=record)
        await activity_row(mirror, "Secret words.", number="12", title="Secret title")

    async def test_who_takes_no_part_sees_the_number_alone(self, ada: Visitor) -> None:
        await ada.open(PAGE)
        assert "RFI 12" in ada.text
        assert "A private record" in ada.text
        assert "Secret" not in ada.text

    async def test_a_search_does_not_find_what_is_not_shown(self, ada: Visitor) -> None:
        await ada.open(f"{PAGE}?text=secret")
        assert "RFI 12" not in ada.text
        assert "Nothing fits" in ada.text

    async def test_who_takes_part_sees_it_all(self, ada: Visitor, world: World) -> None:
        world.grants.authorize(ADA.user_id, "Ada", "ada@northlight.example")  # Procore id 90
        await ada.open(PAGE)
        assert "Secret title" in ada.text

    async def test_the_owner_of_the_connection_sees_it_all(
        self, gina: Visitor, world: World
    ) -> None:
        await connect(world)
        await gina.open(PAGE)
        assert "Secret title" in gina.text

    async def test_a_workflow_person_takes_part(
        self, ada: Visitor, world: World, mirror: Postgres
    ) -> None:
        world.grants.authorize("someone", "First", "first@x.example")
        world.grants.authorize(ADA.user_id, "Ada", "ada@northlight.example")  # Procore id 91
        record = {
            "private": True,
            "manager": None,
            "workflow": [{"step": 1, "person": {"name": "Ada", "procore_id": "91"}}],
        }
        await record_row(mirror, "submittal", "2001", number="7", title="Mine", record=record)
        await activity_row(mirror, "Words.", kind="submittal", procore_id="2001", title="Mine")
        await ada.open(PAGE)
        assert "Mine" in ada.text
        assert "Secret" not in ada.text

    async def test_the_author_of_a_return_sees_it(self, ada: Visitor, mirror: Postgres) -> None:
        await delivery_row(mirror, "r-1", "held", message="For its author.", reason="x")
        await activity_row(mirror, "Return words.", return_id="r-1", title="Secret title")
        await ada.open(PAGE)
        assert "Return words." in ada.text
        assert "For its author." in ada.text
        assert "Secret words." not in ada.text


async def test_a_visitor_from_outside_is_sent_to_part3(
    visit: Callable[[str | None], Visitor],
) -> None:
    assert (await visit(None).open(PAGE)).status == 401


async def test_one_line_says_how_long_it_took_and_who_was_waited_for(
    gina: Visitor, mirror: Postgres
) -> None:
    await activity_row(mirror, "RFI 12 changed in Procore: status.")
    await mirror.execute(
        "UPDATE mirror.activity SET detail = $1",
        {"waited_s": {"queue": 41.2, "procore": 665.0, "part3": 0.4, "rate_limit": 7_500.0}},
    )
    await gina.open(PAGE)
    expected = "It took 2 h 16 min: Procore's rate limit 2 h 5 min, Procore 11 min, our queue 41 s."
    assert expected in gina.text


@pytest.mark.parametrize(
    ("waited_s", "words"),
    [
        ({"queue": 0.4}, "It took less than a second."),
        ({"queue": 2.2, "procore": 0.3}, "It took 2 s: our queue 2 s."),
        ({"authorization": 273_700.0}, "It took 3 d 4 h: a missing authorization 3 d 4 h."),
        ({"person": 3_600.0, "part3": 119.0}, "It took 1 h 1 min: a person 1 h, Part3 119 s."),
    ],
)
def test_minutes_are_said_in_the_words_of_people(waited_s: dict[str, float], words: str) -> None:
    assert waited(waited_s) == words


def test_each_of_those_who_can_be_waited_for_has_a_word() -> None:
    assert set(WAITED_FOR) == set(WAITING_ON)
