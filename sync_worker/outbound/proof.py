"""Read a delivered return back from Procore until it is proven, or a person has to look."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from schemas.returns import Receipt, Return
from services.dispositions import MEANINGS, plain
from services.procore.models import ResponseOption
from services.procore.pacer import Priority
from sync_worker.outbound import holds
from sync_worker.outbound.carrying import read_files
from sync_worker.outbound.codes import CodeMap
from sync_worker.outbound.errand import Errand
from sync_worker.outbound.outside import ProcoreReads
from sync_worker.outbound.read_back import (
    Differs,
    attachments_to_read,
    reply_receipt,
    response_receipt,
)
from sync_worker.outbound.standing import Standing, held

STALE_S = 2.0
"""Procore serves reads that are older than a write for about this long; look again then."""

SHORTEST_WINDOW_S = 60.0
"""Reads may lag a write by up to about a minute; nobody is asked to look before that."""

NOT_THERE = Differs(("it is not shown there",))


class Prover:
    """Compares what Procore shows with what was sent."""

    def __init__(
        self,
        procore: ProcoreReads,
        codes: Callable[[Errand], Awaitable[CodeMap]],
        *,
        window_s: float,
        recheck_s: float,
    ) -> None:
        self._procore = procore
        self._codes = codes
        self._window = timedelta(seconds=max(window_s, SHORTEST_WINDOW_S))
        self._recheck_s = recheck_s

    async def prove(
        self, errand: Errand, remote_id: str, chosen: ResponseOption | None = None
    ) -> Standing:
        """Return `delivered` with its receipt; `sending` while a read may be stale; else held.

        Args:
            errand: the return on its way.
            remote_id: of the reply, or of the approver row.
            chosen: the response just sent; without it, the one kept at the arming.
        """
        response = chosen or errand.intent.response
        result = await self._read(errand, remote_id, response)
        if isinstance(result, Receipt):
            return Standing(state="delivered", message=arrived(errand.answer), receipt=result)
        waited = errand.since_confirmed
        if waited < self._window:
            return Standing(state="sending", again_in_s=max(STALE_S, waited.total_seconds()))
        hold = holds.read_back_differs(errand.answer, errand.intent.marker, result.what)
        return held(hold, recheck_s=self._recheck_s)

    async def _read(
        self, errand: Errand, remote_id: str, response: ResponseOption | None
    ) -> Receipt | Differs:
        if errand.answer.kind == "rfi":
            return await self._reply(errand, remote_id)
        return await self._response(errand, remote_id, response)

    async def _reply(self, errand: Errand, remote_id: str) -> Receipt | Differs:
        place, whose, sent = errand.tie.place, errand.whose, errand.outgoing
        replies = await self._procore.replies(place, errand.answer.procore_id, whose=whose)
        reply = next((reply for reply in replies if reply.id == remote_id), None)
        if reply is None:
            return NOT_THERE
        ours = attachments_to_read(sent.files, reply.attachments)
        files = await read_files(ours, place, self._procore, whose=whose)
        return reply_receipt(sent, reply, me=errand.me, files=files, read_at=errand.now)

    async def _response(
        self, errand: Errand, remote_id: str, response: ResponseOption | None
    ) -> Receipt | Differs:
        place, whose, sent = errand.tie.place, errand.whose, errand.outgoing
        record = await self._procore.submittal(
            place, errand.answer.procore_id, whose=whose, priority=Priority.RETURN
        )
        row = next((row for row in record.approvers if row.id == remote_id), None)
        if row is None or row.response is None:
            return NOT_THERE
        if response is None and await self._may_mean(errand, row.response):
            response = row.response
        if response is None:
            return Differs((f"its response is {row.response.name}",))
        ours = attachments_to_read(sent.files, row.attachments)
        files = await read_files(ours, place, self._procore, whose=whose)
        return response_receipt(
            sent, row, response=response, me=errand.me, files=files, read_at=errand.now
        )

    async def _may_mean(self, errand: Errand, found: ResponseOption) -> bool:
        """Tell whether what was adopted by its marker may be what was sent: nobody kept that."""
        disposition = errand.answer.disposition
        meaning = MEANINGS.get(disposition) if disposition else None
        if meaning is not None and plain(found.considered) == meaning.considered:
            return True
        meant = (await self._codes(errand)).get(disposition)
        return meant is not None and meant.id == found.id


def arrived(answer: Return) -> str:
    """Say that a return arrived, and how much of it was read back."""
    count = len(answer.files) + (answer.cover_page is not None)
    files = f" and {count} file{'s' if count > 1 else ''}" if count else ""
    return f"It stands in Procore under {answer.author.name}'s name; text{files} read back."
