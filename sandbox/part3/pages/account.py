"""Log in, log out, accept an invitation, account settings."""

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.part3.pages.frame import Frame, PageRefused, Visit, own_path
from sandbox.part3.passwords import MIN_LENGTH, check_password, hash_password


class AccountPages:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._house = frame.house

    async def home(self, visit: Visit) -> Response:
        return RedirectResponse("/projects" if visit.user else "/login", status_code=303)

    async def login_form(self, visit: Visit) -> Response:
        next_path = own_path(visit.request.query_params.get("next"))
        if visit.user is not None:
            return RedirectResponse(next_path, status_code=303)
        return self._frame.render(visit, "login.html", email="", next_path=next_path, fault=None)

    async def log_in(self, visit: Visit) -> Response:
        email, next_path = visit.text("email"), own_path(visit.text("next"))
        password = visit.form.get("password")
        user = self._house.people.user_by_email(email)
        given = password if isinstance(password, str) else ""
        if not await check_password(given, user["password"] if user else None) or user is None:
            return self._frame.render(
                visit,
                "login.html",
                status=401,
                email=email,
                next_path=next_path,
                fault="E-mail address and password do not match.",
            )
        return self._enter(visit, str(user["id"]), next_path)

    def _enter(self, visit: Visit, user_id: str, path: str, say: str | None = None) -> Response:
        session = self._house.sessions.log_in(visit.session, user_id)
        if say:
            self._house.sessions.set_flash(session, say)
        response = RedirectResponse(path, status_code=303)
        self._house.sessions.put_cookie(response, session)
        return response

    async def log_out(self, visit: Visit) -> Response:
        self._house.sessions.close(visit.session)
        response = RedirectResponse("/login", status_code=303)
        self._house.sessions.drop_cookie(response)
        return response

    async def invitation(self, visit: Visit) -> Response:
        token = visit.path("token")
        invitation = self._house.people.invitation(token)
        if invitation is None:
            raise PageRefused(
                404,
                "This invitation is no longer good",
                "It was used already or is too old. If you have an account, log in;"
                " otherwise ask whoever invited you to send it again.",
            )
        return self._frame.render(
            visit, "invitation.html", invitation=invitation, name=invitation.name, fault=None
        )

    async def accept(self, visit: Visit) -> Response:
        people, token = self._house.people, visit.path("token")
        invitation = people.invitation(token)
        if invitation is None:
            return await self.invitation(visit)
        welcome = f"Welcome to {invitation.project_name}."
        to_project = f"/projects/{invitation.project_id}"
        if invitation.has_account:
            people.accept(token)
            if visit.user is not None and visit.user["id"] == invitation.user_id:
                return self._frame.go(visit, to_project, welcome)
            return RedirectResponse(f"/login?next={to_project}", status_code=303)
        name, password = visit.text("name"), visit.form.get("password")
        fault = _fault_of_account(name, password)
        if fault or not isinstance(password, str):
            return self._frame.render(
                visit,
                "invitation.html",
                status=422,
                invitation=invitation,
                name=name,
                fault=fault,
            )
        people.accept(token, name=name, password=hash_password(password))
        return self._enter(visit, invitation.user_id, to_project, welcome)

    async def profile(self, visit: Visit) -> Response:
        projects = self._house.people.projects_of(visit.who["id"])
        return self._frame.render(visit, "account_profile.html", projects=projects)

    async def integrations(self, visit: Visit) -> Response:
        return self._frame.render(visit, "account_integrations.html")

    async def open_procore(self, visit: Visit) -> Response:
        address = self._house.launcher.address(visit.who, "/account/integrations")
        return RedirectResponse(
            address, status_code=303, headers={"Referrer-Policy": "no-referrer"}
        )

    def routes(self) -> list[Route]:
        everybody, members = self._frame.open, self._frame.closed
        return [
            Route("/", everybody(self.home), methods=["GET"]),
            Route("/login", everybody(self.login_form), methods=["GET"]),
            Route("/login", everybody(self.log_in), methods=["POST"]),
            Route("/logout", members(self.log_out), methods=["POST"]),
            Route("/invitations/{token}", everybody(self.invitation), methods=["GET"]),
            Route("/invitations/{token}", everybody(self.accept), methods=["POST"]),
            Route("/account", members(self.profile), methods=["GET"]),
            Route("/account/integrations", members(self.integrations), methods=["GET"]),
            Route("/account/integrations/open", members(self.open_procore), methods=["GET"]),
        ]


def _fault_of_account(name: str, password: object) -> str | None:
    if not name:
        return "Enter your name."
    if not isinstance(password, str) or len(password) < MIN_LENGTH:
        return f"Choose a password of {MIN_LENGTH} characters or more."
    return None
