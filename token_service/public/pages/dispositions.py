"""The dispositions page: which of the Procore project's responses stands for each disposition.

Whoever speaks for one of the two parties may propose a response, and confirm or withdraw what is
proposed; it is in force once both have confirmed it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias, cast
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.dispositions import PARTIES, Party
from schemas.records import Disposition
from services.dispositions import MEANINGS, difference
from services.errors import NeedsPerson, TryLater
from token_service.connections.wizard import Finding
from token_service.public.agreeing import choices_of, decided_words, inbound_words, rows_of
from token_service.public.entry import (
    Desk,
    Refused,
    Visit,
    guarded,
    member_of_project,
    proven_form,
    see,
)
from token_service.public.ports import ConnectionView, Decider, ResponseChoice
from token_service.public.reasons import words_for
from token_service.public.render import Refusal

PATH = "/projects/{project_id}/dispositions"
ONLY_PARTIES = Refusal(
    403,
    "Only the two parties decide about this",
    "You are on this project's team, but neither as a General Contractor nor as a Prime Consultant "
    "in Part3. Nothing was changed.",
    "Ask a General Contractor or a Prime Consultant on the team to do it.",
)
NO_SUCH_RESPONSE = Finding(
    ok=False,
    words="Choose a response of this project, one that answers. Nothing was changed.",
    next_step="Choose it in the row of the disposition, then press Propose.",
)
PROCORE_AWAY = Finding(
    ok=False,
    words="The project's responses can't be read from Procore right now. Nothing was changed.",
    next_step="Try again in a moment.",
)


Decide: TypeAlias = Callable[[Decider, Mapping[str, str]], Awaitable[None]]


class Undecided(Exception):  # noqa: N818 - says what came of it
    """Nothing was decided; the page says why."""

    def __init__(self, finding: Finding, status: int = 409) -> None:
        self.finding = finding
        self.status = status
        super().__init__(finding.words)


async def show_dispositions(desk: Desk, request: Request) -> Response:
    """Show how each disposition reads in the Procore project, and which ones wait for people."""
    return await _page(desk, await member_of_project(desk, request))


async def propose(desk: Desk, request: Request) -> Response:
    """Propose a response for a disposition."""

    async def decide(by: Decider, fields: Mapping[str, str]) -> None:
        disposition = cast("Disposition", fields.get("disposition", ""))
        listed = choices_of(await _present_responses(desk, by))
        response = next((one for one in listed if one.id == fields.get("response")), None)
        if disposition not in MEANINGS or response is None:
            raise Undecided(NO_SUCH_RESPONSE, 400)
        await desk.ports.dispositions.propose(by, disposition, response)

    return await _decided(desk, request, decide)


async def confirm(desk: Desk, request: Request) -> Response:
    """Confirm a proposal for the visitor's party; the response must still be what was proposed."""

    async def decide(by: Decider, fields: Mapping[str, str]) -> None:
        proposal_id = fields.get("proposal", "")
        known = await desk.ports.dispositions.proposals(by.project_id, by.procore_project_id)
        proposal = next((one for one in known if one.id == proposal_id), None)
        if proposal is not None and difference(proposal, await _present_responses(desk, by)):
            raise _undecided("response_changed")
        await desk.ports.dispositions.confirm(
            by, proposal_id, despite_looser=fields.get("despite_looser") == "yes"
        )

    return await _decided(desk, request, decide)


async def withdraw(desk: Desk, request: Request) -> Response:
    """End a proposal, or what is in force."""

    async def decide(by: Decider, fields: Mapping[str, str]) -> None:
        await desk.ports.dispositions.withdraw(by, fields.get("proposal", ""))

    return await _decided(desk, request, decide)


async def _decided(desk: Desk, request: Request, decide: Decide) -> Response:
    """Let a party decide, and lead back to the page; or show there why nothing was decided."""
    visit = await member_of_project(desk, request)
    fields = await proven_form(desk, request, visit.session)
    party = party_of(visit)
    if party is None:
        raise Refused(ONLY_PARTIES, visit.session)
    try:
        await decide(await _decider(desk, visit, party), fields)
    except NeedsPerson as error:
        undecided = _undecided(error.reason)
    except Undecided as error:
        undecided = error
    else:
        return see(here_of(visit))
    return await _page(desk, visit, undecided)


async def _decider(desk: Desk, visit: Visit, party: Party) -> Decider:
    connection = await desk.ports.connections.view(visit.project.id)
    if connection is None or connection.state == "disconnected":
        raise _undecided("not_connected")
    return Decider(
        project_id=visit.project.id,
        procore_project_id=connection.procore_project_id,
        user_id=visit.member.user_id,
        name=visit.member.name,
        party=party,
    )


async def _present_responses(desk: Desk, by: Decider) -> list[ResponseChoice]:
    connection = await desk.ports.connections.view(by.project_id)
    responses = await _responses(desk, connection) if connection is not None else None
    if responses is None:
        raise Undecided(PROCORE_AWAY, 503)
    return responses


async def _responses(desk: Desk, connection: ConnectionView) -> list[ResponseChoice] | None:
    try:
        found = await desk.ports.procore.responses(
            connection.owner_user_id, connection.procore_company_id, connection.procore_project_id
        )
    except (TryLater, NeedsPerson):
        return None  # the page says so; what each disposition means is still worth reading
    return list(found)


async def _page(desk: Desk, visit: Visit, undecided: Undecided | None = None) -> Response:
    connection = await desk.ports.connections.view(visit.project.id)
    if connection is None or connection.state == "disconnected":
        return _unread_page(desk, visit, undecided, connected=False)
    responses = await _responses(desk, connection)
    if responses is None:
        return _unread_page(desk, visit, undecided, connected=True)
    key = (visit.project.id, connection.procore_project_id)
    proposals = await desk.ports.dispositions.proposals(*key)
    party = party_of(visit)
    return desk.pages.page(
        "dispositions.html",
        visit.session,
        status=undecided.status if undecided else 200,
        project=visit.project,
        here=here_of(visit),
        connected=True,
        known=True,
        rows=rows_of(responses, proposals, project=visit.project, party=party),
        choices=choices_of(responses),
        may_decide=party is not None,
        inbound=inbound_words(),
        decisions=[
            (one.at, decided_words(one)) for one in await desk.ports.dispositions.decisions(*key)
        ],
        findings=[undecided.finding] if undecided else [],
    )


def _unread_page(
    desk: Desk, visit: Visit, undecided: Undecided | None, *, connected: bool
) -> Response:
    """Show the page without what only Procore can say."""
    return desk.pages.page(
        "dispositions.html",
        visit.session,
        status=undecided.status if undecided else 200,
        project=visit.project,
        here=here_of(visit),
        connected=connected,
        known=False,
        rows=[],
        decisions=[],
        findings=[undecided.finding] if undecided else [],
    )


def _undecided(reason: str) -> Undecided:
    words, next_step = words_for(reason)
    return Undecided(Finding(ok=False, words=words, next_step=next_step))


def party_of(visit: Visit) -> Party | None:
    """Return the party that a member speaks for, or None."""
    return next((party for party in PARTIES if visit.member.role == party), None)


def here_of(visit: Visit) -> str:
    """Return the page's path."""
    return f"/projects/{quote(visit.project.id, safe='')}/dispositions"


def routes(desk: Desk) -> list[Route]:
    """Return the routes of the dispositions page."""
    return [
        Route(PATH, guarded(desk, show_dispositions), methods=["GET"]),
        Route(f"{PATH}/propose", guarded(desk, propose), methods=["POST"]),
        Route(f"{PATH}/confirm", guarded(desk, confirm), methods=["POST"]),
        Route(f"{PATH}/withdraw", guarded(desk, withdraw), methods=["POST"]),
    ]
