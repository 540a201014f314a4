"""Procore's pages: what the general contractor's people and the design team click on.

`page_routes(world)` gives the routes; `sessions.person_at(world, request)` tells who is logged in,
for the consent page too.
"""

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.procore.pages import login, projects, rfis, submittals
from sandbox.procore.pages.frame import STATIC, Desk
from sandbox.procore.world import World


def page_routes(world: World) -> list[BaseRoute]:
    """Every page of the stand-in, over the same operations as its REST API."""
    desk = Desk(world)
    routes: list[BaseRoute] = [
        Route("/", desk.endpoint(projects.home)),
        Route("/login", login.form_of(desk)),
        Route("/login", login.submit_of(desk), methods=["POST"]),
        Route("/logout", login.leave_of(desk), methods=["POST"]),
        Mount("/pages-static", StaticFiles(directory=STATIC)),
    ]
    for module in (projects, rfis, submittals):
        for path, page in module.PAGES.items():
            routes.append(Route(path, desk.endpoint(page)))
        for path, action in module.ACTIONS.items():
            routes.append(Route(path, desk.endpoint(action, changes=True), methods=["POST"]))
    return routes
