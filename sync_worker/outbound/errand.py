"""One return on its way, with all that is known before Procore is asked."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.returns import Return
from sync_worker.outbound.compose import Outgoing, compose
from sync_worker.outbound.delivery_store import Task
from sync_worker.outbound.intent_store import Intents
from sync_worker.outbound.intents import Intent
from sync_worker.outbound.marker import marker_of, op_key
from sync_worker.outbound.memory import Memory, Tie


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things take, from the settings."""

    quiet_s: float
    recheck_s: float
    retry_max_s: float


@dataclass(frozen=True, slots=True)
class Errand:
    """One return on its way."""

    task: Task
    answer: Return
    tie: Tie
    me: str  # the author's Procore user id
    intent: Intent
    now: datetime  # the database's, as the intent was read
    outgoing: Outgoing

    @property
    def whose(self) -> str:
        """Whose grant every call uses: the author's, and nobody else's."""
        return self.answer.author.user_id

    @property
    def since_confirmed(self) -> timedelta:
        """How long ago the write was known to be done."""
        if self.intent.state != "confirmed" or self.intent.changed_at is None:
            return timedelta()
        return self.now - self.intent.changed_at


async def plan_errand(
    task: Task, answer: Return, tie: Tie, me: str, *, intents: Intents, memory: Memory
) -> Errand:
    """Name the operation, commit its intent, and return it as it stands."""
    operation = "rfi_reply" if answer.kind == "rfi" else "submittal_response"
    key = op_key(
        connection=f"{answer.project_id}/{tie.place.company_id}/{tie.place.project_id}",
        kind=answer.kind,
        source_item=answer.id,
        source_revision=answer.returned_at.isoformat(),
        operation=operation,
    )
    marker = marker_of(await memory.install_key(), key)
    corrected = await memory.corrected(answer)
    planned = Intent(
        op_key=key,
        marker=marker,
        return_id=answer.id,
        operation=operation,
        state="planned",
        supersedes=corrected,
    )
    hash_now = compose(answer, marker, corrected).request_hash
    intent, now = await intents.plan(planned, hash_now)
    # as it was planned first: by now the answer itself may be the last one in the thread
    outgoing = compose(answer, marker, intent.supersedes)
    return Errand(task, answer, tie, me, intent, now, outgoing)
