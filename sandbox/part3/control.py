"""/_sandbox: what a demo or a test asks of the stand-in, and no real Part3 would have."""

import base64
import binascii
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.part3.authoring import Authoring, Upload, one_chunk
from sandbox.part3.faults import Orders
from sandbox.part3.house import House
from sandbox.part3.people import CannotAdd
from sandbox.part3.problems import Problem
from sandbox.part3.returns import NotNow
from sandbox.part3.seeding import Seed, SeedCompany, SeedPerson, seed
from sandbox.part3.wire import Disposition, Kind, Role

T = TypeVar("T")


class GivenFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    content_base64: str
    content_type: str = "application/octet-stream"


class ReturnOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A return as its author would make it on the record's page."""

    project_id: str
    kind: Kind
    procore_id: str
    author: str  # user id or e-mail
    text: str | None = None
    disposition: Disposition | None = None
    stamp: str | None = None
    files: list[GivenFile] = []
    cover_page: GivenFile | None = None
    team_note: str = ""
    seen_content_version: str | None = None  # None: what the record has now


class ProjectOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    project_id: str


class LaunchOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    user: str  # user id or e-mail
    next: str = "/account/integrations"


class MemberOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    project_id: str
    company: str
    role: Role
    name: str
    email: str
    password: str | None = None  # given: the account is made at once
    user_id: str | None = None
    invite: bool = False  # send the invitation mail


async def _read(request: Request, shape: type[T]) -> T:
    # A page elsewhere cannot send this type without asking first, and is not answered.
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise Problem(415, "Send application/json.")
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise Problem(422, str(error)) from error
    except msgspec.DecodeError as error:
        raise Problem(400, f"The body is not JSON: {error}") from error


def _upload(given: GivenFile) -> Upload:
    try:
        content = base64.b64decode(given.content_base64, validate=True)
    except binascii.Error as error:
        raise Problem(422, f"{given.name}: not base64") from error
    return Upload(name=given.name, content_type=given.content_type, chunks=one_chunk(content))


class Control:
    def __init__(self, house: House, authoring: Authoring) -> None:
        self._house = house
        self._authoring = authoring

    async def health(self, _: Request) -> Response:
        waiting = self._house.outbox.waiting()
        return JSONResponse({"status": "ok", "events_waiting": waiting})

    async def ledger(self, request: Request) -> Response:
        asked = request.query_params
        after, limit = asked.get("after", "0"), asked.get("limit", "1000")
        if not (after.isdecimal() and limit.isdecimal()):
            raise Problem(422, "after and limit are whole numbers")
        entries = self._house.ledger.read(
            after=int(after), limit=int(limit), entry=asked.get("entry"), what=asked.get("what")
        )
        return JSONResponse({"entries": entries, "counts": self._house.ledger.counts()})

    async def get_faults(self, _: Request) -> Response:
        return JSONResponse(msgspec.to_builtins(self._house.faults.orders))

    async def set_faults(self, request: Request) -> Response:
        self._house.faults.set(await _read(request, Orders))
        return await self.get_faults(request)

    async def seed(self, request: Request) -> Response:
        return JSONResponse(seed(self._house, await _read(request, Seed)))

    async def member(self, request: Request) -> Response:
        order = await _read(request, MemberOrder)
        people = self._house.people
        people.project(order.project_id)
        if order.password is not None:
            person = SeedPerson(
                user_id=order.user_id or f"usr_{order.email}", name=order.name, email=order.email
            )
            company = SeedCompany(name=order.company, role=order.role, people=[person])
            seed(
                self._house,
                Seed(project_id=order.project_id, password=order.password, companies=[company]),
            )
            user_id = self._user_id(order.email)
            self._house.outbox.add("member.changed", project_id=order.project_id, user_id=user_id)
        else:
            user_id = self._add(order)
        if order.invite:
            await self._authoring.invite(order.project_id, user_id, inviter="Part3")
        return JSONResponse({"user_id": user_id}, status_code=201)

    def _add(self, order: MemberOrder) -> str:
        people = self._house.people
        companies = {row["name"]: str(row["id"]) for row in people.companies(order.project_id)}
        try:
            company_id = companies.get(order.company) or people.add_company(
                order.project_id, order.company, order.role
            )
            return people.add_member(
                order.project_id, company_id, name=order.name, email=order.email
            )
        except CannotAdd as error:
            raise Problem(422, str(error)) from error

    def _user_id(self, user: str) -> str:
        row = self._house.people.user(user) or self._house.people.user_by_email(user)
        if row is None:
            raise Problem(404, f"Nobody is called {user}.")
        return str(row["id"])

    async def make_return(self, request: Request) -> Response:
        order = await _read(request, ReturnOrder)
        people = self._house.people
        project_id = people.project(order.project_id).id
        author = people.member(project_id, self._user_id(order.author))
        if author is None:
            raise Problem(422, f"{order.author} is not on the team.")
        record = self._house.records.get(project_id, order.kind, order.procore_id)
        seen = order.seen_content_version
        made = await self._authoring.finish(
            record=record,
            project_id=project_id,
            author=author,
            seen_content_version=record.content_version if seen is None else seen,
            text=order.text,
            disposition=order.disposition,
            stamp=order.stamp,
            uploads=[_upload(given) for given in order.files],
            cover_page=_upload(order.cover_page) if order.cover_page else None,
            team_note=order.team_note,
        )
        return Response(msgspec.json.encode(made), status_code=201, media_type="application/json")

    async def confirm(self, request: Request) -> Response:
        order = await _read(request, ProjectOrder)
        return_id = request.path_params["return_id"]
        try:
            self._house.returns.confirm(order.project_id, return_id)
        except NotNow as error:
            raise Problem(409, str(error)) from error
        return Response(status_code=204)

    async def withdraw(self, request: Request) -> Response:
        order = await _read(request, ProjectOrder)
        return_id = request.path_params["return_id"]
        try:
            self._house.returns.withdraw(order.project_id, return_id)
        except NotNow as error:
            raise Problem(409, str(error)) from error
        return Response(status_code=204)

    async def launch(self, request: Request) -> Response:
        order = await _read(request, LaunchOrder)
        user = self._house.people.user(self._user_id(order.user))
        if user is None:
            raise Problem(404, f"Nobody is called {order.user}.")
        return JSONResponse({"url": self._house.launcher.address(user, order.next)})

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/health", self.health, methods=["GET"]),
            Route("/_sandbox/ledger", self.ledger, methods=["GET"]),
            Route("/_sandbox/faults", self.get_faults, methods=["GET"]),
            Route("/_sandbox/faults", self.set_faults, methods=["POST"]),
            Route("/_sandbox/seed", self.seed, methods=["POST"]),
            Route("/_sandbox/members", self.member, methods=["POST"]),
            Route("/_sandbox/returns", self.make_return, methods=["POST"]),
            Route("/_sandbox/returns/{return_id}/confirm", self.confirm, methods=["POST"]),
            Route("/_sandbox/returns/{return_id}/withdraw", self.withdraw, methods=["POST"]),
            Route("/_sandbox/launch", self.launch, methods=["POST"]),
        ]
