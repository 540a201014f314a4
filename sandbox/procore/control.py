"""`/_sandbox`: what only a stand-in has. Clock, faults, switches, worlds, apps, the ledger."""

import re
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec.structs import asdict, replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.procore import project_control, seeding
from sandbox.procore.domain import accounts, directory
from sandbox.procore.domain.accounts import App
from sandbox.procore.domain.people import Actor, Company, Level, Person, Project, Tool
from sandbox.procore.errors import NotFound, Refusal
from sandbox.procore.rest.answers import json_response
from sandbox.procore.store import stamp, unstamp
from sandbox.procore.world import World

T = TypeVar("T")

LEDGER_LIMIT = 1000


class ClockOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    advance_s: float | None = None
    set: datetime | None = None
    frozen: bool | None = None


class FaultOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seed: int = 0
    rules: list[dict[str, Any]] = msgspec.field(default_factory=list)


class SeedOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either a spec, or the demo's world in a size of choice."""

    reset: bool = False
    spec: seeding.WorldSpec | None = None
    rfis: int = 40
    submittals: int = 60


class AppOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    client_id: str
    client_secret: str
    name: str = "Part3 Connector"
    redirect_uris: tuple[str, ...] = ()
    install_in: tuple[int, ...] | None = None  # company ids; absent: every company


class InstallOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    company_id: int
    client_id: str
    installed: bool


class LevelOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    project_id: int
    user_id: int
    levels: dict[Tool, Level] | None = None  # None: out of the project's directory
    disabled_tools: tuple[Tool, ...] | None = None


class RevokeOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    user_id: int


class Control:
    """Endpoints over one world. No login: the stand-in listens on loopback."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/_sandbox/health", self.health),
            Route("/_sandbox/world", self.show_world),
            Route("/_sandbox/clock", self.clock, methods=["GET", "POST"]),
            Route("/_sandbox/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/_sandbox/switches", self.switches, methods=["GET", "POST", "DELETE"]),
            Route("/_sandbox/seed", self.seed, methods=["POST"]),
            Route("/_sandbox/apps", self.apps, methods=["GET", "POST"]),
            Route("/_sandbox/installs", self.installs, methods=["POST"]),
            Route("/_sandbox/levels", self.levels, methods=["POST"]),
            Route("/_sandbox/projects", self.projects, methods=["POST"]),
            Route("/_sandbox/revocations", self.revocations, methods=["POST"]),
            Route("/_sandbox/ledger", self.ledger, methods=["GET", "DELETE"]),
        ]

    async def health(self, _request: Request) -> Response:
        waiting = self.world.store.rows(
            "SELECT count(*) AS n FROM deliveries WHERE status IN ('enqueued', 'retrying')"
        )
        return json_response(
            {
                "status": "ok",
                "now": self.world.now(),
                "public_url": self.world.public_url,
                "storage_url": self.world.storage_url,
                "deliveries_waiting": waiting[0]["n"],
            }
        )

    async def show_world(self, _request: Request) -> Response:
        store = self.world.store
        return json_response(
            {
                "companies": [_company(c) for c in store.every(Company)],
                "people": [
                    {"id": p.id, "name": p.name, "email": p.login} for p in store.every(Person)
                ],
                "projects": [
                    {"id": p.id, "name": p.name, "company_id": p.company_id}
                    for p in store.every(Project)
                ],
            }
        )

    async def clock(self, request: Request) -> Response:
        """`{"advance_s": 60}`, `{"set": "…Z"}`, `{"frozen": true}`; a GET reads it."""
        clock = self.world.clock
        if request.method == "POST":
            order, wrong = await _order(request, ClockOrder)
            if order is None:
                return wrong
            if order.frozen is not None:
                clock.freeze() if order.frozen else clock.resume()
            if order.set is not None:
                clock.set(order.set if order.set.tzinfo else order.set.replace(tzinfo=UTC))
            if order.advance_s is not None:
                clock.advance(order.advance_s)
            self.world.keep_clock()
        return json_response({"now": clock.now(), "frozen": clock.frozen_at is not None})

    async def faults(self, request: Request) -> Response:
        """The rules in force with their hits; a POST replaces them, a DELETE ends them."""
        faults = self.world.faults
        if request.method == "DELETE":
            self.world.set_faults(0, [])
        if request.method == "POST":
            order, wrong = await _order(request, FaultOrder)
            if order is None:
                return wrong
            try:
                self.world.set_faults(order.seed, order.rules)
            except (msgspec.ValidationError, re.error) as error:
                return _wrong(str(error))
        return json_response({"seed": faults.seed, "rules": faults.rules})

    async def switches(self, request: Request) -> Response:
        """A POST changes those it names, a DELETE puts all back."""
        world = self.world
        if request.method == "DELETE":
            world.set_switches(type(world.switches)())
        if request.method == "POST":
            try:
                changes = msgspec.json.decode(await request.body(), type=dict[str, Any])
                merged = {**asdict(world.switches), **changes}
                world.set_switches(msgspec.convert(merged, type(world.switches)))
            except msgspec.MsgspecError as error:
                return _wrong(str(error))
        return json_response(world.switches)

    async def seed(self, request: Request) -> Response:
        """Builds a world and answers its ids and logins; `reset` empties everything first."""
        order, wrong = await _order(request, SeedOrder)
        if order is None:
            return wrong
        if order.reset:
            self._forget()
        spec = order.spec or seeding.demo_spec(rfis=order.rfis, submittals=order.submittals)
        try:
            return json_response(seeding.build(self.world, spec), 201)
        except (Refusal, KeyError, StopIteration, IndexError) as error:
            return _wrong(f"the spec does not hold together: {error!r}")

    def _forget(self) -> None:
        """A new world; the registered apps stay."""
        store = self.world.store
        apps = store.every(App)
        store.forget_everything()
        for app in apps:
            store.put(replace(app, service_user_id=None))
        self.world.set_switches(self.world.switches)
        self.world.set_faults(0, [])
        self.world.keep_clock()

    async def apps(self, request: Request) -> Response:
        if request.method == "POST":
            order, wrong = await _order(request, AppOrder)
            if order is None:
                return wrong
            register(self.world, order)
        shown = [
            {"client_id": a.client_id, "name": a.name, "redirect_uris": a.redirect_uris}
            for a in self.world.store.every(App)
        ]
        return json_response({"apps": shown})

    async def installs(self, request: Request) -> Response:
        """Connect an app to a company or disconnect it, at runtime."""
        order, wrong = await _order(request, InstallOrder)
        if order is None:
            return wrong
        try:
            company = directory.set_installed(
                self.world,
                company_id=order.company_id,
                app=order.client_id,
                installed=order.installed,
            )
        except NotFound:
            return _wrong("no such company", 404)
        return json_response(_company(company))

    async def levels(self, request: Request) -> Response:
        """Change somebody's levels in a project, or its disabled tools."""
        order, wrong = await _order(request, LevelOrder)
        if order is None:
            return wrong
        project = self.world.store.get(Project, order.project_id)
        if project is None:
            return _wrong("no such project", 404)
        if order.disabled_tools is not None:
            project = replace(project, disabled_tools=order.disabled_tools)
            directory.change_project(self.world, project)
        if order.levels is None:
            directory.remove_member(self.world, project_id=order.project_id, user_id=order.user_id)
            return json_response({"member": False})
        place = directory.set_level(
            self.world, project_id=order.project_id, user_id=order.user_id, levels=order.levels
        )
        self.world.note_effect(
            Actor(user_id=order.user_id), "levels.changed", "projects", order.project_id
        )
        return json_response({"member": True, "levels": place.levels})

    async def projects(self, request: Request) -> Response:
        """Change a project's settings, response names or tools; answers the project."""
        order, wrong = await _order(request, project_control.ProjectOrder)
        if order is None:
            return wrong
        try:
            return json_response(project_control.change(self.world, order))
        except Refusal as refusal:
            return _wrong("; ".join(refusal.words), refusal.status)

    async def revocations(self, request: Request) -> Response:
        """End every token of a person."""
        order, wrong = await _order(request, RevokeOrder)
        if order is None:
            return wrong
        return json_response({"revoked": accounts.revoke_all_of(self.world, order.user_id)})

    async def ledger(self, request: Request) -> Response:
        """Calls, effects, events and deliveries; `after` is a time, `limit` counts from the end."""
        store = self.world.store
        if request.method == "DELETE":
            for table in ("calls", "effects"):
                store.run(f"DELETE FROM {table}")
            return Response(status_code=204)
        after = request.query_params.get("after", "")
        try:
            since = stamp(unstamp(after.replace(" ", "+"))) if after else ""
            limit = int(request.query_params.get("limit", LEDGER_LIMIT))
        except ValueError:
            return _wrong("after is a time in ISO 8601, limit a number")
        columns = {"calls": "at", "effects": "at", "events": "at", "deliveries": "enqueued_at"}
        answer: dict[str, Any] = {}
        for table, at in columns.items():
            rows = store.rows(
                f"SELECT * FROM {table} WHERE {at} >= ? ORDER BY id DESC LIMIT ?", (since, limit)
            )
            answer[table] = rows[::-1]
        ids = [row["id"] for row in answer["deliveries"]]
        first = min(ids, default=0)
        answer["attempts"] = store.rows(
            "SELECT * FROM attempts WHERE delivery_id >= ? ORDER BY id", (first,)
        )
        kinds = ("code.redeemed", "refresh_token.redeemed", "token.revoked")
        answer["redemptions"] = [e for e in answer["effects"] if e["effect"] in kinds]
        return json_response(answer)


def register(world: World, order: AppOrder) -> App:
    """Register an app, and install it where the order says."""
    known = world.store.get(App, order.client_id)
    app = App(
        client_id=order.client_id,
        client_secret=order.client_secret,
        name=order.name,
        redirect_uris=order.redirect_uris,
        service_user_id=known.service_user_id if known else None,
    )
    accounts.register(world, app)
    for company in world.store.every(Company):
        if order.install_in is None or company.id in order.install_in:
            directory.set_installed(world, company_id=company.id, app=app.client_id, installed=True)
    return app


def _company(company: Company) -> dict[str, Any]:
    return {
        "id": company.id,
        "name": company.name,
        "installed_apps": company.installed_apps,
        "statuses": company.statuses,
    }


def _wrong(words: str, status: int = 400) -> Response:
    return json_response({"error": words}, status)


async def _order(request: Request, kind: type[T]) -> tuple[T | None, Response]:
    """The body as that struct; else None and what to answer."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=kind), _wrong("")
    except msgspec.MsgspecError as error:
        return None, _wrong(str(error))
