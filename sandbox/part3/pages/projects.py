"""Projects, their team and their settings."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.part3.authoring import Authoring
from sandbox.part3.mail import NotSent
from sandbox.part3.pages.frame import Frame, PageRefused, Visit, nothing_here
from sandbox.part3.people import CannotAdd
from sandbox.part3.wire import Member, Project


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in which project a person is, and as whom."""

    project: Project
    me: Member

    @property
    def leads(self) -> bool:
        return self.me.role == "prime_consultant"


def place_of(frame: Frame, visit: Visit) -> Place:
    """Raises PageRefused 404 alike for a project that is not there and one that is not theirs."""
    people = frame.house.people
    project_id = visit.path("project_id")
    me = people.member(project_id, visit.who["id"])
    if me is None:
        raise nothing_here()
    return Place(project=people.project(project_id), me=me)


class ProjectPages:
    def __init__(self, frame: Frame, authoring: Authoring) -> None:
        self._frame = frame
        self._house = frame.house
        self._authoring = authoring

    def _show(
        self, visit: Visit, template: str, place: Place, *, status: int = 200, **more: Any
    ) -> Response:
        return self._frame.render(
            visit, template, status=status, project=place.project, place=place, **more
        )

    def _leading(self, visit: Visit) -> Place:
        place = place_of(self._frame, visit)
        if not place.leads:
            raise PageRefused(
                403, "Only the prime consultant can do this", "Ask them to change the team."
            )
        return place

    async def projects(self, visit: Visit) -> Response:
        return self._frame.render(
            visit, "projects.html", projects=self._house.people.projects_of(visit.who["id"])
        )

    async def project(self, visit: Visit) -> Response:
        place = place_of(self._frame, visit)
        path = f"/projects/{place.project.id}/rfis"
        return RedirectResponse(path, status_code=303)

    async def team(self, visit: Visit) -> Response:
        place = place_of(self._frame, visit)
        people = self._house.people
        return self._show(
            visit,
            "team.html",
            place,
            companies=people.companies(place.project.id),
            members=people.members(place.project.id),
        )

    async def new_company(self, visit: Visit) -> Response:
        place = self._leading(visit)
        return self._show(visit, "company_new.html", place, name="", role="", fault=None)

    async def add_company(self, visit: Visit) -> Response:
        place = self._leading(visit)
        name, role = visit.text("name"), visit.text("role")
        try:
            self._house.people.add_company(place.project.id, name, role)
        except CannotAdd as error:
            return self._show(
                visit,
                "company_new.html",
                place,
                status=422,
                name=name,
                role=role,
                fault=str(error),
            )
        return self._frame.go(visit, self._team(place), f"{name} is on the team.")

    def _team(self, place: Place) -> str:
        return f"/projects/{place.project.id}/team"

    async def new_member(self, visit: Visit) -> Response:
        place = self._leading(visit)
        company = self._house.people.company(place.project.id, visit.path("company_id"))
        if company is None:
            raise nothing_here()
        return self._show(
            visit, "member_new.html", place, company=company, name="", email="", fault=None
        )

    async def add_member(self, visit: Visit) -> Response:
        place = self._leading(visit)
        people = self._house.people
        company = people.company(place.project.id, visit.path("company_id"))
        if company is None:
            raise nothing_here()
        name, email = visit.text("name"), visit.text("email")
        try:
            user_id = people.add_member(place.project.id, company["id"], name=name, email=email)
        except CannotAdd as error:
            return self._show(
                visit,
                "member_new.html",
                place,
                status=422,
                company=company,
                name=name,
                email=email,
                fault=str(error),
            )
        said = f"{name} is on the team."
        if visit.text("invite"):
            said = await self._invite(visit, place, user_id)
        return self._frame.go(visit, self._team(place), said)

    async def _invite(self, visit: Visit, place: Place, user_id: str) -> str:
        try:
            await self._authoring.invite(place.project.id, user_id, inviter=visit.who["name"])
        except NotSent as error:
            return f"The invitation was not sent: {error}. You can send it again from this page."
        member = self._house.people.member(place.project.id, user_id)
        return f"Invitation sent to {member.email if member else user_id}."

    async def invite_again(self, visit: Visit) -> Response:
        place = self._leading(visit)
        said = await self._invite(visit, place, visit.path("user_id"))
        return self._frame.go(visit, self._team(place), said)

    async def remove_member(self, visit: Visit) -> Response:
        place = self._leading(visit)
        user_id = visit.path("user_id")
        if user_id == place.me.user_id:
            return self._frame.go(visit, self._team(place), "You cannot remove yourself.")
        self._house.people.remove_member(place.project.id, user_id)
        return self._frame.go(visit, self._team(place), "Removed from the team.")

    async def settings(self, visit: Visit) -> Response:
        return self._show(visit, "settings_general.html", place_of(self._frame, visit))

    async def archive(self, visit: Visit) -> Response:
        place = self._leading(visit)
        if not visit.text("sure"):
            say = "Tick the box to archive the project."
        else:
            self._house.people.archive(place.project.id)
            say = "The project is archived."
        return self._frame.go(visit, f"/projects/{place.project.id}/settings", say)

    async def integrations(self, visit: Visit) -> Response:
        return self._show(visit, "settings_integrations.html", place_of(self._frame, visit))

    async def open_connector(self, visit: Visit) -> Response:
        place = place_of(self._frame, visit)
        page = "activity" if visit.path("page") == "activity" else "integrations"
        path = f"/projects/{place.project.id}/{page}"
        return RedirectResponse(
            self._house.launcher.address(visit.who, path),
            status_code=303,
            headers={"Referrer-Policy": "no-referrer"},
        )

    def routes(self) -> list[Route]:
        wrap = self._frame.closed
        project = "/projects/{project_id}"
        team = project + "/team"
        members = team + "/companies/{company_id}/members"
        return [
            Route("/projects", wrap(self.projects), methods=["GET"]),
            Route(project, wrap(self.project), methods=["GET"]),
            Route(team, wrap(self.team), methods=["GET"]),
            Route(team + "/companies/new", wrap(self.new_company), methods=["GET"]),
            Route(team + "/companies/new", wrap(self.add_company), methods=["POST"]),
            Route(members + "/new", wrap(self.new_member), methods=["GET"]),
            Route(members + "/new", wrap(self.add_member), methods=["POST"]),
            Route(team + "/members/{user_id}/invite", wrap(self.invite_again), methods=["POST"]),
            Route(team + "/members/{user_id}/remove", wrap(self.remove_member), methods=["POST"]),
            Route(project + "/settings", wrap(self.settings), methods=["GET"]),
            Route(project + "/settings/archive", wrap(self.archive), methods=["POST"]),
            Route(project + "/settings/integrations", wrap(self.integrations), methods=["GET"]),
            Route(
                project + "/settings/integrations/open/{page}",
                wrap(self.open_connector),
                methods=["GET"],
            ),
        ]
