"""Wires the outbound half."""

from services.part3.client import Part3
from services.postgres import Postgres
from services.procore.client import Procore
from services.token_client import TokenClient
from sync_worker.outbound.attempt import Attempts
from sync_worker.outbound.carrying import PostgresUploads
from sync_worker.outbound.deliver import Deliverer
from sync_worker.outbound.deliveries import Deliveries
from sync_worker.outbound.delivery_store import PostgresDeliveries
from sync_worker.outbound.errand import Limits
from sync_worker.outbound.intent_store import PostgresIntents
from sync_worker.outbound.memory import PostgresMemory
from sync_worker.settings import Timing

LEASE_S = 60.0
"""Renewed at a third of it while an attempt is under way."""


def deliveries_of(
    postgres: Postgres,
    procore: Procore,
    part3: Part3,
    tokens: TokenClient,
    *,
    worker_id: str,
    timing: Timing,
) -> Deliveries:
    """Return the loop that brings returns to Procore."""
    limits = Limits(
        quiet_s=timing.quiet_s, recheck_s=timing.recheck_s, retry_max_s=timing.retry_max_s
    )
    memory = PostgresMemory(postgres)
    store = PostgresDeliveries(postgres, worker_id=worker_id, lease_s=LEASE_S)
    deliverer = Deliverer(
        grants=tokens,
        procore=procore,
        part3=part3,
        intents=PostgresIntents(postgres),
        uploads=PostgresUploads(postgres),
        memory=memory,
        limits=limits,
    )
    attempts = Attempts(store=store, deliverer=deliverer, part3=part3, memory=memory, limits=limits)
    return Deliveries(store, attempts, lease_s=LEASE_S)
