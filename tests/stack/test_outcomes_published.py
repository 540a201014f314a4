"""What a system tells of its work: `mirror.outcomes` for others, `/metrics` for who runs it."""

import json

import httpx2
import psutil
import pytest

from connector.demo.worlds import PROJECT_ID
from deploy.local.ports import LOOPBACK
from schemas.notices import OUTCOMES
from tests.kafka_topics import kafka_settings, records_of
from tests.stack.fault_stacks import Site

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_a_return_is_told_to_others_and_counted_for_operators(site: Site) -> None:
    rfi_id = await site.ask_rfi("Handrail return at the landing")
    await site.until_titled("rfi", rfi_id, "Handrail return at the landing")
    return_id = await site.return_rfi(rfi_id, "Return it to the wall.")
    await site.until_return(return_id, "delivered")

    async def told() -> list[tuple[str, str | None]] | None:
        outcomes = await _outcomes(site, rfi_id)
        return outcomes if ("return.delivered", return_id) in outcomes else None

    outcomes = await site.until("the outcome of the return", told)
    assert outcomes[0] == ("record.mirrored", None)
    shown = await _metrics(site)
    assert shown["connector_puts_total", "rfi"] >= 1
    assert shown["connector_deliveries_total", "delivered"] >= 1
    assert shown["connector_looks_total", "done"] >= 1
    assert shown["connector_notice_age_seconds_count", ""] >= 1
    assert shown["connector_held", "not_your_turn"] == 0
    assert shown["connector_consumer_partitions", ""] >= 1
    assert 0 <= shown["connector_sweep_age_seconds", ""] < 3_600
    assert shown["connector_outcomes_dropped_total", "queue_full"] == 0


async def _outcomes(site: Site, procore_id: str) -> list[tuple[str, str | None]]:
    environment = site.stack.environment
    settings = kafka_settings(
        environment["KAFKA_BOOTSTRAP_SERVERS"], environment["KAFKA_TOPIC_PREFIX"]
    )
    records = [
        record for record in await records_of(settings, OUTCOMES) if record.value is not None
    ]
    assert {record.key for record in records} <= {PROJECT_ID.encode()}
    values = [json.loads(record.value or b"") for record in records]
    return [
        (value["outcome"], value["return_id"])
        for value in values
        if value["procore_id"] == procore_id
    ]


async def _metrics(site: Site) -> dict[tuple[str, str], float]:
    """Return what the worker shows, by name and the one label's value."""
    page = await site.http.get(f"http://{LOOPBACK}:{_listens_on(site)}/metrics")
    assert page.status_code == httpx2.codes.OK
    shown = {}
    for line in page.text.splitlines():
        if not line.startswith("#"):
            named, _, number = line.rpartition(" ")
            name, _, label = named.partition("{")
            shown[name, label.partition('="')[2].rstrip('"}')] = float(number)
    return shown


def _listens_on(site: Site) -> int:
    worker = psutil.Process(site.stack.program("worker-1").pid)
    listening = [
        kept.laddr.port
        for process in (worker, *worker.children(recursive=True))
        for kept in process.net_connections("tcp4")
        if kept.status == psutil.CONN_LISTEN
    ]
    assert len(listening) == 1, listening
    return int(listening[0])
