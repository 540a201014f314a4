"""The whole system, started once for all tests that only use it and break nothing."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from connector.demo.stack import Stack
from connector.demo.worlds import seed
from deploy.local.browser import chromium_path
from tests.stack.fault_stacks import QUICK, Site, connected_site
from tests.stack.span_receiver import SpanReceiver, receiving_spans
from tests.stack.stacks import running_stack

QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_stack(kafka_bootstrap: str, database_url: str) -> AsyncIterator[Stack]:
    """A system that is up, its stand-ins not seeded yet."""
    async with running_stack(kafka_bootstrap, database_url) as stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def story_world(shared_stack: Stack) -> dict[str, Any]:
    """The world of the demo's story in both stand-ins: what Procore's made, with ids."""
    return await seed(shared_stack)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def span_receiver() -> Iterator[SpanReceiver]:
    """Where the programs of `fault_site` export their traces to."""
    with receiving_spans() as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fault_site(
    kafka_bootstrap: str, database_url: str, span_receiver: SpanReceiver
) -> AsyncIterator[Site]:
    """A connected project on a system of its own, whose programs tests kill and start again."""
    how = {
        **QUICK,
        "HOOK_AUDIT_S": "2",
        "OTEL_EXPORTER_OTLP_ENDPOINT": span_receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "500",  # ms
    }
    async with (
        running_stack(kafka_bootstrap, database_url, overrides=how) as stack,
        connected_site(stack) as site,
    ):
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def site(fault_site: Site) -> AsyncIterator[Site]:
    """The same, with nothing wrong at first; afterwards all of it is whole again."""
    yield fault_site
    await fault_site.mend()
    assert fault_site.faults_logged() == []
