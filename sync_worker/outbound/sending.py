"""The one moment that cannot be joined: armed in Postgres, sent to Procore, noted in Postgres."""

import time
from collections.abc import Callable
from typing import assert_never

from services import failpoints
from services.errors import NeedsPerson, OutcomeUnknown, TryLater
from services.procore.call import BeforeSending
from services.procore.errors import NotAllowed, NotVisible, Refused
from services.procore.models import ResponseOption
from sync_worker.outbound.check import Deliver, DeliverReply, DeliverResponse
from sync_worker.outbound.errand import Errand
from sync_worker.outbound.intent_store import Intents
from sync_worker.outbound.outside import ProcoreWrites

ARM_TO_SEND_S = 5.0
"""A send later than this after its arming began is not made: the process was paused."""

NO_EFFECT = (TryLater, NeedsPerson, NotVisible, NotAllowed, Refused)
"""After these a write surely had no effect; `OutcomeUnknown` is caught before them."""


class Sender:
    """Sends a checked return once, and leaves behind what is known of it."""

    def __init__(
        self,
        procore: ProcoreWrites,
        intents: Intents,
        *,
        quiet_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._procore = procore
        self._intents = intents
        self._quiet_s = quiet_s
        self._monotonic = monotonic

    async def send(self, errand: Errand, order: Deliver, upload_ids: tuple[str, ...]) -> str:
        """Send it and return the id it became, noted before this returns.

        Any error but those named leaves the intent armed, as a crash would: the next attempt then
        looks it up before all else.

        Raises:
            OutcomeUnknown: it may have arrived.
            TryLater, NeedsPerson, NotVisible, NotAllowed, Refused: it surely did not.
        """
        intent, fence = errand.intent, errand.task.fence
        try:
            remote_id = await self._write(errand, order, upload_ids)
            failpoints.reach("w5")
        except OutcomeUnknown as error:
            await self._intents.leave_unknown(intent, fence, str(error))
            raise
        except NO_EFFECT as error:
            await self._intents.disarm(intent, fence, str(error))
            raise
        await self._intents.confirm(intent, remote_id)
        failpoints.reach("w6")
        return remote_id

    async def _write(self, errand: Errand, order: Deliver, upload_ids: tuple[str, ...]) -> str:
        match order:
            case DeliverReply(rfi_id):
                return await self._procore.post_reply(
                    errand.tie.place,
                    rfi_id,
                    errand.outgoing.body,
                    upload_ids,
                    whose=errand.whose,
                    before_sending=self._arm(errand, None),
                )
            case DeliverResponse(submittal_id, approver_id, response):
                await self._procore.respond(
                    errand.tie.place,
                    submittal_id,
                    approver_id,
                    response_id=response.id,
                    comment=errand.outgoing.body,
                    upload_ids=upload_ids,
                    whose=errand.whose,
                    send_emails=errand.tie.options.send_emails,
                    before_sending=self._arm(errand, response),
                )
                return approver_id
            case _:
                assert_never(order)

    def _arm(self, errand: Errand, response: ResponseOption | None) -> BeforeSending:
        intent, fence = errand.intent, errand.task.fence
        armed = False

        async def arm() -> None:
            nonlocal armed
            began = self._monotonic()
            if armed:  # a 401 was answered, so that send had no effect: this is the same one again
                await self._intents.disarm(intent, fence, "401")
            await self._intents.arm(intent, fence, self._quiet_s, response)
            armed = True
            failpoints.reach("w2")
            if self._monotonic() - began > ARM_TO_SEND_S:
                message = f"Arming return {errand.answer.id} took too long; it is tried again."
                raise TryLater(message, reason="postgres_down")

        return arm
