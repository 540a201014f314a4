"""What a contractor and a design team do on Procore's pages, by the words they see."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from connector.demo.visitor import NotOnPage, Upload, Visitor
from sandbox.procore.domain.rfi_model import Rfi
from sandbox.procore.domain.submittal_model import Submittal
from tests.sandbox.procore.site import API, ARCHITECT, ENGINEER, MANAGER, Site

PDF = Upload("sketch.pdf", b"%PDF-1.4 sketch", "application/pdf")


@pytest.fixture
async def visitors(site: Site) -> AsyncIterator[dict[str, Visitor]]:
    """A manager, an architect and an engineer, each logged in at a browser of their own."""
    app = site.http._transport_for_url(httpx2.URL(API))
    people = {}
    for email in (MANAGER, ARCHITECT, ENGINEER):
        client = httpx2.AsyncClient(transport=app, base_url=API)
        visitor = Visitor(email, client)
        await visitor.open(f"{API}/login")
        await visitor.press("Log in", {"Email": email, "Password": "procore"})
        people[email] = visitor
    yield people
    for visitor in people.values():
        await visitor.client.aclose()


def named(site: Site, email: str) -> str:
    return site.person(email).name_with_company


async def create_rfi(site: Site, manager: Visitor, subject: str = "Dowel size") -> int:
    await manager.open(f"{API}/projects/{site.project.id}/rfis/new")
    await manager.press(
        "Create",
        {
            "Subject": subject,
            "Question": "Which size?\n\nAnd which spacing?",
            "RFI Manager": named(site, MANAGER),
            "Assignees": named(site, ARCHITECT),
        },
        {"Attachments": PDF},
    )
    return int(manager.url.rsplit("/", 1)[1])


def rfi_of(site: Site, rfi_id: int) -> Rfi:
    found = site.world.store.get(Rfi, rfi_id)
    assert found is not None
    return found


async def test_an_rfi_is_created_with_its_file_and_shown(
    site: Site, visitors: dict[str, Visitor]
) -> None:
    manager = visitors[MANAGER]
    rfi_id = await create_rfi(site, manager)
    rfi = rfi_of(site, rfi_id)
    assert (rfi.status, rfi.question.html) == (
        "open",
        "<p>Which size?</p><p>And which spacing?</p>",
    )
    assert manager.has("sketch.pdf")
    await manager.follow("sketch.pdf")
    assert manager.status == 200


async def test_a_reply_is_its_authors_and_the_manager_marks_it_official(
    site: Site, visitors: dict[str, Visitor]
) -> None:
    rfi_id = await create_rfi(site, visitors[MANAGER])
    page = f"{API}/projects/{site.project.id}/rfis/{rfi_id}"
    await visitors[ARCHITECT].open(page)
    await visitors[ARCHITECT].press("Add reply", {"Reply": "Use #5 <b>at</b> 300."})
    reply = rfi_of(site, rfi_id).replies[0]
    assert reply.author_id == site.person(ARCHITECT).id
    assert reply.html == "<p>Use #5 &lt;b&gt;at&lt;/b&gt; 300.</p>"
    await visitors[MANAGER].open(page)
    await visitors[MANAGER].press("Mark official")
    assert rfi_of(site, rfi_id).replies[0].official
    await visitors[MANAGER].press("Unmark official")
    await visitors[MANAGER].press("Close RFI")
    assert rfi_of(site, rfi_id).status == "closed"
    await visitors[MANAGER].press("Reopen")
    await visitors[MANAGER].press("Delete reply")
    assert rfi_of(site, rfi_id).replies == ()


async def test_an_rfi_is_edited_deleted_and_retrieved(
    site: Site, visitors: dict[str, Visitor]
) -> None:
    manager = visitors[MANAGER]
    rfi_id = await create_rfi(site, manager)
    await manager.follow("Edit")
    await manager.press("Save", {"Subject": "Dowel size at landing", "Private": True})
    assert rfi_of(site, rfi_id).subject == "Dowel size at landing"
    assert rfi_of(site, rfi_id).assignee_ids == (site.person(ARCHITECT).id,)
    await manager.press("Delete")
    assert rfi_of(site, rfi_id).deleted_at is not None
    await manager.open(f"{API}/projects/{site.project.id}/recycle_bin")
    await manager.press("Retrieve RFI", within="Dowel size at landing")
    assert rfi_of(site, rfi_id).deleted_at is None


async def test_what_a_person_may_not_do_is_not_offered(
    site: Site, visitors: dict[str, Visitor]
) -> None:
    rfi_id = await create_rfi(site, visitors[MANAGER])
    await visitors[ENGINEER].open(f"{API}/projects/{site.project.id}/rfis/{rfi_id}")
    for button in ("Close RFI", "Delete", "Mark official", "Add reply"):
        with pytest.raises(NotOnPage):
            await visitors[ENGINEER].press(button)


async def test_a_forged_form_changes_nothing(site: Site, visitors: dict[str, Visitor]) -> None:
    rfi_id = await create_rfi(site, visitors[MANAGER])
    page = f"{API}/projects/{site.project.id}/rfis/{rfi_id}"
    await visitors[MANAGER].client.post(f"{page}/do/close", data={"csrf": "guessed"})
    assert rfi_of(site, rfi_id).status == "open"


async def test_a_submittal_goes_through_its_workflow_on_pages(
    site: Site, visitors: dict[str, Visitor]
) -> None:
    manager, architect = visitors[MANAGER], visitors[ARCHITECT]
    await manager.open(f"{API}/projects/{site.project.id}/submittals/new")
    await manager.press(
        "Create",
        {
            "Title": "Curtain wall shop drawings",
            "Number": "44",
            "Submittal Manager": named(site, MANAGER),
            "Approvers of step 1": named(site, ARCHITECT),
        },
        {"Attachments": PDF},
    )
    submittal_id = int(manager.url.rsplit("/", 1)[1])

    def present() -> Submittal:
        found = site.world.store.get(Submittal, submittal_id)
        assert found is not None
        return found

    assert present().ball_ids == (site.person(ARCHITECT).id,)
    await architect.open(manager.url)
    await architect.press(
        "Respond",
        {"Response": "Approved as Noted", "Comment": "Check anchors."},
        {"Attachments": PDF},
    )
    row = present().rows[0]
    assert (row.answered, row.comment, row.answered_by_id) == (
        True,
        "Check anchors.",
        site.person(ARCHITECT).id,
    )
    await manager.open(manager.url)
    await manager.press("Close and distribute", {"Message": "For construction."})
    assert present().distributed_at is not None
    await manager.press("Create revision")
    assert manager.has("revision 1")
    assert not present().current_revision
    await manager.press("Delete")
    await manager.open(f"{API}/projects/{site.project.id}/recycle_bin")
    await manager.press("Restore submittal", within="Curtain wall")


async def test_nobody_gets_in_without_a_password(site: Site, visitors: dict[str, Visitor]) -> None:
    stranger = Visitor(
        "stranger", httpx2.AsyncClient(transport=visitors[MANAGER].client._transport)
    )
    await stranger.open(f"{API}/projects/{site.project.id}/rfis")
    assert stranger.has("Log in to Procore")
    await stranger.press("Log in", {"Email": MANAGER, "Password": "wrong"})
    assert stranger.status == 401
    await stranger.client.aclose()


async def test_scripts_in_a_question_never_reach_the_page(
    site: Site, visitors: dict[str, Visitor]
) -> None:
    architect = site.as_(MANAGER)
    made = await architect.new_rfi(
        question={"body": "<p onclick=x()>Hi<script>steal()</script><img src=x onerror=y()></p>"}
    )
    await visitors[MANAGER].open(f"{API}/projects/{site.project.id}/rfis/{made['id']}")
    html = str(visitors[MANAGER].page)
    assert "steal()" not in html
    assert "onerror" not in html
    assert "onclick" not in html
