"""`python -m token_service`: the pages on one port, tokens for our own services on another."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.health import Health, metrics_app
from services.http_client import HttpClient
from services.http_limits import REFUSALS, Limits
from services.http_server import Site, serve
from services.metrics import Metrics
from services.postgres import Postgres, open_postgres
from services.running import keep_memory_private, run_program, stop_on_signals
from services.settings import read_or_exit
from services.telemetry import configure_logging
from services.tracing import exporting_traces
from token_service.internal.api import internal_app
from token_service.public.app import public_app
from token_service.services import Outside, Services, assemble
from token_service.settings import Settings
from token_service.slow_bodies import BodyDeadline

POOL_SIZE = 16
GRACEFUL_S = 4.0  # of the 25 s in which a program ends; refreshes under way get more


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; refreshes under way are brought home first."""
    stop = stop_on_signals()
    metrics = Metrics()
    async with (
        open_postgres(settings.database_url.reveal(), min_size=0, max_size=POOL_SIZE) as database,
        _http_client("Procore") as procore_http,
        _http_client("Part3") as part3_http,
    ):
        services = assemble(
            settings,
            Outside(
                database=database,
                procore_http=procore_http,
                part3_http=part3_http,
                metrics=metrics,
                ending=stop,
            ),
        )
        async with services.refresher.running(), _housekeeping(services):
            await serve(_sites(settings, services, metrics, _health(database)), stop)


def _health(database: Postgres) -> Health:
    async def check_postgres() -> None:
        await database.fetchval("SELECT 1 FROM authority.connection_clock")

    return Health({"postgres": check_postgres})


def _sites(settings: Settings, services: Services, metrics: Metrics, health: Health) -> list[Site]:
    refusals = metrics.counter(
        "connector_http_refusals",
        "Connections ended before a request was seen.",
        {"reason": REFUSALS},
    )
    public = public_app(
        services.desk, services.pad, services.authorizing, health, https=settings.https
    )
    internal = internal_app(services.internal, health)
    bind, limits = settings.bind, Limits(graceful_s=GRACEFUL_S)
    return [
        Site("public", BodyDeadline(public), bind.host, bind.port, limits, refusals.add),
        Site(
            "internal", BodyDeadline(internal), bind.host, bind.internal_port, limits, refusals.add
        ),
        Site("metrics", metrics_app(metrics, health), bind.host, bind.metrics_port, limits),
    ]


@asynccontextmanager
async def _http_client(name: str) -> AsyncIterator[HttpClient]:
    client = HttpClient(name)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def _housekeeping(services: Services) -> AsyncIterator[None]:
    task = asyncio.create_task(services.housekeeping.run(), name="housekeeping")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def main() -> None:
    """Read the settings, or end with 78 and every fault; then run."""
    keep_memory_private()
    settings = read_or_exit(Settings.read)
    configure_logging(settings.log, "token_service")
    with exporting_traces("token_service", os.environ):
        run_program(run(settings))


if __name__ == "__main__":
    main()
