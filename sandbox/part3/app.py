"""The stand-in as one ASGI application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib import resources

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sandbox.part3.api import api_mount
from sandbox.part3.authoring import Authoring
from sandbox.part3.control import Control
from sandbox.part3.events import Dispatcher
from sandbox.part3.faults import FaultyCalls
from sandbox.part3.house import House
from sandbox.part3.pages.account import AccountPages
from sandbox.part3.pages.frame import Frame, Visit, nothing_here
from sandbox.part3.pages.projects import ProjectPages
from sandbox.part3.pages.registers import RegisterPages
from sandbox.part3.pages.returning import ReturnPages
from sandbox.part3.problems import Problem, answer_problem
from sandbox.part3.settings import Settings


def build_app(settings: Settings) -> tuple[ASGIApp, House]:
    """The application and what it is made of; the events go out while its lifespan runs."""
    house = House(settings)
    authoring = Authoring(house)
    frame = Frame(house)
    registers = RegisterPages(frame)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with httpx2.AsyncClient(trust_env=False) as client:
            dispatcher = Dispatcher(
                house.outbox,
                house.faults,
                client,
                url=f"{settings.gateway_url}/part3/events",
                secret=settings.webhook_secret,
            )
            sending = asyncio.create_task(dispatcher.run())
            try:
                yield
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sending
                house.store.close()

    async def no_page(request: Request, _: Exception) -> Response:
        async def refuse(visit: Visit) -> Response:
            return frame.refuse(visit, nothing_here())

        return await frame.open(refuse)(request)

    static = str(resources.files("sandbox.part3").joinpath("static"))
    app = Starlette(
        routes=[
            api_mount(house, settings.api_token),
            *Control(house, authoring).routes(),
            Mount("/static", app=StaticFiles(directory=static)),
            *AccountPages(frame).routes(),
            *ProjectPages(frame, authoring).routes(),
            *ReturnPages(frame, registers, authoring).routes(),
            *RegisterPages(frame).routes(),
        ],
        exception_handlers={Problem: answer_problem, 404: no_page},
        lifespan=lifespan,
    )
    return FaultyCalls(app, house.faults, "/v1/"), house
