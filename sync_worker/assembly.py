"""Wires a worker: clients, stores and loops, handed to each other's constructors."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from schemas.notices import DEAD_LETTERS, WORKER_GROUP, Outcome
from services.checked_connections import CheckedBackend
from services.database_clock import DatabaseClock
from services.http_client import HttpClient
from services.kafka import ConsumedRecord, ConsumerSettings, NoticeConsumer, Publisher
from services.metrics import Metrics
from services.part3.client import Part3
from services.postgres import Postgres, open_postgres
from services.procore.call import Caller
from services.procore.client import Procore
from services.procore.counting import CallMeasures
from services.procore.files import Files
from services.procore.origins import Origins, origin_of, origins_of
from services.procore.pacing import PostgresPace
from services.procore.turns import Turns
from services.service_tokens import issue_service_token
from services.settings import KeyRing
from services.token_client import TokenClient
from sync_worker.completeness.comparing import Comparing
from sync_worker.completeness.listings import Listings
from sync_worker.completeness.store import Comparisons
from sync_worker.consume import TOPICS, Intake, Wakers
from sync_worker.duties import Duties
from sync_worker.first_showing import FirstShowing
from sync_worker.gaps import look_at_everything
from sync_worker.inbound.brake import Brake
from sync_worker.inbound.looking import Looking
from sync_worker.inbound.mirror import Mirror
from sync_worker.leases import Leases
from sync_worker.measures import CountedLooks, Measures
from sync_worker.neighbours import Neighbours
from sync_worker.outbound.assembly import deliveries_of
from sync_worker.outbound.deliveries import Deliveries
from sync_worker.outbound.readiness_loop import ReadinessLoop
from sync_worker.outcomes import Outcomes, TellingRecords
from sync_worker.poison import PoisonLimit
from sync_worker.projects import Projects
from sync_worker.readers import Readers
from sync_worker.settings import WorkerSettings
from sync_worker.sweep_store import Sweeps
from sync_worker.sweeping import Sweeping
from sync_worker.unlinking import Unlinking

POOL_SIZE = 24


@dataclass(frozen=True, slots=True)
class Worker:
    """The loops of a worker, and what its health is asked of."""

    postgres: Postgres
    publisher: Publisher
    consumer: NoticeConsumer
    projects: Projects
    looking: Looking
    sweeping: Sweeping
    deliveries: Deliveries
    readiness: ReadinessLoop
    duties: Duties
    clock: DatabaseClock
    measures: Measures
    neighbours: Neighbours


@asynccontextmanager
async def assembled(settings: WorkerSettings, metrics: Metrics) -> AsyncIterator[Worker]:
    """Open pools and clients, and give the worker made of them."""
    async with AsyncExitStack() as open_things:
        postgres = await open_things.enter_async_context(
            open_postgres(settings.database_url.reveal(), min_size=0, max_size=POOL_SIZE)
        )
        publisher = await open_things.enter_async_context(Publisher(settings.kafka))
        measures = Measures(metrics, postgres)
        outcomes = await open_things.enter_async_context(
            Outcomes(publisher, measures.outcomes_dropped)
        )
        origins = _origins(settings)
        clients = [
            HttpClient("Procore"),
            HttpClient("storage", backend=CheckedBackend(origins.literal)),
            HttpClient("Part3"),
            HttpClient("token service"),
        ]
        for client in clients:
            _ = open_things.push_async_callback(client.close)
        yield _worker(settings, postgres, publisher, measures, outcomes, *clients)


def _worker(
    settings: WorkerSettings,
    postgres: Postgres,
    publisher: Publisher,
    measures: Measures,
    outcomes: Outcomes,
    *clients: HttpClient,
) -> Worker:
    def tell(outcome: Outcome) -> None:
        measures.note(outcome)
        outcomes.tell(outcome)

    procore_http, storage_http, part3_http, token_http = clients
    timing, me = settings.timing, settings.worker_id
    clock = DatabaseClock(postgres)
    tokens = TokenClient(
        token_http,
        settings.token_service_urls,
        partial(_service_credential, settings.internal_keys, clock),
        now=clock,
    )
    turns = Turns(PostgresPace(postgres))
    caller = Caller(
        procore_http,
        settings.procore_api_url,
        tokens,
        write_deadline_s=timing.write_deadline_s,
        turns=turns,
        observe=CallMeasures(measures.metrics).note,
    )
    procore = Procore(caller, Files(caller, storage_http, tokens, _origins(settings)))
    part3 = Part3(part3_http, settings.part3_api_url, settings.part3_api_token)
    projects = Projects(
        postgres,
        tokens,
        part3,
        retry_max_s=timing.retry_max_s,
    )
    leases, records = Leases(postgres, me), TellingRecords(postgres, tell)
    looks = CountedLooks(
        postgres,
        me,
        measures=measures,
        retry_max_s=timing.retry_max_s,
        gather_s=timing.look_delay_s,
        settle_s=timing.settle_s,
    )
    mirror = Mirror(procore, part3, records, most_file_bytes=settings.most_file_bytes)
    looking = Looking(
        procore=procore,
        looks=looks,
        leases=leases,
        mirror=mirror,
        projects=projects,
        brake=Brake(postgres),
    )
    sweeping = Sweeping(
        procore=procore,
        sweeps=Sweeps(
            postgres,
            me,
            sweep_s=timing.sweep_s,
            audit_s=timing.audit_s,
            settle_s=timing.settle_s,
            retry_max_s=timing.retry_max_s,
        ),
        looks=looks,
        first_showing=FirstShowing(part3, leases, records),
        projects=projects,
        listings=Listings(postgres),
        wake_looks=looking.wake,
    )
    projects.wake_sweeps = sweeping.wake
    deliveries = deliveries_of(
        postgres,
        procore,
        part3,
        tokens,
        worker_id=me,
        timing=timing,
        wake_looks=looking.wake,
        tell=tell,
        measures=measures,
    )
    intake = Intake(
        postgres,
        bury=lambda record, cause: _bury(publisher, record, cause),
        wakers=Wakers(looking.wake, deliveries.wake, sweeping.wake),
        look_delay_s=timing.look_delay_s,
        learn=projects.learn,
        poison=PoisonLimit(settings.poison_limit),
    )
    neighbours = Neighbours(postgres, settings.kafka)
    consumer = NoticeConsumer(
        settings.kafka,
        topics=TOPICS,
        group_id=WORKER_GROUP,
        instance_id=me,
        handle=measures.handled(intake.handle),
        client_id=neighbours.name,
        on_gap=partial(look_at_everything, postgres),
        how=ConsumerSettings(session_timeout_s=timing.kafka_session_timeout_s),
    )
    measures.watch(consumer, turns.budget_left, lambda: neighbours.foreign)
    duties = Duties(
        postgres,
        Readers(
            postgres,
            tokens,
            part3,
            procore,
            recheck_s=timing.recheck_s,
            retry_max_s=timing.retry_max_s,
            wake=sweeping.wake,
        ),
        part3,
        Unlinking(postgres, leases, mirror),
        ensure_hook=tokens.ensure_hook,
        wake_deliveries=deliveries.wake,
        wake_sweeps=sweeping.wake,
        compare_one=Comparing(
            Comparisons(postgres), part3, looks, looking.wake, measures.marker_faults
        ).compare_one,
        recheck_s=timing.recheck_s,
        hook_audit_s=timing.hook_audit_s,
    )
    readiness = ReadinessLoop(
        postgres,
        part3,
        tokens,
        recheck_s=timing.recheck_s,
        procore=procore,
        agreements=tokens,
    )
    return Worker(
        postgres=postgres,
        publisher=publisher,
        consumer=consumer,
        projects=projects,
        looking=looking,
        sweeping=sweeping,
        deliveries=deliveries,
        readiness=readiness,
        duties=duties,
        clock=clock,
        measures=measures,
        neighbours=neighbours,
    )


def _service_credential(keys: KeyRing, clock: DatabaseClock) -> str:
    return "Bearer " + issue_service_token(keys, issuer="sync_worker", now=clock)


def _origins(settings: WorkerSettings) -> Origins:
    own = (
        settings.procore_api_url,
        settings.procore_login_url,
        settings.part3_api_url,
        *settings.token_service_urls,
    )
    return Origins(
        allowed=settings.file_origins, own=origins_of(own), api=origin_of(settings.procore_api_url)
    )


async def _bury(publisher: Publisher, record: ConsumedRecord, cause: str) -> None:
    headers = [*record.headers.items(), ("dead_letter_cause", cause.encode())]
    await publisher.publish(DEAD_LETTERS, record.key or b"", record.value or b"", headers)
