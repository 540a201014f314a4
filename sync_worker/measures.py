"""What a worker counts and measures, in the field's words and with few label values.

What stands in the database is the same for all workers: take the greatest of theirs, not the sum.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from schemas.notices import Outcome
from services.errors import TryLater
from services.kafka import ConsumedRecord, Handle
from services.metrics import LONG_SECONDS, Metrics
from services.postgres import Postgres
from services.waits import WAITING_ON, Account, account_at_work
from sync_worker.consume import TOPICS
from sync_worker.inbound.look_store import Look, Looks
from sync_worker.outbound.delivery_store import Change, Task
from sync_worker.outbound.standing import Standing
from sync_worker.outcomes import DROPPED, Tell, TellingDeliveries

READ_EVERY_S = 15.0
NOTICED = 1
"""The priority of a look that a notice asked for."""

KINDS = ("rfi", "submittal")
STATES = ("sending", "waiting", "held", "delivered", "failed", "withdrawn")
"""Of returns; what its author took back has failed for nobody, so it is counted apart."""

LOOK_OUTCOMES = (
    "done",
    "busy",
    "stale",
    "flipping",
    "not_connected",
    "not_authorized",
    "needs_reauthorization",
    "not_permitted",
    "app_not_installed",
    "rate_limited",
    "procore_down",
    "procore_refused",
    "part3_down",
    "part3_refused",
    "token_service_down",
    "file_unavailable",
    "file_origin_refused",
    "fault",
)
HELD_REASONS = (
    "not_authorized",
    "needs_reauthorization",
    "app_not_installed",
    "not_permitted",
    "record_removed",
    "record_closed",
    "revision_superseded",
    "comment_refused",
    "not_your_turn",
    "question_changed",
    "empty_answer",
    "file_rejected",
    "refused_by_procore",
    "not_connected",
    "outcome_unknown",
    "read_back_differs",
    "code_unmapped",
    "too_many_writes",
    "paused",
)
COUNT_HELD = """
SELECT coalesce(reason, 'other') AS reason, count(*) AS held
FROM mirror.deliveries WHERE state = 'held' GROUP BY 1
"""
COUNT_RETRIES_DUE = """
SELECT (SELECT count(*) FROM mirror.looks l JOIN mirror.projects p USING (project_id)
        WHERE l.attempts > 0 AND l.claimed_by IS NULL AND l.due_at <= now()
          AND p.to_part3_paused IS NULL)
     + (SELECT count(*) FROM mirror.deliveries
        WHERE state = 'waiting' AND lease_owner IS NULL AND due_at <= now())
"""
# How long ago everything had been listed that had changed by then; a project that is being filled
# for the first time counts from its connection, one that is read again from its last listing. What
# the operators paused is late for nobody, and counts anew from when they resumed it.
WORST_SWEEP_AGE = """
SELECT coalesce(max(extract(epoch FROM now()
    - GREATEST(coalesce(s.settled_until, s.finished_at, p.connected_at), p.to_part3_resumed_at)
  )), 0)::float8
FROM mirror.sweeps s JOIN mirror.projects p USING (project_id)
WHERE p.state = 'active' AND p.to_part3_paused IS NULL
"""

log = structlog.get_logger()


class Consumes(Protocol):
    """The worker's consumer."""

    def lag(self) -> Mapping[str, int]:
        """Return by topic how many records of its partitions are not yet handled."""

    def partitions(self) -> int:
        """Return how many partitions it holds."""


@dataclass(slots=True)
class Backlog:
    """What stands in the database, as it was last read; nothing while it cannot be read."""

    held: dict[tuple[str, ...], float] = field(default_factory=dict)
    retries_due: float = math.nan
    sweep_age_s: float = math.nan


class Measures:
    """The worker's metrics; `run` reads those of the database now and then."""

    def __init__(self, metrics: Metrics, postgres: Postgres) -> None:
        self.metrics = metrics
        self._postgres = postgres
        self._backlog = Backlog()
        self._notice_age = metrics.seconds(
            "connector_notice_age_seconds",
            "From a notice's row of work to the end of the look that it asked for.",
        )
        self._intake_age = metrics.seconds(
            "connector_intake_age_seconds", "From a notice in Kafka to its row of work."
        )
        self._looks = metrics.counter(
            "connector_looks", "Looks at records by what came of them.", {"outcome": LOOK_OUTCOMES}
        )
        self._puts = metrics.counter("connector_puts", "Records put into Part3.", {"kind": KINDS})
        self._deliveries = metrics.counter(
            "connector_deliveries", "New standings of returns.", {"state": STATES}
        )
        self._waited = metrics.counter(
            "connector_waited_seconds",
            "Seconds that noticed changes and returns took, by who was waited for.",
            {"work": ("look", "return"), "waiting_on": WAITING_ON},
        )
        self._return_age = metrics.seconds(
            "connector_return_age_seconds",
            "From a return in Part3 to its read-back in Procore, whoever was waited for meanwhile.",
            LONG_SECONDS,
        )
        self.outcomes_dropped = metrics.counter(
            "connector_outcomes_dropped",
            "Outcomes that were not published to mirror.outcomes.",
            {"cause": DROPPED},
        )
        self.marker_faults = metrics.counter(
            "connector_marker_faults",
            "Returns whose reference does not stand exactly once in Procore, by the daily audit.",
            {"verdict": ("missing", "doubled")},
        )
        metrics.gauges(
            "connector_held",
            "Returns that wait for a person, by reason.",
            {"reason": HELD_REASONS},
            lambda: self._backlog.held,
        )
        metrics.gauge(
            "connector_retries_due",
            "Looks and returns that failed for now and whose next attempt is due.",
            lambda: self._backlog.retries_due,
        )
        metrics.gauge(
            "connector_sweep_age_seconds",
            "How long ago the project that is furthest behind had been listed completely.",
            lambda: self._backlog.sweep_age_s,
        )

    def watch(
        self,
        consumer: Consumes,
        budget_left: Callable[[], float],
        foreign_workers: Callable[[], float],
    ) -> None:
        """Show what a worker's consumer and its calls on Procore know of themselves."""
        gauge = self.metrics.gauge
        self.metrics.gauges(
            "connector_consumer_lag_records",
            "Records of this worker's partitions that are not handled, by topic.",
            {"topic": TOPICS},
            lambda: {(topic,): float(late) for topic, late in consumer.lag().items()},
        )
        gauge(
            "connector_consumer_partitions",
            "Partitions that this worker holds.",
            lambda: float(consumer.partitions()),
        )
        gauge(
            "connector_procore_budget_left",
            "Calls that Procore's window still takes, of the grant that has the fewest.",
            budget_left,
        )
        gauge(
            "connector_foreign_workers",
            "Members of our consumer group that are of another installation.",
            foreign_workers,
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Read what stands in the database until told to stop."""
        while not stopping.is_set():
            try:
                self._backlog = await self._read()
            except TryLater as error:
                self._backlog = Backlog()
                log.debug("measures.postgres_away", why=str(error))
            try:
                async with asyncio.timeout(READ_EVERY_S):
                    _ = await stopping.wait()
            except TimeoutError:
                continue

    async def _read(self) -> Backlog:
        rows = await self._postgres.fetch(COUNT_HELD)
        held: dict[tuple[str, ...], float] = {(reason,): 0.0 for reason in HELD_REASONS}
        for row in rows:
            held[row["reason"],] = float(row["held"])
        return Backlog(
            held=held,
            retries_due=float(await self._postgres.fetchval(COUNT_RETRIES_DUE)),
            sweep_age_s=float(await self._postgres.fetchval(WORST_SWEEP_AGE)),
        )

    # What is counted as it happens.

    def handled(self, handle: Handle) -> Handle:
        """Return a consumer's handler that also measures how old notices are by then."""

        async def measured(batch: list[ConsumedRecord]) -> None:
            await handle(batch)
            now = datetime.now(UTC)
            for record in batch:
                self._intake_age.observe(_seconds(record.written_at, now))

        return measured

    def look_ended(self, look: Look, outcome: str) -> None:
        """Count a look, and how long its notice waited for it."""
        self._looks.add(outcome)
        if look.priority == NOTICED:
            self.waited("look", look.account)
        if outcome == "done" and look.priority == NOTICED:
            self._notice_age.observe(_seconds(look.first_asked_at, datetime.now(UTC)))

    def waited(self, work: str, account: Account | None) -> None:
        """Count the seconds that an attempt at a look or a return, and the wait for it, took."""
        if account is not None:
            for on, seconds in account.newly_spent().items():
                self._waited.add(work, on, by=max(0.0, seconds))

    def return_delivered(self, returned_at: datetime) -> None:
        """Count how long a return took; `returned_at` is when its author asked for it."""
        self._return_age.observe(_seconds(returned_at, datetime.now(UTC)))

    def note(self, outcome: Outcome) -> None:
        """Count a put or a new standing of a return."""
        if outcome.return_id is None:
            self._puts.add(outcome.kind)
        else:
            withdrawn = outcome.reason == "withdrawn"
            self._deliveries.add(
                "withdrawn" if withdrawn else outcome.outcome.removeprefix("return.")
            )


class CountedLooks(Looks):
    """`Looks` whose ends are counted."""

    def __init__(
        self, postgres: Postgres, worker_id: str, *, measures: Measures, **how: float
    ) -> None:
        super().__init__(postgres, worker_id, **how)
        self._measures = measures

    async def done(self, look: Look) -> None:
        """Forget a look as `Looks` does, and count it."""
        await super().done(look)
        self._measures.look_ended(look, "done")

    async def try_again(self, look: Look, error: TryLater) -> None:
        """Give a look back as `Looks` does, and count why."""
        await super().try_again(look, error)
        self._measures.look_ended(look, error.reason)


class MeasuredDeliveries(TellingDeliveries):
    """`TellingDeliveries` that measures who was waited for, and how long it took in all."""

    def __init__(
        self, postgres: Postgres, *, worker_id: str, lease_s: float, tell: Tell, measures: Measures
    ) -> None:
        super().__init__(postgres, worker_id=worker_id, lease_s=lease_s, tell=tell)
        self._measures = measures

    async def settle(self, task: Task, standing: Standing, change: Change | None) -> None:
        """Note where it stands as `TellingDeliveries` does, and count what is delivered."""
        await super().settle(task, standing, change)
        answer = self.being_delivered(task)
        # without a receipt an earlier life of this connector had delivered it, and who knows when
        if standing.state == "delivered" and standing.receipt and answer is not None:
            self._measures.return_delivered(answer.returned_at)

    async def release(self, task: Task, standing: Standing, told: Any) -> None:
        """Give the lease back as `TellingDeliveries` does, and count the time of the attempt."""
        await super().release(task, standing, told)
        self._measures.waited("return", account_at_work())


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())  # the other clock may be a little ahead
