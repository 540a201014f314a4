"""Account settings, Integrations: whose Procore account may act for me, and taking it back."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from token_service.public.entry import (
    Desk,
    Refused,
    guarded,
    own_form,
    own_path,
    proven_form,
    see,
    signed_in,
)
from token_service.public.ports import ConnectionView
from token_service.public.render import BAD_FORM

PATH = "/account/integrations"


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence above the page about what just happened."""

    words: str
    tone: str  # good, warn, bad
    only_in: tuple[str, ...] = ()  # states it speaks of; in another one it would be untrue


# What just happened travels as a word in the address, and only these words say anything.
NOTICES = {
    "authorized": Notice("Your Procore account is authorized.", "good", ("authorized",)),
    "disconnected": Notice(
        "Your authorization was taken back. Procore has been told.", "good", ("not_authorized",)
    ),
    "denied": Notice(
        "Procore says that you did not allow it. Nothing was changed; press Authorize to try "
        "again.",
        "bad",
    ),
    "expired": Notice(
        "That took too long, or was finished in another tab. Nothing was changed; press Authorize "
        "to try again.",
        "bad",
    ),
    "failed": Notice(
        "Procore could not finish the authorization. Nothing was changed; press Authorize to try "
        "again in a moment.",
        "bad",
    ),
    "busy": Notice(
        "Procore limits how often it may be asked about you, and that limit is reached for now. "
        "Nothing was changed; press Authorize again in a few minutes.",
        "bad",
    ),
    "authorize_first": Notice(
        "To connect the project, authorize your Procore account first. You are led back "
        "afterwards.",
        "info",
        ("not_authorized", "needs_reauthorization"),
    ),
}


@dataclass(frozen=True, slots=True)
class UsedIn:
    """A project that this person's authorization reads."""

    id: str
    name: str
    words: str


async def show_account(desk: Desk, request: Request) -> Response:
    """Show the state of my authorization."""
    session = await signed_in(desk, request)
    grant = await desk.ports.grants.view(session.user_id)
    owned = await desk.ports.connections.owned_by(session.user_id)
    ended = None if grant else await desk.ports.grants.ended(session.user_id)
    state = grant.state if grant else "needs_reauthorization" if ended else "not_authorized"
    notice = NOTICES.get(request.query_params.get("notice", ""))
    asking = grant is not None and request.query_params.get("ask") == "disconnect"
    return desk.pages.page(
        "account.html",
        session,
        state=state,
        grant=grant,
        ended=ended,
        asking=asking,
        owned=len(owned),
        projects=used_in(owned),
        next=own_path(request.query_params.get("next")),
        other=await desk.ports.grants.other_account(session),
        notice=notice if notice and state in (notice.only_in or (state,)) else None,
        authorize_path=desk.authorize_path,
    )


async def disconnect_account(desk: Desk, request: Request) -> Response:
    """Take my authorization back, here and at Procore."""
    session = await signed_in(desk, request)
    await proven_form(desk, request, session)
    await desk.ports.grants.revoke(session.user_id)
    return see(f"{PATH}?notice=disconnected")


async def choose_account(desk: Desk, request: Request) -> Response:
    """Take the Procore account I came back with, or keep the one I had."""
    session = await signed_in(desk, request)
    form = await own_form(desk, request, session)
    if form.get("account") not in ("other", "present"):
        raise Refused(BAD_FORM, session)
    back = await desk.ports.grants.choose_account(session, other=form["account"] == "other")
    return see(own_path(back) or PATH)


def used_in(owned: Sequence[ConnectionView]) -> list[UsedIn]:
    """Name the projects that a person connected."""
    return [
        UsedIn(
            connection.project_id,
            connection.project_name,
            f"read from {connection.procore_project_name} in Procore",
        )
        for connection in owned
    ]


def routes(desk: Desk) -> list[Route]:
    """Return the routes of the account page."""
    return [
        Route(PATH, guarded(desk, show_account), methods=["GET"]),
        Route(f"{PATH}/account", guarded(desk, choose_account), methods=["POST"]),
        Route(f"{PATH}/disconnect", guarded(desk, disconnect_account), methods=["POST"]),
    ]
