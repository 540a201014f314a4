"""What a project's parties propose, confirm and withdraw about dispositions, with its log.

One connection's decisions are made one after the other: each holds the connection's row, so two
people who press at once never decide about different things.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog

from schemas.dispositions import PARTIES, DispositionMap, Proposal
from schemas.records import Disposition
from services.dispositions import loosens, unconfirmed
from services.errors import NeedsPerson
from services.postgres import Postgres, Queries, Row
from token_service.audit import Entry, write_entry
from token_service.connections import disposition_rows as rows
from token_service.public.ports import Decider, Decision, ResponseChoice

LOG_LENGTH = 20
MOST_DIGITS = 18  # of a bigint

log = structlog.get_logger()


class DispositionStore:
    """What the parties of connected projects decided. All methods raise TryLater.

    A decision about a project that is not connected raises NeedsPerson `not_connected`.
    """

    def __init__(self, database: Postgres) -> None:
        self._database = database

    async def proposals(self, project_id: str, procore_project_id: str) -> Sequence[Proposal]:
        """Return what is in force and what is proposed."""
        found = await self._database.fetch(rows.READ_LIVE, project_id, procore_project_id)
        return [rows.proposal_of(row) for row in found]

    async def map_of(self, project_id: str) -> DispositionMap | None:
        """Return what the workers need to know; None for a project that is not connected."""
        procore_project_id = await self._database.fetchval(rows.READ_MAP, project_id)
        if procore_project_id is None:
            return None
        return DispositionMap(
            project_id=project_id,
            procore_project_id=procore_project_id,
            proposals=tuple(await self.proposals(project_id, procore_project_id)),
        )

    async def decisions(self, project_id: str, procore_project_id: str) -> Sequence[Decision]:
        """Return the last decisions, newest first."""
        found = await self._database.fetch(
            rows.READ_LOG, project_id, procore_project_id, LOG_LENGTH
        )
        return [rows.decision_of(row) for row in found]

    async def propose(
        self, by: Decider, disposition: Disposition, response: ResponseChoice
    ) -> Proposal:
        """Propose a response; an open proposal for that disposition gives way to it.

        It carries the proposer's confirmation, unless the response is looser than the disposition:
        then each party confirms it apart, warned.
        """
        looser = loosens(disposition, response.considered)
        async with self._deciding(by) as database:
            await database.execute(
                rows.DROP_PROPOSED, by.project_id, by.procore_project_id, disposition
            )
            row = await database.fetchrow(
                rows.PROPOSE,
                by.project_id,
                by.procore_project_id,
                disposition,
                response.id,
                response.name,
                response.considered,
                looser,
                by.user_id,
                by.name,
            )
            proposal = rows.proposal_of(_there(row))
            await _write(database, "proposed", by, proposal)
            if not looser:
                proposal = await _confirm(database, by, proposal.id, despite_looser=False)
        return proposal

    async def confirm(self, by: Decider, proposal_id: str, *, despite_looser: bool) -> Proposal:
        """Give a party's word; with the other party's it comes into force. Once more is harmless.

        Args:
            by: who says it, and for which party.
            proposal_id: the very proposal that they saw.
            despite_looser: they were warned that the response is looser, and said yes.

        Raises:
            NeedsPerson: `proposal_gone` (it was replaced or withdrawn), `looser_response` (it is
                looser than the disposition, and that was not confirmed), `same_person` (they
                confirmed it for the other party, in another role).
        """
        async with self._deciding(by) as database:
            known = rows.proposal_of(_there(await _read(database, by, proposal_id)))
            if by.party not in unconfirmed(known):
                return known
            if loosens(known.disposition, known.response.considered) and not despite_looser:
                message = "the response is looser, and nobody confirmed it in spite of that"
                raise NeedsPerson(message, reason="looser_response")
            if by.user_id in _confirmed_by(known):
                message = "one person cannot confirm for both parties"
                raise NeedsPerson(message, reason="same_person")
            proposal = await _confirm(database, by, proposal_id, despite_looser=despite_looser)
            await _write(database, "confirmed", by, proposal)
        return proposal

    async def withdraw(self, by: Decider, proposal_id: str) -> None:
        """End a proposal, or what is in force: it needs both parties. Once more is harmless."""
        async with self._deciding(by) as database:
            number = _number(proposal_id)
            row = await database.fetchrow(
                rows.WITHDRAW, by.project_id, by.procore_project_id, number
            )
            if row is not None:
                await database.execute(rows.AGREED, by.project_id, by.procore_project_id)
                await _write(database, "withdrawn", by, rows.proposal_of(row))

    @asynccontextmanager
    async def _deciding(self, by: Decider) -> AsyncIterator[Queries]:
        async with self._database.transaction() as database:
            held = await database.fetchval(
                rows.HOLD_CONNECTION, by.project_id, by.procore_project_id
            )
            if held is None:
                message = "the project is not connected to that Procore project any more"
                raise NeedsPerson(message, reason="not_connected")
            yield database


async def _read(database: Queries, by: Decider, proposal_id: str) -> Row | None:
    number = _number(proposal_id)
    return await database.fetchrow(rows.READ_ONE, by.project_id, by.procore_project_id, number)


async def _confirm(
    database: Queries, by: Decider, proposal_id: str, *, despite_looser: bool
) -> Proposal:
    said = await database.fetchrow(
        rows.CONFIRM_AS[by.party], int(proposal_id), by.user_id, by.name, despite_looser
    )
    proposal = rows.proposal_of(_there(said))
    if not unconfirmed(proposal):
        key = (by.project_id, by.procore_project_id, proposal.disposition)
        await database.execute(rows.REPLACE, *key)
        await database.execute(rows.BRING_INTO_FORCE, int(proposal_id))
        await database.execute(rows.AGREED, by.project_id, by.procore_project_id)
        log.info("disposition.in_force", project_id=by.project_id, disposition=key[2])
    return proposal


async def _write(database: Queries, what: str, by: Decider, proposal: Proposal) -> None:
    in_force = what != "withdrawn" and not unconfirmed(proposal)
    detail: dict[str, Any] = {
        "procore_project_id": by.procore_project_id,
        "proposal_id": proposal.id,
        "disposition": proposal.disposition,
        "response_id": proposal.response.id,
        "response_name": proposal.response.name,
        "considered": proposal.response.considered,
        "name": by.name,
        "party": by.party,
        "in_force": in_force,
    }
    entry = Entry(
        event=f"disposition.{what}",
        actor=f"user:{by.user_id}",
        project_id=by.project_id,
        detail=detail,
    )
    await write_entry(database, entry)


def _confirmed_by(proposal: Proposal) -> set[str]:
    said = (proposal.confirmation(party) for party in PARTIES)
    return {one.user_id for one in said if one is not None}


def _number(proposal_id: str) -> int:
    """Read the id of a form; of what is none of ours, one that no row has."""
    plausible = proposal_id.isascii() and proposal_id.isdecimal()
    return int(proposal_id) if plausible and len(proposal_id) <= MOST_DIGITS else 0


def _there(row: Row | None) -> Row:
    if row is None:
        message = "this proposal was replaced or withdrawn"
        raise NeedsPerson(message, reason="proposal_gone")
    return row
