"""`python -m sync_worker`: one of any number of workers."""

import asyncio
import os

import structlog

from services.health import Health, metrics_app
from services.http_server import Site, serving
from services.metrics import Metrics
from services.running import run_program, stop_on_signals
from services.settings import read_or_exit
from services.telemetry import configure_logging
from services.tracing import exporting_traces
from sync_worker.assembly import Worker, assembled
from sync_worker.settings import WorkerSettings

log = structlog.get_logger()

FINISH_S = 12.0
"""How long work under way may take after SIGTERM; what is not done by then, another worker does.

Closing what is open afterwards takes up to 8 s more at sides that do not answer; 25 s is all.
"""


async def run(settings: WorkerSettings) -> None:
    """Work until SIGTERM or SIGINT; what is under way is finished or handed over."""
    stop = stop_on_signals()
    metrics = Metrics()
    async with assembled(settings, metrics) as worker:
        health = Health(
            {"postgres": lambda: _check_postgres(worker), "kafka": worker.publisher.check},
            alive={"consumer": worker.consumer.stuck},
        )
        bind = settings.bind
        site = Site("metrics", metrics_app(metrics, health), bind.host, bind.metrics_port)
        async with serving([site]):
            await _work(worker, stop)


async def _work(worker: Worker, stop: asyncio.Event) -> None:
    loops = [
        asyncio.create_task(worker.consumer.run(stop), name="consumer"),
        asyncio.create_task(worker.projects.follow(stop), name="projects"),
        asyncio.create_task(worker.duties.run(stop), name="duties"),
        asyncio.create_task(worker.clock.keep(stop), name="clock"),
        asyncio.create_task(worker.measures.run(stop), name="measures"),
        asyncio.create_task(worker.neighbours.run(stop), name="neighbours"),
        asyncio.create_task(worker.looking.run(), name="looking"),
        asyncio.create_task(worker.sweeping.run(), name="sweeping"),
        asyncio.create_task(worker.deliveries.run(), name="deliveries"),
        asyncio.create_task(worker.readiness.run(), name="readiness"),
    ]
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([*loops, stopped], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        for part in (worker.looking, worker.sweeping, worker.deliveries, worker.readiness):
            part.stop()
        _, late = await asyncio.wait(loops, timeout=FINISH_S)
        for task in late:
            log.warning("worker.handed_over", loop=task.get_name())
            _ = task.cancel()
        _ = await asyncio.gather(*late, return_exceptions=True)
        for task in loops:
            if task in done or task.done():
                _raise_fault(task)
    finally:
        _ = stopped.cancel()


def _raise_fault(task: asyncio.Task[None]) -> None:
    """A loop that broke ends the program with its traceback, to be started anew."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        raise fault


async def _check_postgres(worker: Worker) -> None:
    await worker.postgres.fetchval("SELECT 1 FROM mirror.projects LIMIT 1")


def main() -> None:
    """Read the settings, or end with 78 and every fault; then run."""
    settings = read_or_exit(WorkerSettings.read)
    configure_logging(settings.log, "sync_worker")
    with exporting_traces("sync_worker", os.environ):
        run_program(run(settings))


if __name__ == "__main__":
    main()
