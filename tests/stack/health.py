"""What each program of a running system exports on its calls to Procore, beside the ledger."""

import asyncio
import time
from collections.abc import Mapping

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from connector.demo.stack import Stack, url_of
from tests.seven_observations import OBSERVATIONS, calls_on_the_api, observed_in

CALLS, HEALTH = "connector_procore_calls_total", "connector_integration_health_total"
PATIENCE_S = 30.0

Exported = dict[str, dict[tuple[str, str], float]]
"""By program: what each of its series shows, by its name and label values."""


async def assert_in_health(stack: Stack) -> None:
    """Fail with what one of the seven observations counts: of any program, or in the ledger.

    Every call in the ledger has been counted by one of the programs.
    """
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        shown = await _all_counted(stack, http)
        ledger = await _ledger(stack, http)
    assert observed_in(ledger) == {name: [] for name in OBSERVATIONS}
    for program, series in shown.items():
        counted = {name: series.get((HEALTH, name)) for name in OBSERVATIONS}
        expected = None if program == "gateway" else 0.0  # it has no way to Procore
        assert counted == dict.fromkeys(OBSERVATIONS, expected), program
        assert bool(_calls(series)) == (program != "gateway"), program


async def _all_counted(stack: Stack, http: httpx2.AsyncClient) -> Exported:
    """Return what is exported once nothing is under way: as many calls as the ledger has."""
    until = time.monotonic() + PATIENCE_S
    while True:
        shown = {name: await _series(http, port) for name, port in _ports(stack).items()}
        counted = sum(map(_calls, shown.values()))
        called = len(calls_on_the_api(await _ledger(stack, http)))
        if counted == called:
            return shown
        assert time.monotonic() < until, f"{counted} calls were counted, and {called} made"
        await asyncio.sleep(0.2)


def _ports(stack: Stack) -> dict[str, int]:
    return {
        name: int(program.environment["METRICS_PORT"])
        for name, program in stack.run.programs.items()
        if "METRICS_PORT" in program.environment
    }


async def _series(http: httpx2.AsyncClient, port: int) -> dict[tuple[str, str], float]:
    page = await http.get(f"{url_of(port)}/metrics")
    page.raise_for_status()
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
        if sample.name in (CALLS, HEALTH)
    }


def _calls(series: Mapping[tuple[str, str], float]) -> int:
    return int(sum(value for (name, _), value in series.items() if name == CALLS))


async def _ledger(stack: Stack, http: httpx2.AsyncClient) -> list[dict[str, object]]:
    answer = await http.get(f"{stack.procore}/_sandbox/ledger", params={"limit": "100000"})
    answer.raise_for_status()
    calls: list[dict[str, object]] = answer.json()["calls"]
    return calls
