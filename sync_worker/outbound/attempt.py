"""One attempt at one delivery: read the return, bring it on, note it, tell Part3, let it go."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from msgspec.structs import replace

from schemas.returns import Return
from services import failpoints
from services.errors import NeedsPerson, TryLater
from services.procore.call import BeforeSending
from services.tracing import note_fact
from services.waits import account_at_work, accounting, told
from sync_worker.outbound import holds
from sync_worker.outbound.delivery_store import Change, DeliveryStore, Task, account_of
from sync_worker.outbound.errand import Limits
from sync_worker.outbound.intent_store import LeaseLost
from sync_worker.outbound.memory import Memory
from sync_worker.outbound.outside import Part3Returns
from sync_worker.outbound.reporting import Reporter
from sync_worker.outbound.standing import Standing, chance, held_for, waiting_for

log = structlog.get_logger()

TURN_S = 1.0
"""How soon to ask again whether an earlier return of the same record is done."""

UNKNOWN_RETURN_ATTEMPTS = 8
"""Part3 may tell of a return a moment before it can be read; after this many it has none."""

AFTER_ANOTHER = Standing(state="waiting", again_in_s=TURN_S)
GONE = Standing(state="failed", reason="unknown_return", message="Part3 has no such return.")


def nobody_looks() -> None:
    """Stand in where no loop takes the looks that a delivery wants."""


class Delivers(Protocol):
    """What an attempt needs of the `Deliverer`."""

    async def deliver(self, task: Task, answer: Return, *, sending: BeforeSending) -> Standing:
        """Bring a return as far as it can go now."""


class Attempts:
    """Makes attempts at deliveries that are under our lease."""

    def __init__(
        self,
        *,
        store: DeliveryStore,
        deliverer: Delivers,
        part3: Part3Returns,
        memory: Memory,
        limits: Limits,
        wake_looks: Callable[[], None] = nobody_looks,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._deliverer = deliverer
        self._part3 = part3
        self._memory = memory
        self._limits = limits
        self._wake_looks = wake_looks
        self._clock = clock

    async def attempt(self, task: Task) -> None:
        """Bring a delivery on and let it go.

        Raises:
            LeaseLost: it is another worker's now, and nothing of this attempt counts.
            TryLater: Postgres is away; the lease lapses, and the attempt is made again.
        """
        reporter = Reporter(task, self._part3, self._clock)
        if (final := _final(task)) is not None:
            await self._let_go(task, final, None, reporter)
            return
        with accounting(account_of(task)):
            await self._attempt(task, reporter)

    async def _attempt(self, task: Task, reporter: Reporter) -> None:
        answer: Return | None = None
        try:
            answer = await self._read(task)
            if answer is None:
                await self._give_up(task)
                return
            if not await self._store.identify(task, answer):
                await self._store.release(task, AFTER_ANOTHER, None)
                return
            standing = await self._bring_on(task, answer, reporter)
        except LeaseLost:
            raise
        except TryLater as error:
            standing = self._later(task, error)
        except NeedsPerson as error:
            standing = held_for(error, recheck_s=self._limits.recheck_s)
        except Exception:
            # a fault of ours in one return must not stop the others
            log.exception("return.fault", return_id=task.return_id)
            standing = self._later(task, _fault(task))
        note_fact("stands", standing.state)
        note_fact("reason", standing.reason or "")
        await self._store.settle(task, standing, await self._change(task, standing, answer))
        if standing.state == "delivered":
            self._wake_looks()
        await self._let_go(task, standing, answer, reporter)

    async def _read(self, task: Task) -> Return | None:
        answer = await self._part3.fetch_return(task.project_id, task.return_id)
        if answer is None and task.attempts < UNKNOWN_RETURN_ATTEMPTS:
            message = f"Part3 does not show return {task.return_id} yet."
            raise TryLater(message, reason="part3_down")
        account = account_at_work()
        if answer is not None and task.returned_at is None and account is not None:
            account.began_late("part3", answer.returned_at)
        return answer

    async def _give_up(self, task: Task) -> None:
        """Part3 has no such return, so there is nothing to bring and nobody to tell."""
        log.warning("return.unknown", return_id=task.return_id, project_id=task.project_id)
        await self._store.settle(task, GONE, None)
        await self._store.release(task, GONE, None)

    async def _bring_on(self, task: Task, answer: Return, reporter: Reporter) -> Standing:
        if answer.state == "delivered" or answer.state == "failed":  # noqa: PLR1714 - narrows the type
            # reported by an earlier life of this connector, whose memory is gone
            return Standing(state=answer.state)

        async def sending() -> None:
            now_sending = Standing(state="sending")
            await self._store.settle(task, now_sending, None)
            if reporter.is_news(now_sending, answer):
                _ = await reporter.tell(now_sending)

        return await self._deliverer.deliver(task, answer, sending=sending)

    def _later(self, task: Task, error: TryLater) -> Standing:
        return waiting_for(
            error, attempts=task.attempts, longest_s=self._limits.retry_max_s, chance=chance()
        )

    async def _let_go(
        self, task: Task, standing: Standing, answer: Return | None, reporter: Reporter
    ) -> None:
        """Tell Part3 if there is news, and give the lease back.

        What Part3 has not acknowledged is told again: for something delivered that is all that
        is left to do.
        """
        if reporter.is_news(standing, answer) and not await reporter.tell(standing):
            retry = self._later(task, TryLater("Part3 took no report.", reason="part3_down"))
            standing = replace(standing, again_at=None, again_in_s=retry.again_in_s)
        failpoints.reach("w6-told")
        await self._store.release(task, standing, reporter.told)

    async def _change(self, task: Task, standing: Standing, answer: Return | None) -> Change | None:
        """Write the activity log's sentence, if this is new to people."""
        was, stands = (task.state, task.reason), (standing.state, standing.reason)
        if was == stands or answer is None or standing.state == "sending":
            return None
        log.info(
            "return.settled",
            return_id=task.return_id,
            state=standing.state,
            reason=standing.reason,
            attempts=task.attempts,
        )
        return Change(
            event=f"return.{standing.state}",
            words=_sentence(standing, answer, await self._memory.record_words(answer)),
            person=standing.mended_by or holds.author_of(answer),
            detail=_detail(standing),
        )


def _sentence(standing: Standing, answer: Return, record: str) -> str:
    whose = f"{answer.author.name}'s return to {record}"
    words = standing.message or ""
    match standing.state:
        case "delivered":
            return f"{whose} arrived in Procore. {words}".strip()
        case "failed":
            return f"{whose} does not go. {words}".strip()
        case "held":
            return f"{whose} is held. {words}".strip()
        case _:
            return f"{whose} waits and goes by itself. {words}".strip()


def _detail(standing: Standing) -> dict[str, Any]:
    if standing.receipt is None:
        return {}
    return {"files": len(standing.receipt.files), **told()}


def _final(task: Task) -> Standing | None:
    """Return what is delivered or failed as it stands: all that is left is to tell Part3."""
    if task.state not in ("delivered", "failed"):
        return None
    return Standing(
        state="delivered" if task.state == "delivered" else "failed",
        reason=task.reason,
        message=task.message,
        mended_by=task.mended_by,
        receipt=task.receipt,
    )


def _fault(task: Task) -> TryLater:
    return TryLater(
        f"Something in the connector went wrong with return {task.return_id}; it is tried again, "
        "and the operators' log says what.",
        reason="connector_fault",
    )
