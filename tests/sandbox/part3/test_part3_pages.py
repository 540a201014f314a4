import re
from collections.abc import AsyncIterator, Callable
from html import unescape

import httpx2
import pytest

from sandbox.part3.house import House
from sandbox.part3.settings import DEFAULT_PASSWORD
from tests.sandbox.part3.conftest import MAYA_MAIL, PROJECT, Part3Api, a_file, a_record, events_of

Strangers = Callable[..., httpx2.AsyncClient]
TOMAS_MAIL = "tomas@rivera-structural.example"
INES_MAIL = "ines@harbour-library.example"
RFI = f"/projects/{PROJECT}/rfis/101"


class Browser:
    """A person with a browser that has no JavaScript."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.page = ""

    async def open(self, path: str) -> httpx2.Response:
        answer = await self.client.get(path, follow_redirects=True)
        self.page = answer.text
        return answer

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.page)
        assert found, self.page
        return found[1]

    async def send(
        self, path: str, files: list[tuple[str, tuple[str, bytes]]] | None = None, **fields: str
    ) -> httpx2.Response:
        data = {"csrf": self.csrf()} | fields
        answer = await self.client.post(path, data=data, files=files, follow_redirects=True)
        self.page = answer.text
        return answer

    async def log_in(self, email: str, password: str = DEFAULT_PASSWORD) -> httpx2.Response:
        await self.open("/login")
        return await self.send("/login", email=email, password=password, next="/projects")


@pytest.fixture
async def browser(strangers: Strangers) -> AsyncIterator[Browser]:
    async with strangers() as client:
        yield Browser(client)


@pytest.fixture
async def maya(strangers: Strangers) -> AsyncIterator[Browser]:
    async with strangers() as client:
        browser = Browser(client)
        await browser.log_in(MAYA_MAIL)
        yield browser


async def test_a_person_logs_in_sees_the_projects_and_logs_out(browser: Browser) -> None:
    await browser.log_in(MAYA_MAIL)
    assert "Harbour Street Library" in browser.page
    await browser.send("/logout")
    answer = await browser.open("/projects")
    assert answer.url.path == "/login"


@pytest.mark.parametrize("email", [MAYA_MAIL, "nobody@x.example"])
async def test_a_wrong_password_and_an_unknown_person_hear_the_same(
    browser: Browser, email: str
) -> None:
    answer = await browser.log_in(email, "wrong password")
    assert answer.status_code == 401
    assert "E-mail address and password do not match." in browser.page


async def test_the_session_is_another_one_after_the_login(browser: Browser) -> None:
    await browser.open("/login")
    before = browser.client.cookies["part3_session"]
    await browser.log_in(MAYA_MAIL)
    assert browser.client.cookies["part3_session"] != before
    browser.client.cookies.clear()
    browser.client.cookies.set("part3_session", before)
    assert (await browser.open("/projects")).url.path == "/login"


async def test_a_form_without_the_sessions_token_does_nothing(maya: Browser, house: House) -> None:
    for csrf in ("", "forged"):
        answer = await maya.client.post(
            f"/projects/{PROJECT}/team/companies/new",
            data={"csrf": csrf, "name": "Evil", "role": "owner"},
        )
        assert answer.status_code == 403
    assert "Evil" not in [row["name"] for row in house.people.companies(PROJECT)]


async def test_pages_cannot_be_framed_and_cookies_are_kept_from_scripts(browser: Browser) -> None:
    answer = await browser.client.get("/login")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert "samesite=lax" in answer.headers["set-cookie"].lower()


async def test_a_project_of_others_is_not_found(maya: Browser, api: Part3Api) -> None:
    await api.sandbox("seed", project_id="prj_other", name="Elsewhere", companies=[])
    for path in ("", "/rfis", "/team", "/settings", "/settings/integrations"):
        assert (await maya.open(f"/projects/prj_other{path}")).status_code == 404
    assert "Elsewhere" not in maya.page


async def test_what_is_no_page_is_a_404_page(maya: Browser) -> None:
    assert (await maya.open("/nowhere")).status_code == 404
    assert (await maya.open(f"/projects/{PROJECT}/drawings")).status_code == 404
    assert "Page not found" in maya.page


async def test_a_company_and_a_member_are_added_on_the_team_tab(
    maya: Browser, house: House
) -> None:
    await maya.open(f"/projects/{PROJECT}/team")
    assert "+ Company" in maya.page
    await maya.open(f"/projects/{PROJECT}/team/companies/new")
    assert "General Contractor" in maya.page
    new = f"/projects/{PROJECT}/team/companies/new"
    await maya.send(new, name="Northside Builders", role="general_contractor")
    assert "Northside Builders is on the team." in unescape(maya.page)
    company = house.people.companies(PROJECT)[-1]
    await maya.send(
        f"/projects/{PROJECT}/team/companies/{company['id']}/members/new",
        name="Dana Whitfield",
        email="Dana@Northside.example",
    )
    assert "Not invited yet" in maya.page
    member = house.people.project(PROJECT).team[-1]
    assert (member.email, member.role) == ("dana@northside.example", "general_contractor")
    assert [event["type"] for event in events_of(house)] == ["member.changed"]


@pytest.mark.parametrize(
    ("name", "role", "fault"),
    [
        ("", "owner", "Enter the company's name."),
        ("New", "", "Choose the company's role."),
        ("Lindqvist Architects", "owner", "is on this project already"),
    ],
)
async def test_a_company_that_cannot_be_added_is_said_beside_the_form(
    maya: Browser, name: str, role: str, fault: str
) -> None:
    path = f"/projects/{PROJECT}/team/companies/new"
    await maya.open(path)
    answer = await maya.send(path, name=name, role=role)
    assert answer.status_code == 422
    assert fault in unescape(maya.page)


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("", "jo@la.example"),
        ("Jo", "jo"),
        ("Jo", "jo@@la.example"),
        ("Jo", "jo@la.example\r\nBcc: x@y.example"),
        ("Jo", MAYA_MAIL),
    ],
)
async def test_a_member_that_cannot_be_added_is_said_beside_the_form(
    maya: Browser, house: House, name: str, email: str
) -> None:
    path = f"/projects/{PROJECT}/team/companies/{house.people.companies(PROJECT)[0]['id']}"
    await maya.open(f"{path}/members/new")
    answer = await maya.send(f"{path}/members/new", name=name, email=email, invite="yes")
    assert answer.status_code == 422
    assert 'role="alert"' in maya.page
    assert len(house.people.project(PROJECT).team) == 3


async def test_a_record_with_the_least_a_record_may_have_still_shows(
    maya: Browser, api: Part3Api
) -> None:
    file = a_file(b"odd") | {"content_type": "ä\nx"}
    await api.put_file(b"odd")
    await api.put_record(a_record(number="", title="", replies=[{}], files=[file]))
    await api.put_record(a_record("submittal", "7", workflow=[{}], extras={"x": [None, {}]}))
    for path in (RFI, f"/projects/{PROJECT}/submittals/7", f"/projects/{PROJECT}/rfis"):
        assert (await maya.open(path)).status_code == 200
    got = await maya.client.get(f"{RFI}/files/{file['sha256']}")
    assert got.headers["content-type"] == "application/octet-stream"


async def test_only_the_prime_consultant_changes_the_team(strangers: Strangers) -> None:
    async with strangers() as client:
        tomas = Browser(client)
        await tomas.log_in(TOMAS_MAIL)
        await tomas.open(f"/projects/{PROJECT}/team")
        assert "+ Company" not in tomas.page
        answer = await tomas.open(f"/projects/{PROJECT}/team/companies/new")
        assert answer.status_code == 403


async def test_an_invitation_that_the_mail_server_does_not_take_is_said_and_can_be_repeated(
    maya: Browser, house: House
) -> None:
    company = house.people.companies(PROJECT)[0]
    path = f"/projects/{PROJECT}/team/companies/{company['id']}/members/new"
    await maya.open(path)
    house.mailer._port = 9  # nothing listens there
    await maya.send(path, name="Jo", email="jo@la.example", invite="yes")
    assert "The invitation was not sent" in maya.page
    assert "Send invitation" in maya.page


async def test_an_invitation_makes_an_account_once_and_leads_into_the_project(
    browser: Browser, house: House
) -> None:
    company = house.people.companies(PROJECT)[0]
    user_id = house.people.add_member(PROJECT, company["id"], name="Jo Berg", email="jo@la.example")
    token = house.people.invite(PROJECT, user_id)
    await browser.open(f"/invitations/{token}")
    assert "Create account" in browser.page
    short = await browser.send(f"/invitations/{token}", name="Jo Berg", password="short")
    assert short.status_code == 422
    answer = await browser.send(f"/invitations/{token}", name="Jo M. Berg", password="long enough")
    assert answer.url.path == f"/projects/{PROJECT}/rfis"
    assert "Jo M. Berg" in browser.page
    assert (await browser.open(f"/invitations/{token}")).status_code == 404


async def test_an_invitation_to_somebody_with_an_account_asks_for_no_new_password(
    browser: Browser, house: House, api: Part3Api
) -> None:
    await api.sandbox("seed", project_id="prj_other", name="Elm Court", companies=[])
    company_id = house.people.add_company("prj_other", "LA", "prime_consultant")
    house.people.add_member("prj_other", company_id, name="Maya", email=MAYA_MAIL)
    token = house.people.invite("prj_other", "usr_maya")
    await browser.open(f"/invitations/{token}")
    assert "Create account" not in browser.page
    assert (await browser.send(f"/invitations/{token}")).url.path == "/login"
    await browser.log_in(MAYA_MAIL)
    assert "Elm Court" in browser.page


async def test_the_integrations_pages_launch_into_the_connector(maya: Browser) -> None:
    for page, opener, target in (
        ("/account/integrations", "/account/integrations/open", "/account/integrations"),
        (
            f"/projects/{PROJECT}/settings/integrations",
            f"/projects/{PROJECT}/settings/integrations/open/connection",
            f"/projects/{PROJECT}/integrations",
        ),
        (
            f"/projects/{PROJECT}/settings/integrations",
            f"/projects/{PROJECT}/settings/integrations/open/activity",
            f"/projects/{PROJECT}/activity",
        ),
    ):
        await maya.open(page)
        assert opener in maya.page
        answer = await maya.client.get(opener)
        assert answer.status_code == 303
        location = httpx2.URL(answer.headers["location"])
        assert (location.host, location.port, location.path) == ("127.0.0.1", 8081, "/launch")
        assert location.params["next"] == target
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


async def test_the_launch_needs_a_login_and_a_member(browser: Browser) -> None:
    for path in ("/account/integrations/open", f"/projects/{PROJECT}/settings/integrations/open/x"):
        answer = await browser.client.get(path)
        assert answer.headers["location"].startswith("/login")


async def test_an_rfi_shows_its_question_and_its_thread_and_cannot_be_edited(
    maya: Browser, api: Part3Api
) -> None:
    await api.put_file(b"sketch", name="sketch.pdf")
    file = a_file(b"sketch", "sketch.pdf")
    await api.put_record(
        a_record(
            question="<p>Which bolts?</p><script>evil()</script>",
            procore_url="https://procore.example/rfi/101",
            due_on="2026-12-04",
            ball_in_court=[{"name": "Maya Lindqvist"}],
            files=[file],
            replies=[
                {
                    "author": {"name": "Greta Olsen"},
                    "text": "<p>See detail 5.</p>",
                    "official": True,
                    "created_at": "2026-11-20T08:00:00Z",
                }
            ],
            extras={"Location": "Level 2", "files_pending": 2},
        )
    )
    await maya.open(RFI)
    for shown in (
        "A-014",
        "<p>Which bolts?</p>",
        "See detail 5.",
        "Official reply",
        "4 Dec 2026",
        "Level 2",
        "2 files are still on the way",
        'href="https://procore.example/rfi/101"',
    ):
        assert shown in maya.page
    assert "evil()" not in maya.page
    got = await maya.client.get(f"{RFI}/files/{file['sha256']}")
    assert got.content == b"sketch"
    assert got.headers["content-disposition"].startswith("attachment")


async def test_a_file_that_a_record_does_not_name_is_not_given_out_under_it(
    maya: Browser, api: Part3Api
) -> None:
    await api.put_record(a_record())
    await api.put_file(b"of another record")
    sha256 = a_file(b"of another record")["sha256"]
    assert (await maya.client.get(f"{RFI}/files/{sha256}")).status_code == 404


async def test_a_private_record_is_hidden_from_those_it_does_not_name(
    strangers: Strangers, maya: Browser, api: Part3Api
) -> None:
    people = [{"name": "Maya Lindqvist", "email": MAYA_MAIL}]
    await api.put_record(a_record(private=True, title="Confidential soil", assignees=people))
    async with strangers() as client:
        ines = Browser(client)
        await ines.log_in(INES_MAIL)
        assert (await ines.open(RFI)).status_code == 404
        await ines.open(f"/projects/{PROJECT}/rfis")
        assert "Confidential soil" not in ines.page
    await maya.open(f"/projects/{PROJECT}/rfis")
    assert "Confidential soil" in maya.page


async def test_the_register_can_be_searched_and_filtered(maya: Browser, api: Part3Api) -> None:
    await api.put_record(a_record(procore_id="1", number="2", title="Glass"))
    await api.put_record(a_record(procore_id="2", number="10", title="Steel", status="closed"))
    register = f"/projects/{PROJECT}/rfis"
    await maya.open(register)
    assert maya.page.index("Glass") < maya.page.index("Steel")
    await maya.open(f"{register}?q=steel")
    assert "Glass" not in maya.page
    await maya.open(f"{register}?status=open")
    assert "Steel" not in maya.page


async def test_the_architect_returns_an_rfi_with_files(
    maya: Browser, api: Part3Api, house: House
) -> None:
    await api.put_record(a_record())
    await maya.open(RFI)
    answer = await maya.send(
        f"{RFI}/return",
        files=[
            ("files", ("Skizze ü.pdf", b"one")),
            ("files", ("two.pdf", b"two")),
            ("cover_page", ("cover.pdf", b"cover")),
        ],
        text="Use M20 anchors.",
        seen_content_version="cv-1",
        team_note="Check with Tomás",
    )
    assert "Returned. It is on its way." in maya.page
    assert answer.url.path == RFI
    made = (await api.call("GET", "/returns")).json()["items"][0]
    assert [file["name"] for file in made["files"]] == ["Skizze ü.pdf", "two.pdf"]
    assert made["cover_page"]["name"] == "cover.pdf"
    assert made["text"] == "Use M20 anchors."
    assert events_of(house)[-1]["data"]["return_id"] == made["id"]
    assert "Check with Tomás" in maya.page
    assert ">Return</button>" not in maya.page  # one at a time


async def test_a_return_names_the_version_its_author_saw(maya: Browser, api: Part3Api) -> None:
    await api.put_record(a_record())
    await maya.open(RFI)
    found = re.search(r'name="seen_content_version" value="([^"]+)"', maya.page)
    assert found
    await api.put_record(a_record(question="<p>Changed</p>", content_version="cv-2"))
    await maya.send(f"{RFI}/return", text="Yes.", seen_content_version=found[1])
    made = (await api.call("GET", "/returns")).json()["items"][0]
    assert made["seen_content_version"] == "cv-1"


async def test_a_submittal_is_returned_with_a_disposition_in_proper_words(
    maya: Browser, api: Part3Api
) -> None:
    path = f"/projects/{PROJECT}/submittals/7"
    await api.put_record(a_record("submittal", "7", spec_section="03 30 00", revision="1"))
    await maya.open(path)
    assert "Approved as Noted" in maya.page
    refused = await maya.send(f"{path}/return", text="A typed comment", disposition="void")
    assert refused.status_code == 422
    assert "A typed comment" in maya.page
    await maya.send(f"{path}/return", text="See notes", disposition="proceed_as_noted")
    made = (await api.call("GET", "/returns")).json()["items"][0]
    assert made["disposition"] == "proceed_as_noted"
    assert made["stamp"] == "Approved as Noted"


async def test_an_owner_sees_records_and_returns_none(strangers: Strangers, api: Part3Api) -> None:
    await api.put_record(a_record())
    async with strangers() as client:
        ines = Browser(client)
        await ines.log_in(INES_MAIL)
        await ines.open(RFI)
        assert ">Return</button>" not in ines.page
        await ines.send(f"{RFI}/return", text="Yes.")
    assert (await api.call("GET", "/returns")).json()["items"] == []


async def test_a_held_return_is_confirmed_by_its_author_on_the_page(
    maya: Browser, api: Part3Api
) -> None:
    await api.put_record(a_record())
    made = await api.make_return()
    await api.report(
        made["id"], "held", reason="question_changed", message="The question has changed."
    )
    await maya.open(RFI)
    assert "The question has changed." in maya.page
    await maya.send(f"/projects/{PROJECT}/returns/{made['id']}/confirm")
    assert "Confirmed. It is on its way again." in maya.page
    assert await api.return_state(made["id"]) == "pending"


async def test_nobody_withdraws_the_return_of_another(strangers: Strangers, api: Part3Api) -> None:
    await api.put_record(a_record())
    made = await api.make_return()
    async with strangers() as client:
        tomas = Browser(client)
        await tomas.log_in(TOMAS_MAIL)
        await tomas.open(RFI)
        answer = await tomas.send(f"/projects/{PROJECT}/returns/{made['id']}/withdraw")
    assert answer.status_code == 403
    assert await api.return_state(made["id"]) == "pending"


async def test_a_delivered_return_shows_its_receipt(maya: Browser, api: Part3Api) -> None:
    await api.put_record(a_record())
    made = await api.make_return()
    receipt = {
        "procore_id": "5551",
        "author": {"procore_id": "9", "name": "Maya L. (Procore)"},
        "at": "2026-11-24T10:00:00Z",
        "text": "<p>Use M20 anchors.</p>",
        "response": None,
        "files": [{"name": "one.pdf", "size": 3, "sha256": "x", "procore_id": "1"}],
    }
    await api.report(made["id"], "delivered", receipt=receipt)
    await maya.open(RFI)
    for shown in ("Delivered", "Maya L. (Procore)", "5551", "one.pdf"):
        assert shown in maya.page


async def test_a_receipt_with_only_what_it_must_have_still_shows(
    maya: Browser, api: Part3Api
) -> None:
    await api.put_record(a_record())
    made = await api.make_return()
    await api.report(made["id"], "delivered", receipt={"files": [{"name": "one.pdf"}]})
    assert (await maya.open(RFI)).status_code == 200


async def test_readiness_stands_on_the_records_page(maya: Browser, api: Part3Api) -> None:
    await api.put_record(a_record())
    body = {
        "returnable": False,
        "message": "Waiting for Maya Lindqvist to authorize.",
        "as_of": "2026-11-24T10:00:00Z",
    }
    await api.call("PUT", "/records/rfi/101/readiness", json=body)
    await maya.open(RFI)
    assert "Waiting for Maya Lindqvist to authorize." in maya.page


async def test_asking_for_the_latest_tells_the_connector(
    maya: Browser, api: Part3Api, house: House
) -> None:
    await api.put_record(a_record())
    await maya.open(RFI)
    await maya.send(f"{RFI}/check")
    event = events_of(house)[-1]
    assert (event["type"], event["data"]["procore_id"]) == ("record.changed", "101")


async def test_archiving_asks_first_and_tells_the_connector(maya: Browser, house: House) -> None:
    settings = f"/projects/{PROJECT}/settings"
    await maya.open(settings)
    await maya.send(f"{settings}/archive")
    assert not house.people.project(PROJECT).archived
    await maya.send(f"{settings}/archive", sure="yes")
    assert house.people.project(PROJECT).archived
    assert events_of(house)[-1]["type"] == "project.archived"
