"""`python -m webhook_gateway`: takes Procore's and Part3's deliveries and puts them into Kafka."""

import gc
import os

from services.health import Health, metrics_app
from services.http_limits import REFUSALS
from services.http_server import Site, serve
from services.kafka import Publisher
from services.metrics import Metrics
from services.running import run_program, stop_on_signals
from services.settings import read_or_exit
from services.telemetry import configure_logging
from services.tracing import exporting_traces
from webhook_gateway.app import Counts, Gateway
from webhook_gateway.settings import GatewaySettings

GC_EVERY = 10_000  # new objects; Python's 700 are used up by a few dozen deliveries


async def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first."""
    stop = stop_on_signals()
    metrics = Metrics()
    refusals = metrics.counter(
        "connector_http_refusals",
        "Connections ended before a request was seen.",
        {"reason": REFUSALS},
    )
    async with Publisher(settings.kafka) as publisher:
        metrics.gauge(
            "connector_gateway_waiting_records",
            "Records that wait for Kafka's acknowledgement.",
            lambda: float(publisher.waiting),
        )
        health = Health({"kafka": publisher.check})
        gateway = Gateway(
            publisher=publisher,
            hook_keys=settings.hook_keys,
            part3_secrets=settings.part3_secrets,
            health=health,
            counts=Counts(metrics),
        )
        bind = settings.bind
        sites = [
            Site("public", gateway, bind.host, bind.port, count=refusals.add),
            Site("metrics", metrics_app(metrics, health), bind.host, bind.metrics_port),
        ]
        gc.freeze()  # what is there by now stays: no collection has to look at it again
        gc.set_threshold(GC_EVERY)
        await serve(sites, stop)


def main() -> None:
    """Read the settings, or end with 78 and every fault; then run."""
    settings = read_or_exit(GatewaySettings.read)
    configure_logging(settings.log, "webhook_gateway")
    with exporting_traces("webhook_gateway", os.environ):
        run_program(run(settings))


if __name__ == "__main__":
    main()
