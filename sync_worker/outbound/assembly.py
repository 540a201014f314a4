"""Wires the outbound half of a worker."""

from collections.abc import Callable

from services.postgres import Postgres
from sync_worker.measures import MeasuredDeliveries, Measures
from sync_worker.outbound.attempt import Attempts
from sync_worker.outbound.carrying import PostgresUploads
from sync_worker.outbound.codes import CodeBook
from sync_worker.outbound.deliver import Deliverer
from sync_worker.outbound.deliveries import Deliveries
from sync_worker.outbound.errand import Limits
from sync_worker.outbound.intent_store import PostgresIntents
from sync_worker.outbound.memory import PostgresMemory
from sync_worker.outbound.outside import Authority, Part3Returns, ProcoreWrites
from sync_worker.outcomes import Tell, TellingDeliveries, tell_nobody
from sync_worker.settings import Timing

SHORTEST_LEASE_S = 45.0
"""A lease is kept alive while its worker lives; this is how long others wait when it died."""


def deliveries_of(
    postgres: Postgres,
    procore: ProcoreWrites,
    part3: Part3Returns,
    grants: Authority,
    *,
    worker_id: str,
    timing: Timing,
    wake_looks: Callable[[], None],
    tell: Tell = tell_nobody,
    measures: Measures | None = None,
) -> Deliveries:
    """Return the loop that brings returns to Procore.

    Args:
        postgres: the workers' schema.
        procore: Procore's API.
        part3: Part3's API.
        grants: the token service.
        worker_id: this replica's name; what an earlier life of it held is freed at its start.
        timing: durations from the settings.
        wake_looks: told when a delivery wants its record to be looked at.
        tell: told each new standing.
        measures: told how long returns take, if somebody wants to know.
    """
    limits = Limits(
        quiet_s=timing.quiet_s, recheck_s=timing.recheck_s, retry_max_s=timing.retry_max_s
    )
    memory = PostgresMemory(postgres)
    lease_s = max(SHORTEST_LEASE_S, timing.write_deadline_s)
    store = (
        TellingDeliveries(postgres, worker_id=worker_id, lease_s=lease_s, tell=tell)
        if measures is None
        else MeasuredDeliveries(
            postgres, worker_id=worker_id, lease_s=lease_s, tell=tell, measures=measures
        )
    )
    deliverer = Deliverer(
        grants=grants,
        procore=procore,
        part3=part3,
        intents=PostgresIntents(postgres),
        uploads=PostgresUploads(postgres),
        memory=memory,
        codes=CodeBook(grants, part3, keep_s=limits.recheck_s),
        limits=limits,
    )
    attempts = Attempts(
        store=store,
        deliverer=deliverer,
        part3=part3,
        memory=memory,
        limits=limits,
        wake_looks=wake_looks,
    )
    return Deliveries(store, attempts, lease_s=lease_s)
