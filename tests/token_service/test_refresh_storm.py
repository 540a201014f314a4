"""Promises A17 and A18: four replicas, a hundred callers each, and every rotation redeems once.

`make refresh-storm` plays 1,000 rotations; here are a few of each kind. Times are scaled down: an
endpoint of 1.2 s stands for one of 45 s. Stopped and killed programs: test_token_program.py.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from services.errors import TryLater
from services.postgres import Postgres, open_postgres
from tests.token_service.conftest import ANNA, Part3Host, Running, replica
from tests.token_service.login_host import LoginHost
from tests.token_service.procore_api_host import ProcoreHost
from token_service.grants.store import GrantStore, Lease, SealedPair, Stored
from token_service.settings import Settings

ROTATIONS = int(os.environ.get("REFRESH_ROTATIONS", "6"))
REPLICAS, CALLERS = 4, 100
PATIENCE_S = 90.0
CUT_ALL = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120 + 15 * ROTATIONS)]
Trouble = Callable[[], Awaitable[None]]


class Storm:
    """Four replicas on one database, and what can happen to them during a refresh."""

    def __init__(self, replicas: list[Running], login: LoginHost, operator: Postgres) -> None:
        self.replicas = replicas
        self.login = login
        self.operator = operator
        self.no_commit = False
        self.happened: list[str] = []

    async def rotate(self, trouble: Trouble) -> set[str]:
        """Let the access token end and everybody ask; return the tokens that they got."""
        self.login.spent.clear()
        self.happened.append(trouble.__name__)
        # in any case the answer is held back until the trouble has come
        self.login.delay_s = 1.2 if trouble.__name__ == "slow_endpoint" else 0.15
        await self.replicas[0].age("anna", -1)
        asking = [
            asyncio.create_task(_patiently(one)) for one in self.replicas for _ in range(CALLERS)
        ]
        async with asyncio.timeout(PATIENCE_S):
            await self.login.spent.wait()
            await trouble()
            return set(await asyncio.gather(*asking))

    async def nothing(self) -> None:
        """The endpoint answers at once."""

    async def slow_endpoint(self) -> None:
        """The endpoint takes its time; whoever loses patience must not send the token again."""

    async def cut_connections(self) -> None:
        """Postgres ends every connection while the endpoint is being asked, as a restart does."""
        await self.operator.fetchval(CUT_ALL)

    async def commit_fails(self) -> None:
        """The answer is there and cannot be stored: the copy on the disk brings it home."""
        self.no_commit = True
        await asyncio.sleep(0.5)
        self.no_commit = False


async def _patiently(replica_: Running) -> str:
    """Ask as a worker does: what failed for now is asked again."""
    while True:
        try:
            token = await replica_.services.tokens.get("anna", caller="sync_worker")
        except TryLater:
            await asyncio.sleep(0.2)
        else:
            return token.access_token


@pytest.fixture
async def storm(
    settings: Settings, authority: Postgres, database: str, login: LoginHost,
    procore: ProcoreHost, part3: Part3Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Storm]:  # fmt: skip
    quick = replace(settings, refresh_deadline_s=20.0, refresh_lease_s=30.0)
    async with AsyncExitStack() as life:
        replicas = []
        for place in range(REPLICAS):
            spool = tmp_path / f"spool{place}"
            spool.mkdir()
            own = await life.enter_async_context(open_postgres(database, max_size=8))
            its = replace(quick, spool_folder=spool)
            replicas.append(await life.enter_async_context(replica(its, own, procore, part3)))
        storm = Storm(replicas, login, authority)
        stores = GrantStore.store_renewed

        async def store(self: GrantStore, lease: Lease, pair: SealedPair) -> Stored:
            if storm.no_commit:
                raise TryLater("Postgres is away", reason="postgres_down")
            return await stores(self, lease, pair)

        monkeypatch.setattr(GrantStore, "store_renewed", store)
        yield storm


async def test_d7_d8_every_rotation_redeems_once_whatever_happens(
    storm: Storm, login: LoginHost, authority: Postgres
) -> None:
    await storm.replicas[0].grant("anna", ANNA, login)
    troubles = [storm.nothing, storm.slow_endpoint, storm.cut_connections, storm.commit_fails]
    chance = random.Random(17)
    last = ""
    for rotation in range(ROTATIONS):
        trouble = troubles[rotation % len(troubles)] if rotation < 8 else chance.choice(troubles)
        tokens = await storm.rotate(trouble)
        happened = storm.happened[-1]
        assert len(tokens) == 1, f"rotation {rotation}, {happened}"
        assert last not in tokens, f"rotation {rotation}, {happened}"
        last = tokens.pop()
        assert login.redemptions == len(login.forms) == rotation + 1, happened
    assert login.refusals == 0  # no refresh token was ever used a second time
    assert set(storm.happened) == {trouble.__name__ for trouble in troubles}
    assert await authority.fetchval("SELECT state FROM authority.grants") == "authorized"
    lost = "SELECT count(*) FROM authority.audit WHERE event = 'grant.lost'"
    assert await authority.fetchval(lost) == 0
