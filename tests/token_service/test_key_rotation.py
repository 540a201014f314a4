"""Promise A20, threat 12: keys change on two replicas under load, and nobody is refused meanwhile.

Each rotation is played as docs/configuration.md tells it: behind, first, alone, and each step on
one replica after the other, so that for a while every pair of neighbouring steps runs side by side.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from services.service_tokens import issue_launch_token, issue_service_token
from services.settings import KeyRing
from tests.token_service.browser import Browser
from tests.token_service.conftest import ANNA, BEN, Part3Host, Running, replica, ring
from tests.token_service.login_host import Account, LoginHost
from tests.token_service.procore_api_host import ProcoreHost
from token_service.settings import Settings

pytestmark = pytest.mark.postgres
ENOUGH = 12  # answers between two restarts
PEOPLE = {"anna": ANNA, "ben": BEN, "carla": Account("503", "c@x.example", "Carla")}


@dataclass
class Load:
    """Callers that never stop asking. `refused` is what nobody should hear."""

    answered: int = 0
    refused: list[str] = field(default_factory=list)

    async def until_more(self) -> None:
        """Wait until the replicas as they are now have answered some more."""
        wanted = self.answered + ENOUGH
        async with asyncio.timeout(60):
            while self.answered < wanted and not self.refused:
                await asyncio.sleep(0.02)

    async def keep(self, ask: Callable[[], Awaitable[str]]) -> None:
        while True:
            said = await ask()
            if said:
                self.refused.append(said)
            self.answered += 1
            await asyncio.sleep(0)


@dataclass
class Pair:
    """Two replicas, of which one is restarted after the other."""

    start: Callable[[Mapping[str, Any]], Any]
    replicas: list[Running] = field(default_factory=list)
    lives: list[AsyncExitStack] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    asked: Counter[int] = field(default_factory=Counter)

    @property
    def any(self) -> Running:
        return self.chance.choice(self.replicas)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Running]:
        """Ask one of them, which is not ended meanwhile: a server's requests are answered first."""
        one = self.any
        self.asked[id(one)] += 1
        try:
            yield one
        finally:
            self.asked[id(one)] -= 1

    async def restart(self, place: int, changed: Mapping[str, Any]) -> Running:
        life = AsyncExitStack()
        running: Running = await life.enter_async_context(self.start(changed))
        before = self.replicas[place : place + 1]
        self.replicas[place : place + 1] = [running]
        if before:
            while self.asked[id(before[0])]:
                await asyncio.sleep(0.02)
            old, self.lives[place] = self.lives[place], life
            await old.aclose()
        else:
            self.lives.append(life)
        return running


@pytest.fixture
async def pair(
    settings: Settings, running: Running, procore: ProcoreHost, part3: Part3Host, tmp_path: Path
) -> AsyncIterator[Pair]:
    spools = iter(range(1_000))

    @asynccontextmanager
    async def start(changed: Mapping[str, Any]) -> AsyncIterator[Running]:
        spool = tmp_path / f"spool{next(spools)}"
        spool.mkdir()
        as_it_is = replace(settings, spool_folder=spool, **changed)
        async with replica(as_it_is, running.database, procore, part3) as one:
            yield one

    two = Pair(start)
    try:
        yield two
    finally:
        for life in two.lives:
            await life.aclose()


async def rotate(
    pair: Pair, name: str, old: KeyRing, load: Load, *askers: Callable[[], Awaitable[str]],
    before_old_goes: Callable[[], Awaitable[None]] | None = None,
) -> None:  # fmt: skip
    new = ring(f"{old.first.id}-new")
    steps = [
        old,
        KeyRing((*old.keys, *new.keys)),
        KeyRing((*new.keys, *old.keys)),
        new,
    ]
    for place in (0, 1):
        await pair.restart(place, {name: old})
    asking = [asyncio.create_task(load.keep(ask)) for ask in askers]
    for keys in steps[1:]:
        if keys is new and before_old_goes:
            await before_old_goes()
        for place in (0, 1):
            await pair.restart(place, {name: keys})
            await load.until_more()
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert load.refused == []
    assert load.answered > 6 * ENOUGH


async def test_d12_encryption_keys_are_rotated_while_tokens_are_read_and_refreshed(
    pair: Pair, settings: Settings, running: Running, login: LoginHost
) -> None:
    for user_id, account in PEOPLE.items():
        await running.grant(user_id, account, login)
    names = iter(list(PEOPLE) * 100_000)

    async def read() -> str:
        async with pair.asking() as one:
            token = await one.services.tokens.get(next(names), caller="sync_worker")
        return "" if token.access_token in login.access_tokens else token.access_token

    async def refresh() -> str:
        await running.age("carla", -1)
        await asyncio.sleep(0.05)
        return await read()

    async def sealed_again() -> None:
        for one in pair.replicas:
            await one.services.housekeeping.seal_again()
        assert await pair.replicas[0].store.under_other_keys() == 0

    load = Load()
    await rotate(
        pair, "sealing_keys", settings.sealing_keys, load, read, read, refresh,
        before_old_goes=sealed_again,
    )  # fmt: skip
    assert login.redemptions > 3
    assert login.refusals == 0
    state = "SELECT count(*) FROM authority.grants WHERE state <> 'authorized'"
    assert await running.database.fetchval(state) == 0
    lost = "SELECT count(*) FROM authority.audit WHERE event = 'grant.lost'"
    assert await running.database.fetchval(lost) == 0


async def test_d12_rows_that_no_key_opens_keep_none_from_being_sealed_again(
    running: Running, login: LoginHost, settings: Settings, procore: ProcoreHost, part3: Part3Host
) -> None:
    await running.grant("anna", ANNA, login)
    await running.database.execute(
        "INSERT INTO authority.grants SELECT 'a' || n, procore_user_id, procore_login, "
        "procore_name, state, reason, issuer, nextval('authority.grant_versions'), ''::bytea, "
        "''::bytea, 'lost', '', '', 1, now() FROM authority.grants, generate_series(1, 150) n"
    )
    new = ring("s2")
    both = KeyRing((*new.keys, *settings.sealing_keys.keys))
    async with replica(
        replace(settings, sealing_keys=both), running.database, procore, part3
    ) as rotating:
        await rotating.services.housekeeping.seal_again()
        assert await rotating.store.under_other_keys() == 150
    key = "SELECT key_id FROM authority.grants WHERE user_id = 'anna'"
    assert await running.database.fetchval(key) == "s2"


async def test_d12_internal_keys_are_rotated_while_workers_call(
    pair: Pair, settings: Settings, running: Running, login: LoginHost
) -> None:
    await running.grant("anna", ANNA, login)

    async def call() -> str:
        signer = pair.any  # a worker is at the step of one of the two
        token = issue_service_token(signer.settings.internal_keys, "sync_worker")
        async with pair.asking() as one:
            answer = await one.internal.post(
                "/internal/access-tokens",
                json={"user_id": "anna"},
                headers={"authorization": f"Bearer {token}"},
            )
        return "" if answer.status_code == 200 else answer.text

    await rotate(pair, "internal_keys", settings.internal_keys, Load(), call, call)


async def test_d12_launch_keys_are_rotated_while_people_come_in_and_stay(
    pair: Pair, settings: Settings
) -> None:
    ids = iter(range(1_000_000))

    async def come_in() -> str:
        token = issue_launch_token(
            pair.any.settings.launch_keys, "anna", "Anna", "a@x.example", f"jti-{next(ids)}"
        )
        async with pair.asking() as one:
            browser = Browser(one)
            launched = await browser.get(f"/launch?token={token}")
        async with pair.asking() as another:
            browser.running = another
            page = await browser.get("/account/integrations")
        statuses = (launched.status_code, page.status_code)
        return "" if statuses == (303, 200) else f"{statuses}"

    await rotate(pair, "launch_keys", settings.launch_keys, Load(), come_in)
