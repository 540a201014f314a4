"""Talking to the stand-in in a test, as one of its people."""

import json
from typing import Any

import httpx2

from sandbox.procore import seeding
from sandbox.procore.domain import accounts, directory
from sandbox.procore.domain.people import Person, Project
from sandbox.procore.world import World

CLIENT_ID, CLIENT_SECRET = "connector", "very-secret"
REDIRECT = "http://127.0.0.1:9/oauth/procore/callback"
API, STORAGE = "http://procore.test", "http://storage.test"

MANAGER = "maya.okafor@harbormain.example"
ARCHITECT = "elena.marsh@marshlindqvist.example"
ENGINEER = "jonas.weber@marshlindqvist.example"
TRADE = "ray.delgado@clearspanglass.example"

Json = Any


class Site:
    """The stand-in, its world, and clients for its people."""

    def __init__(self, world: World, http: httpx2.AsyncClient) -> None:
        self.world = world
        self.http = http
        self.app = world.store.get(accounts.App, CLIENT_ID)
        assert self.app is not None

    def person(self, email: str) -> Person:
        found = directory.person_by_login(self.world, email)
        assert found is not None
        return found

    @property
    def project(self) -> Project:
        return self.world.store.every(Project)[0]

    @property
    def company_id(self) -> int:
        return self.project.company_id

    def tokens(self, email: str) -> dict[str, Any]:
        assert self.app is not None
        code = accounts.issue_code(self.world, self.app, self.person(email), REDIRECT)
        return accounts.redeem_code(self.world, self.app, code, REDIRECT)

    def as_(self, email: str) -> "Client":
        return Client(self, self.tokens(email)["access_token"])


class Client:
    """Calls the API as one person, for the site's company."""

    def __init__(self, site: Site, token: str) -> None:
        self.site = site
        self.token = token

    async def call(self, method: str, path: str, **kwargs: Any) -> httpx2.Response:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Procore-Company-Id": str(self.site.company_id),
            **kwargs.pop("headers", {}),
        }
        wanted = {k: v for k, v in headers.items() if v is not None}
        return await self.site.http.request(method, path, headers=wanted, **kwargs)

    async def ok(self, method: str, path: str, **kwargs: Any) -> Json:
        response = await self.call(method, path, **kwargs)
        assert response.is_success, (response.status_code, response.text)
        return response.json() if response.content else None

    @property
    def rfis(self) -> str:
        return f"/rest/v1.0/projects/{self.site.project.id}/rfis"

    @property
    def submittals(self) -> str:
        return f"/rest/v1.1/projects/{self.site.project.id}/submittals"

    async def new_rfi(self, **fields: Any) -> Json:
        site = self.site
        body = {
            "subject": "Anchor conflict at grid D",
            "rfi_manager_id": site.person(MANAGER).id,
            "assignee_ids": [site.person(ARCHITECT).id],
            "question": {"body": "<p>Move the anchor 4&quot; east?</p>"},
            **fields,
        }
        return await self.ok("POST", self.rfis, json={"rfi": body})

    async def rfi(self, rfi_id: int) -> Json:
        return await self.ok("GET", f"{self.rfis}/{rfi_id}")

    async def reply(self, rfi_id: int, body: str = "<p>Yes.</p>", **fields: Any) -> Json:
        return await self.ok(
            "POST", f"{self.rfis}/{rfi_id}/replies", json={"reply": {"body": body, **fields}}
        )

    async def new_submittal(self, *steps: list[Json], **fields: Any) -> Json:
        """Steps of members, each an email or a member's own words."""
        data = {"submittal[number]": "1", "submittal[title]": "Shop drawings"}
        data |= {f"submittal[{name}]": str(value) for name, value in fields.items()}
        data["submittal[submittal_manager_id]"] = str(self.site.person(MANAGER).id)
        if steps:
            data["submittal[workflow_data]"] = json.dumps(
                [[self._member(m) for m in step] for step in steps]
            )
        return await self.ok(
            "POST", self.submittals, data=data, files={"ignored": ("x.txt", b"x", "text/plain")}
        )

    def _member(self, given: Any) -> Json:
        if isinstance(given, str):
            given = {"email": given}
        rest = {k: v for k, v in given.items() if k != "email"}
        return {"login_information_id": self.site.person(given["email"]).id, **rest}

    async def submittal(self, submittal_id: int) -> Json:
        return await self.ok("GET", f"{self.submittals}/{submittal_id}")

    def response_id(self, considered: str) -> int:
        return next(r.id for r in self.site.project.responses if r.considered == considered)

    async def respond(
        self, submittal: Json, email: str, considered: str = "approved", **fields: Any
    ) -> httpx2.Response:
        user_id = self.site.person(email).id
        row = [r for r in submittal["approvers"] if r["user"]["id"] == user_id][-1]
        body = {"submittal_response_id": self.response_id(considered), **fields}
        return await self.call(
            "PATCH",
            f"/rest/v1.0/submittal_approvers/{row['id']}",
            params={"project_id": self.site.project.id, "submittal_id": submittal["id"]},
            json={"submittal_approver": body},
        )


def small_spec() -> seeding.WorldSpec:
    spec = seeding.demo_spec(rfis=0, submittals=0)
    return seeding.WorldSpec(companies=spec.companies, people=spec.people, projects=spec.projects)
