"""`connector demo` as a newcomer runs it: what it says, how it ends, and that nothing stays."""

import asyncio
import os
import re
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import httpx2
import psutil
import pytest
import pytest_asyncio

from tests.databases import fresh_database

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

PATIENCE_S = 90.0
STAYS_UP = "Everything stays up"
STEPS = (
    "The architect invites the general contractor",
    "The contractor connects the project",
    "Everything comes over for the first time",
    "The contractor edits an RFI in Procore",
    "The architect returns a submittal",
    "The architect returns an RFI",
    "He authorizes, and it goes by itself",
    "A code that Procore has no word for is held",
    "Both parties agree on one, and it goes by itself",
    "Somebody deletes an answer in Procore",
)


class Demo:
    """A running `connector demo` and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def until(self, words: str) -> None:
        """Read on until these words are there."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while words not in self.said:
                line = await self.process.stdout.readline()
                assert line, f"ended without “{words}”:\n{self.said}"
                self.said += line.decode()

    async def ended(self) -> int:
        """Read to the end and return the exit code."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            self.said += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    def programs(self) -> dict[str, psutil.Process]:
        """Return the running programs by the last word of their command."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return {one.cmdline()[-1]: one for one in below if one.cmdline()}


@asynccontextmanager
async def demo(kafka: str, database: str, *arguments: str, prefix: str = "") -> AsyncIterator[Demo]:
    """Start the demo on the servers of the session, and leave nothing of it behind."""
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": prefix or f"demo-{secrets.token_hex(4)}.",
        "DATABASE_URL": database,
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "80",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector", "demo", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | variables,
    )
    try:
        yield Demo(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.communicate()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.1)


@dataclass
class Demos:
    """Two on the same servers: one that stays up, and one that was played once to its end."""

    staying: Demo
    once: Demo
    exit_code: int
    database_of_once: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demos(kafka_bootstrap: str, database_url: str) -> AsyncIterator[Demos]:
    async with (
        fresh_database(database_url) as one,
        fresh_database(database_url) as another,
        demo(kafka_bootstrap, one) as staying,
        demo(kafka_bootstrap, another, "--once") as once,
    ):
        exit_code = await once.ended()
        await staying.until(STAYS_UP)
        yield Demos(staying, once, exit_code, another)


@pytest.mark.asyncio(loop_scope="module")
async def test_played_once_it_tells_the_story_and_ends_with_0(demos: Demos) -> None:
    shown = demos.once
    assert demos.exit_code == 0, shown.said
    for step in STEPS:
        assert step in shown.said
    assert STAYS_UP not in shown.said
    assert "Using the Postgres that the environment names." in shown.said
    assert max(map(len, shown.said.splitlines())) <= 80
    # whole, to be copied into a login page
    assert "dana@northbridge-builders.example" in shown.said
    # it was the database of DATABASE_URL
    session = await asyncpg.connect(demos.database_of_once)
    assert await session.fetchval("SELECT count(*) FROM mirror.records") > 0
    await session.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_every_address_it_shows_leads_somewhere(demos: Demos) -> None:
    addresses = set(re.findall(r"http://127\.0\.0\.1:\d+[^\s│]*", demos.staying.said))
    assert len(addresses) >= len(STEPS)
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=True) as http:
        for address in addresses:
            answer = await http.get(address, headers={"accept": "text/html"})
            assert answer.is_success, f"{address}: {answer.status_code}"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_killed_program_comes_back_and_all_end_with_the_demo(demos: Demos) -> None:
    shown = demos.staying
    programs = shown.programs()
    programs["sync_worker"].kill()
    await shown.until("worker-1 is ready again")
    assert "worker-1 ended with -9" in shown.said
    shown.process.send_signal(signal.SIGINT)
    assert await shown.ended() == 128 + signal.SIGINT
    assert not any(one.is_running() for one in programs.values())
    assert "Traceback" not in shown.said + demos.once.said


async def test_the_database_of_an_ended_demo_serves_the_next_and_that_of_a_living_one_does_not(
    kafka_bootstrap: str, database: str
) -> None:
    async with demo(kafka_bootstrap, database) as first:
        await first.until(STAYS_UP)
        async with demo(kafka_bootstrap, database, "--once") as second:
            assert await second.ended() == 1
        assert "another demo runs on the database" in second.said
        programs = first.programs()
        first.process.kill()
        await first.process.wait()
        await until(lambda: not any(one.is_running() for one in programs.values()))
    async with demo(kafka_bootstrap, database, "--once") as third:
        assert await third.ended() == 0, third.said
    assert "an earlier demo left" in third.said


async def test_data_that_no_demo_made_are_left_alone(kafka_bootstrap: str, database: str) -> None:
    session = await asyncpg.connect(database)
    await session.execute("CREATE SCHEMA mirror; CREATE TABLE mirror.precious ()")
    async with demo(kafka_bootstrap, database, "--once") as refused:
        assert await refused.ended() == 1
    assert "left alone" in refused.said
    assert await session.fetchval("SELECT to_regclass('mirror.precious') IS NOT NULL")
    await session.close()
