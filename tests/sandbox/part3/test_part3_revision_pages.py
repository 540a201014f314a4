"""A new revision while the old one is under review: what the team may take along."""

import re
from html import unescape

import pytest

from sandbox.part3.house import House
from tests.sandbox.part3.conftest import MAYA_MAIL, PROJECT, Part3Api, a_record, events_of
from tests.sandbox.part3.test_part3_pages import (
    INES_MAIL,
    TOMAS_MAIL,
    Browser,
    Strangers,
    browser,
    maya,
)

__all__ = ["browser", "maya"]  # fixtures of the page tests
SUBMITTALS = f"/projects/{PROJECT}/submittals"
OLD, NEW, NEWEST = (f"{SUBMITTALS}/{number}" for number in (7, 8, 9))
NOTE = "Ask the engineer about weld W-3"


@pytest.fixture
async def under_review(api: Part3Api) -> str:
    """Maya's return on revision 0, with a note for her team; then revision 1 came."""
    await api.put_record(a_record("submittal", "7", revision="0"))
    made = await api.make_return(
        kind="submittal",
        procore_id="7",
        text="Show the welds.",
        disposition="revise_resubmit",
        team_note=NOTE,
    )
    await api.report(made["id"], "held", reason="revision_superseded")
    superseded = a_record("submittal", "7", revision="0", extras={"superseded": True})
    await api.put_record(superseded)
    await api.put_record(a_record("submittal", "8", revision="1", previous_revision="7"))
    return str(made["id"])


@pytest.mark.usefixtures("under_review")
async def test_notes_are_offered_and_carried_over_once(
    maya: Browser, api: Part3Api, house: House
) -> None:
    await maya.open(NEW)
    assert "On revision 0" in maya.page
    assert house.notes.of_record(PROJECT, "submittal", "8") == []
    await maya.send(f"{NEW}/carry-notes")
    assert "1 note was carried over." in maya.page
    assert maya.page.count(NOTE) == 1
    assert re.search(r"Maya Lindqvist, [^<]+, on an earlier revision", maya.page)
    await maya.send(f"{NEW}/carry-notes")
    assert "There is nothing to carry over." in maya.page
    assert maya.page.count(NOTE) == 1
    await maya.open(OLD)
    assert maya.page.count(NOTE) == 1  # kept as it was

    await api.put_record(a_record("submittal", "9", revision="2", previous_revision="8"))
    house.notes.add(PROJECT, "submittal", "8", "usr_maya", "W-3 is settled")
    await maya.open(NEWEST)
    await maya.send(f"{NEWEST}/carry-notes")
    assert "2 notes were carried over." in maya.page


@pytest.mark.usefixtures("under_review")
async def test_a_carried_note_stays_inside_the_design_team(
    maya: Browser, strangers: Strangers, api: Part3Api, house: House
) -> None:
    async with strangers() as client:
        ines = Browser(client)
        await ines.log_in(INES_MAIL)
        await ines.open(NEW)
        await ines.send(f"{NEW}/carry-notes")
        assert "There is nothing to carry over." in ines.page
        await maya.open(NEW)
        await maya.send(f"{NEW}/carry-notes")
        await ines.open(NEW)
        assert NOTE not in ines.page
    for path in ("/records/submittal/8", "/records", "/returns"):
        assert NOTE not in (await api.call("GET", path)).text
    assert NOTE not in str(events_of(house))


async def test_nothing_is_offered_from_a_revision_that_somebody_may_not_see(
    strangers: Strangers, maya: Browser, api: Part3Api, house: House
) -> None:
    hidden = a_record("submittal", "7", private=True, extras={"participants": [MAYA_MAIL]})
    await api.put_record(hidden)
    await api.put_record(a_record("submittal", "8", previous_revision="7"))
    house.notes.add(PROJECT, "submittal", "7", "usr_maya", NOTE)
    async with strangers() as client:
        tomas = Browser(client)
        await tomas.log_in(TOMAS_MAIL)
        await tomas.open(NEW)
        assert NOTE not in tomas.page
        await tomas.send(f"{NEW}/carry-notes")
    assert house.notes.of_record(PROJECT, "submittal", "8") == []
    await maya.open(NEW)
    assert NOTE in maya.page


async def test_a_return_may_begin_with_the_words_that_did_not_go(
    maya: Browser, api: Part3Api, under_review: str
) -> None:
    await maya.open(NEW)
    assert "Your return on revision 0 was not sent." in maya.page
    await maya.open(f"{NEW}/return")
    form = unescape(maya.page[maya.page.index('name="text"') :])
    assert form.split(">", 1)[1].startswith("Show the welds.</textarea>")
    assert "selected" not in maya.page  # what it is worth, is decided anew
    assert "was not sent" not in maya.page

    await maya.send(f"{NEW}/return", text="Show weld W-3.", disposition="proceed_as_noted")
    (made,) = [
        one
        for one in (await api.call("GET", "/returns")).json()["items"]
        if one["procore_id"] == "8"
    ]
    assert (made["text"], made["disposition"]) == ("Show weld W-3.", "proceed_as_noted")
    assert await api.return_state(under_review) == "held"


async def test_words_that_went_are_not_offered_again(
    maya: Browser, api: Part3Api, under_review: str
) -> None:
    await api.report(under_review, "delivered")
    await maya.open(NEW)
    assert "was not sent" not in maya.page
    await maya.open(f"{NEW}/return")
    assert "There are no words to begin with." in maya.page
