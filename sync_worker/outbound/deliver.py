"""Bring one return to Procore: check, send once, find again what is in doubt, prove it.

Each step is repeatable: whatever happened before a crash is read from the intent, and from
Procore by its marker, and goes on from there.
"""

import time
from collections.abc import Callable
from typing import assert_never

import structlog
from msgspec.structs import replace

from schemas.returns import Return
from services.errors import NeedsPerson, TryLater
from services.procore.call import BeforeSending
from services.procore.errors import NotAllowed, NotVisible, Refused
from services.procore.models import Answer, Rfi, Submittal
from services.procore.pacer import Priority
from services.tracing import span
from sync_worker.outbound import holds
from sync_worker.outbound.breaker import MOST_WRITES, too_many_writes
from sync_worker.outbound.carrying import Uploads, bring_files
from sync_worker.outbound.check import DeliverResponse, check_return, is_closed
from sync_worker.outbound.codes import NO_CODES, CodeBook, CodeMap
from sync_worker.outbound.delivery_store import Task
from sync_worker.outbound.errand import Errand, Limits, plan_errand
from sync_worker.outbound.holds import Hold
from sync_worker.outbound.intent_store import Intents
from sync_worker.outbound.intents import (
    Abandoned,
    Adopt,
    AskPerson,
    Check,
    LookUp,
    ReadBack,
    Sighting,
    WaitUntil,
    next_step,
)
from sync_worker.outbound.marker import carries
from sync_worker.outbound.memory import Memory, Tie
from sync_worker.outbound.outside import (
    Grants,
    Part3Returns,
    ProcoreWrites,
)
from sync_worker.outbound.proof import Prover
from sync_worker.outbound.sending import Sender
from sync_worker.outbound.standing import Standing, held, in_doubt, withdrawn

log = structlog.get_logger()


PAUSED_RECHECK_S = 3_600.0


class Deliverer:
    """Brings returns to Procore, one attempt a call."""

    def __init__(
        self,
        *,
        grants: Grants,
        procore: ProcoreWrites,
        part3: Part3Returns,
        intents: Intents,
        uploads: Uploads,
        memory: Memory,
        codes: CodeBook,
        limits: Limits,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grants = grants
        self._procore = procore
        self._part3 = part3
        self._intents = intents
        self._uploads = uploads
        self._memory = memory
        self._code_book = codes
        self._limits = limits
        self._sender = Sender(procore, intents, quiet_s=limits.quiet_s, monotonic=monotonic)
        self._prover = Prover(
            procore, self._codes, window_s=limits.quiet_s, recheck_s=limits.recheck_s
        )

    async def deliver(self, task: Task, answer: Return, *, sending: BeforeSending) -> Standing:
        """Bring a return as far as it can go now.

        Args:
            task: its delivery, under our lease.
            answer: the return as Part3 holds it.
            sending: awaited once, when it is checked and about to go.

        Returns:
            Where it stands now.

        Raises:
            TryLater, NeedsPerson: as the outside says.
        """
        if answer.state == "withdrawn" and await self._intents.abandon(task.return_id):
            return withdrawn()
        errand = await self._prepare(task, answer)
        if isinstance(errand, Hold):
            return await self._hold(answer, errand)
        try:
            return await self._next(errand, sending)
        except (NotVisible, NotAllowed, Refused) as error:
            return await self._hold(answer, await self._why_refused(errand, error))
        except NeedsPerson as error:
            if error.reason == "app_not_installed":
                await self._memory.app_missing(answer.project_id, str(error))
            raise

    async def _prepare(self, task: Task, answer: Return) -> Errand | Hold:
        tie = await self._tie(task, answer)
        if isinstance(tie, Hold):
            return tie
        me = await self._author_in_procore(answer)
        if isinstance(me, Hold):
            return me
        return await plan_errand(task, answer, tie, me, intents=self._intents, memory=self._memory)

    async def _tie(self, task: Task, answer: Return) -> Tie | Hold:
        tie = await self._memory.tie(answer.project_id)
        if tie is None:
            message = f"The connection of project {answer.project_id} is not known here yet."
            raise TryLater(message, reason="not_connected")
        if tie.state != "active":
            return holds.not_connected(tie.state)
        if tie.paused is not None:
            return as_it_was_held(task) or holds.paused(tie.paused)
        if tie.attention_reason == "app_not_installed":
            return Hold(
                tie.attention_reason,
                tie.attention_message or "The app is not installed in Procore.",
                tie.attention_mended_by,
            )
        return tie

    async def _author_in_procore(self, answer: Return) -> str | Hold:
        """Nobody answers in another's name: without the author's grant it waits for them."""
        try:
            return await self._grants.procore_user_id(answer.author.user_id)
        except NeedsPerson as error:
            if error.reason not in ("not_authorized", "needs_reauthorization"):
                raise
            lapsed = error.reason == "needs_reauthorization"
            return holds.not_authorized(answer.author, lapsed=lapsed)

    async def _next(self, errand: Errand, sending: BeforeSending) -> Standing:
        intent, answer = errand.intent, errand.answer
        asked_again = "outcome_unknown" in answer.confirmed_despite
        step = next_step(intent, now=errand.now, asked_again=asked_again)
        if isinstance(step, LookUp):
            seen = await self._look_up(errand)
            step = next_step(intent, now=errand.now, seen=seen, asked_again=asked_again)
        match step:
            case ReadBack(remote_id):
                return await self._prover.prove(errand, remote_id)
            case Adopt(remote_id, extra):
                return await self._adopt(errand, remote_id, extra)
            case WaitUntil(at):
                return in_doubt(at)
            case AskPerson():
                return await self._ask_person(errand)
            case Abandoned():
                return withdrawn()
            case Check():
                return await self._check_and_send(errand, sending)
            case LookUp():
                message = f"Return {answer.id} was looked up and is still in doubt."
                raise TryLater(message, reason="outcome_unknown")
            case _:
                assert_never(step)

    async def _look_up(self, errand: Errand) -> Sighting:
        """Look for the marker in the smallest list that must hold it, oldest first."""
        if errand.answer.kind == "submittal":
            return sighting_in(await self._submittal(errand), errand)
        replies = await self._procore.replies(
            errand.tie.place, errand.answer.procore_id, whose=errand.whose
        )
        return sighting_among(replies, errand)

    async def _adopt(self, errand: Errand, remote_id: str, extra: tuple[str, ...]) -> Standing:
        await self._intents.confirm(errand.intent, remote_id)
        log.info("return.adopted", return_id=errand.answer.id, remote_id=remote_id)
        if extra:
            log.error(
                "return.doubled",
                return_id=errand.answer.id,
                marker=errand.intent.marker,
                remote_ids=[remote_id, *extra],
            )
        return await self._prover.prove(errand, remote_id)

    async def _ask_person(self, errand: Errand) -> Standing:
        await self._intents.ask_person(errand.intent)
        if errand.answer.state == "withdrawn":
            return withdrawn()
        name = await self._memory.record_words(errand.answer)
        return await self._hold(
            errand.answer, holds.outcome_unknown(errand.answer, name, errand.intent.marker)
        )

    async def _check_and_send(self, errand: Errand, sending: BeforeSending) -> Standing:
        answer = errand.answer
        record = await self._record(errand)
        if there := sighting_in(record, errand).remote_ids:
            # a late execution, or a database restored from before it: never a second one
            return await self._adopt(errand, there[0], there[1:])
        verdict = check_return(
            without_refused_comment(errand),
            record,
            me=errand.me,
            seen=await self._memory.seen(answer),
            codes=await self._codes(errand),
            ours=await self._memory.ours(answer),
            newer=await self._memory.newer_revision(answer) if _is_over(record) else None,
        )
        if isinstance(verdict, Hold):
            return await self._hold(answer, as_it_was_refused(errand.task, verdict))
        if (writes := await self._memory.writes_lately(answer)) >= MOST_WRITES:
            name = await self._memory.record_words(answer)
            if (hold := too_many_writes(answer, name, writes)) is not None:
                return await self._hold(answer, hold)
        await sending()
        upload_ids = await bring_files(
            answer,
            errand.tie.place,
            part3=self._part3,
            procore=self._procore,
            uploads=self._uploads,
        )
        with span("return", kind=answer.kind, files=len(upload_ids)):
            remote_id = await self._sender.send(errand, verdict, upload_ids)
        chosen = verdict.response if isinstance(verdict, DeliverResponse) else None
        return await self._prover.prove(errand, remote_id, chosen)

    async def _record(self, errand: Errand) -> Rfi | Submittal:
        if errand.answer.kind == "submittal":
            return await self._submittal(errand)
        return await self._procore.rfi(
            errand.tie.place,
            errand.answer.procore_id,
            whose=errand.whose,
            priority=Priority.RETURN,
        )

    async def _submittal(self, errand: Errand) -> Submittal:
        return await self._procore.submittal(
            errand.tie.place,
            errand.answer.procore_id,
            whose=errand.whose,
            priority=Priority.RETURN,
        )

    async def _codes(self, errand: Errand) -> CodeMap:
        if errand.answer.kind == "rfi":
            return NO_CODES
        options = await self._procore.response_options(errand.tie.place, whose=errand.whose)
        return await self._code_book.codes_for(errand.answer, errand.tie.place, options)

    async def _why_refused(self, errand: Errand, error: Exception) -> Hold:
        if isinstance(error, NotVisible):
            return await self._why_not_visible(errand)
        if isinstance(error, NotAllowed):
            name = await self._memory.record_words(errand.answer)
            return holds.not_permitted(errand.answer, name, None)
        if "record_closed" in errand.answer.confirmed_despite:
            name = await self._memory.record_words(errand.answer)
            return holds.comment_refused(errand.answer, name, None, str(error))
        return holds.refused(errand.answer, str(error))

    async def _why_not_visible(self, errand: Errand) -> Hold:
        """Procore answers 404 for absent and for hidden: ask with the reading grant which it is."""
        answer, tie = errand.answer, errand.tie
        name = await self._memory.record_words(answer)
        if tie.reader_user_id == errand.whose:
            return holds.record_removed(name, None)
        try:
            read = self._procore.rfi if answer.kind == "rfi" else self._procore.submittal
            record = await read(tie.place, answer.procore_id, whose=tie.reader_user_id)
        except (NotVisible, NotAllowed):
            return holds.record_removed(name, None)
        if record.deleted:
            return holds.record_removed(name, holds.person_of(record.manager))
        return holds.not_permitted(answer, holds.name_of(record), holds.person_of(record.manager))

    async def _hold(self, answer: Return, hold: Hold) -> Standing:
        """Hold it; what its author has taken back meanwhile waits for nobody."""
        if answer.state == "withdrawn" and await self._nothing_may_appear(answer.id):
            return withdrawn()
        # a resume makes it due at once; this is for one that a crash kept from it
        paused = hold.reason == holds.PAUSED
        return held(hold, recheck_s=PAUSED_RECHECK_S if paused else self._limits.recheck_s)

    async def _nothing_may_appear(self, return_id: str) -> bool:
        intents = await self._intents.of_return(return_id)
        return all(intent.state in ("planned", "needs_human", "abandoned") for intent in intents)


def without_refused_comment(errand: Errand) -> Return:
    """Return the answer as it is checked: a comment that was refused is not tried each minute.

    It is tried once more when its author confirms it once more.
    """
    task, answer = errand.task, errand.answer
    if task.reason != "comment_refused" or task.asked > task.reported_asked:
        return answer
    despite = tuple(code for code in answer.confirmed_despite if code != "record_closed")
    return replace(answer, confirmed_despite=despite)


def as_it_was_held(task: Task) -> Hold | None:
    """Return why it is held already: a pause takes from nobody what they can do meanwhile.

    What its author or somebody else has mended since is paused like anything new.
    """
    mended = task.asked > task.reported_asked
    if task.state != "held" or task.reason is None or task.reason == holds.PAUSED or mended:
        return None
    return Hold(task.reason, task.message or "", task.mended_by)


def as_it_was_refused(task: Task, hold: Hold) -> Hold:
    """Keep what Procore said against a comment for as long as the record is closed."""
    if task.reason == "comment_refused" and hold.reason == "record_closed":
        return Hold(task.reason, task.message or hold.message, task.mended_by)
    return hold


def _is_over(record: Rfi | Submittal) -> bool:
    return is_closed(record) or (isinstance(record, Submittal) and not record.current_revision)


def sighting_in(record: Rfi | Submittal, errand: Errand) -> Sighting:
    """Return what of the author's on a record, as it was read, carries the marker."""
    if isinstance(record, Rfi):
        return sighting_among(record.answers or (), errand)
    rows = (
        row.id
        for row in record.approvers
        if row.user.id == errand.me and carries(row.comment, errand.intent.marker)
    )
    return Sighting(tuple(rows))


def sighting_among(replies: tuple[Answer, ...], errand: Errand) -> Sighting:
    """Return which of the author's replies carry the marker, oldest first.

    Others may quote it; only its author's own reply is the return.
    """
    ours = [
        reply
        for reply in replies
        if reply.author_id in (None, errand.me) and carries(reply.html, errand.intent.marker)
    ]
    return Sighting(tuple(reply.id for reply in sorted(ours, key=_age)))


def _age(reply: Answer) -> tuple[float, int, str]:
    """Sort replies oldest first; ids grow, and are compared as numbers where they are."""
    at = reply.answered_at.timestamp() if reply.answered_at else 0.0
    return at, int(reply.id) if reply.id.isdigit() else 0, reply.id
