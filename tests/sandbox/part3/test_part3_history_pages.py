"""The pages that show what Part3 keeps of successive puts: versions, rounds, revisions, privacy."""

from typing import Any

from sandbox.part3.house import House
from tests.sandbox.part3.conftest import MAYA_MAIL, PROJECT, Part3Api, a_file, a_record
from tests.sandbox.part3.test_part3_pages import (
    INES_MAIL,
    RFI,
    TOMAS_MAIL,
    Browser,
    Strangers,
    browser,
    maya,
)

__all__ = ["browser", "maya"]  # fixtures of the page tests
PERSON = {"name": "Maya Lindqvist", "email": MAYA_MAIL}
SUBMITTALS = f"/projects/{PROJECT}/submittals"


def a_reply(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {
        "procore_id": str(number),
        "author": {"name": name},
        "text": f"<p>Reply {number}</p>",
        "official": False,
        "created_at": f"2026-11-2{number}T10:00:00Z",
    } | more


async def test_an_earlier_question_is_kept_and_its_difference_is_readable(
    maya: Browser, api: Part3Api
) -> None:
    await api.put_record(a_record(question="<p>Four bolts at C-4?</p>", content_version="cv-1"))
    await maya.open(RFI)
    assert "Earlier versions" not in maya.page
    await api.make_return(text="Six.")
    await api.put_file(b"detail", "Detail 7.pdf")
    await api.put_record(
        a_record(
            question="<p>Six bolts at C-4?</p>",
            content_version="cv-2",
            files=[a_file(b"detail", "Detail 7.pdf")],
        )
    )
    await maya.open(RFI)
    assert "Version 1 to 2" in maya.page
    assert "<del>Four</del><ins>Six</ins> bolts at C-4?" in maya.page
    assert "Added: Detail 7.pdf" in maya.page
    assert "to version 1 of the question; it is now version 2" in maya.page


async def test_rounds_are_numbered_with_their_replies(maya: Browser, api: Part3Api) -> None:
    rounds = [
        {"round": 1, "because": "opened", "began_at": None, "reply_ids": ["1"]},
        {"round": 2, "because": "clarification", "began_at": "2026-11-22T09:00:00+00:00",
         "reply_ids": ["2"]},
    ]  # fmt: skip
    replies = [a_reply(1, "Maya Lindqvist"), a_reply(2, "Gus Ortega")]
    extras = {"Round": "2, clarification requested", "rounds": rounds}
    await api.put_record(a_record(replies=replies, extras=extras, ball_in_court=[PERSON]))
    await maya.open(RFI)
    page = maya.page
    assert "Clarification requested, round 2" in page
    parts = ["Round 2", "Reply 2", "Round 1", "Reply 1"]
    places = [page.index(part, page.index("replies-title")) for part in parts]
    assert places == sorted(places)
    await maya.open(f"/projects/{PROJECT}/rfis")
    assert "Clarification requested, round 2" in maya.page


async def test_odd_extras_break_no_page(maya: Browser, api: Part3Api) -> None:
    odd: list[Any] = ["x", 7, {"a": 1}, [1, {"reply_ids": 3, "began_at": 4}], None, True]
    for value in odd:
        names = ("rounds", "participants", "superseded", "thread_pending")
        await api.put_record(a_record(extras=dict.fromkeys(names, value)))
        assert (await maya.open(RFI)).status_code == 200
        assert (await maya.open(f"/projects/{PROJECT}/rfis")).status_code == 200


async def test_a_superseded_revision_says_so_links_on_and_takes_no_return(
    maya: Browser, api: Part3Api
) -> None:
    old = a_record("submittal", "7", revision="0", extras={"superseded": True})
    await api.put_record(old)
    await maya.open(f"{SUBMITTALS}/7")
    assert "A newer revision took the place" in maya.page
    assert "Go to revision" not in maya.page
    await api.put_record(a_record("submittal", "8", revision="1", previous_revision="7"))
    await maya.open(f"{SUBMITTALS}/7")
    assert f'href="{SUBMITTALS}/8">Go to revision 1' in maya.page
    assert "Your return" not in maya.page
    await maya.open(f"{SUBMITTALS}/8")
    assert f'href="{SUBMITTALS}/7">Previous revision' in maya.page
    await maya.open(SUBMITTALS)
    assert maya.page.count("Superseded") == 1


async def test_a_revision_that_somebody_may_not_see_is_not_linked(
    maya: Browser, api: Part3Api
) -> None:
    await api.put_record(a_record("submittal", "7", revision="0"))
    await api.put_record(a_record("submittal", "8", private=True, previous_revision="7"))
    await maya.open(f"{SUBMITTALS}/7")
    assert "A newer revision took the place" in maya.page
    assert "Go to revision" not in maya.page


async def test_turning_private_off_waits_for_a_participants_word(
    strangers: Strangers, maya: Browser, api: Part3Api, house: House
) -> None:
    taking_part: dict[str, Any] = {"extras": {"participants": [MAYA_MAIL]}}
    await api.put_record(a_record(private=True, **taking_part))
    await api.put_record(a_record(private=False, title="Written meanwhile"))
    await api.put_record(a_record(private=False, title="Written meanwhile", assignees=[PERSON]))
    async with strangers() as client:
        ines = Browser(client)
        await ines.log_in(INES_MAIL)
        assert (await ines.open(RFI)).status_code == 404
        await ines.open(f"/projects/{PROJECT}/rfis")
        assert "Written meanwhile" not in ines.page
        await ines.send(f"{RFI}/show-to-all") if 'name="csrf"' in ines.page else None
        assert house.records.history.veiled(PROJECT, "rfi", "101")
        await maya.open(RFI)
        assert "no longer marks this private" in maya.page
        await maya.send(f"{RFI}/show-to-all")
        assert "The whole team sees it now." in maya.page
        assert (await ines.open(RFI)).status_code == 200
        assert "show-to-all" not in ines.page


async def test_how_it_ended_stands_on_the_page(maya: Browser, api: Part3Api) -> None:
    foreign = [a_reply(1, "Gus Ortega", official=True)]
    await api.put_record(a_record(status="closed", replies=foreign))
    await maya.open(RFI)
    assert "not the design team&#39;s, by Gus Ortega" in maya.page
    ours = [foreign[0] | {"author": {"name": "Tomás Rivera", "email": TOMAS_MAIL}}]
    await api.put_record(a_record(status="closed", replies=ours))
    await maya.open(RFI)
    assert "not the design team" not in maya.page
    await api.put_record(a_record(status="withdrawn"))
    await maya.open(RFI)
    assert "Withdrawn" in maya.page
    assert "closed this draft without opening it" in maya.page


async def test_people_of_one_step_stand_together(maya: Browser, api: Part3Api) -> None:
    def row(name: str, step: int, *, required: bool) -> dict[str, Any]:
        person = {"name": name}
        return {"step": step, "person": person, "role": "approver", "required": required}

    workflow = [
        row("Gus", 1, required=True),
        row("Amy", 2, required=True),
        row("Sam", 2, required=False),
    ]
    await api.put_record(a_record("submittal", "7", workflow=workflow))
    await maya.open(f"{SUBMITTALS}/7")
    assert "in parallel: goes on when the 1 required of 2 have answered" in maya.page
    assert maya.page.count('class="step-group"') == 2
    assert "optional" in maya.page
