"""A refresh whose replica dies, is slow, or loses its answer on the way to the database."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.errors import TryLater
from services.postgres import Postgres
from services.settings import Secret
from tests.token_service.conftest import ANNA, Part3Host, Running, replica
from tests.token_service.login_host import LoginHost
from tests.token_service.procore_api_host import ProcoreHost
from tests.token_service.refreshing import ask, leased, outcomes, state_of
from token_service.grants.access import NeedsReauthorization, NotAuthorized
from token_service.grants.spool import Spool
from token_service.settings import Settings

pytestmark = pytest.mark.postgres


async def test_a_replica_that_died_in_a_refresh_leaves_an_unknown_outcome(
    running: Running, login: LoginHost
) -> None:
    pair = await running.grant("anna", ANNA, login, seconds_left=1000)
    grant = await running.store.read("anna")
    assert grant is not None
    lease = await running.store.take_lease(grant, "a replica now dead", 8, last_try=False)
    assert lease is not None
    assert await running.store.take_lease(grant, "another", 8, last_try=False) is None
    await running.database.execute("UPDATE authority.grants SET lease_until = now()")
    assert await ask(running) == pair.access_token.reveal()
    assert await outcomes(running) == ["unknown"]
    assert login.forms == []


async def test_a_pair_on_another_replicas_disk_is_waited_for_and_the_spent_token_not_sent(
    running: Running, login: LoginHost
) -> None:
    pair = await running.grant("anna", ANNA, login, seconds_left=-1)
    grant = await running.store.read("anna")
    assert grant is not None
    lease = await running.store.take_lease(grant, "the other replica", 8, last_try=False)
    assert lease is not None
    # Postgres was away until the lease had ended, and we are the first to see it again
    await running.database.execute("UPDATE authority.grants SET lease_until = now()")
    with pytest.raises(TryLater):
        await ask(running)
    assert login.forms == []
    fresh = replace(pair, access_token=Secret("fresh"), refresh_token=Secret("fresh too"))
    sealed = running.store.seal("anna", fresh, datetime.now(UTC) + timedelta(seconds=5400))
    assert await running.store.store_renewed(lease, sealed) == "stored"
    assert await ask(running) == "fresh"


async def test_callers_wait_for_another_replicas_refresh(
    running: Running, login: LoginHost
) -> None:
    await running.grant("anna", ANNA, login, seconds_left=-1)
    grant = await running.store.read("anna")
    assert grant is not None
    lease = await running.store.take_lease(grant, "the other replica", 8, last_try=False)
    assert lease is not None
    waiting = asyncio.create_task(ask(running))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await running.store.end_attempt(lease, "not_sent", spent=False)
    assert await waiting in login.access_tokens
    assert login.redemptions == 1


async def test_a_new_pair_reaches_its_row_after_a_crash_before_the_commit(
    running: Running, login: LoginHost, settings: Settings, authority: Postgres,
    procore: ProcoreHost, part3: Part3Host, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await running.grant("anna", ANNA, login, seconds_left=-1)

    async def die(*_args: object) -> str:
        raise TryLater("Postgres went away", reason="postgres_down")

    async with replica(settings, authority, procore, part3) as doomed:
        with monkeypatch.context() as patch:
            patch.setattr("token_service.grants.store.GrantStore.store_renewed", die)
            asking = asyncio.create_task(ask(doomed))
            await login.spent.wait()
            for _ in range(500):
                if any(settings.spool_folder.glob("*.pair")):
                    break
                await asyncio.sleep(0.02)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            files = list(settings.spool_folder.glob("*.pair"))
            kept = b"".join(file.read_bytes() for file in files)
    assert kept
    assert not any(token.encode() in kept for token in login.issued)  # sealed there too
    async with replica(settings, authority, procore, part3) as again:
        assert await ask(again) in login.access_tokens
    assert login.redemptions == 1
    assert list(settings.spool_folder.glob("*.pair")) == []
    assert await state_of(running) == ("authorized", None)


async def test_the_spool_mends_a_grant_that_another_replica_gave_up(
    running: Running, login: LoginHost, settings: Settings, authority: Postgres,
    procore: ProcoreHost, part3: Part3Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    await running.grant("anna", ANNA, login, seconds_left=1000)
    lonely = replace(settings, spool_folder=tmp_path / "lonely")
    lonely.spool_folder.mkdir()
    with monkeypatch.context() as patch:

        async def die(*_args: object) -> str:
            raise TryLater("Postgres went away", reason="postgres_down")

        patch.setattr("token_service.grants.store.GrantStore.store_renewed", die)
        async with replica(lonely, authority, procore, part3) as doomed:
            asking = asyncio.create_task(ask(doomed))
            while not list(lonely.spool_folder.glob("*.pair")):
                await asyncio.sleep(0.02)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    await running.database.execute("UPDATE authority.grants SET lease_until = now()")
    await running.age("anna", -1)
    with pytest.raises(TryLater):
        await ask(running)  # its disk may come back with the pair
    await running.database.execute("UPDATE authority.grants SET refresh_not_before = NULL")
    with pytest.raises(NeedsReauthorization):
        await ask(running)
    async with replica(lonely, authority, procore, part3):
        assert await ask(running) in login.access_tokens
    assert login.redemptions == 1


async def test_a_spool_of_another_database_is_left_alone(
    running: Running, login: LoginHost, settings: Settings, authority: Postgres,
    procore: ProcoreHost, part3: Part3Host,
) -> None:  # fmt: skip
    pair = await running.grant("anna", ANNA, login, seconds_left=1000)
    grant, lease = await leased(running)
    sealed = running.store.seal("anna", pair, grant.expires_at)
    Spool(settings.spool_folder).write(replace(lease, attempt=lease.attempt + 77), sealed)
    async with replica(settings, authority, procore, part3):
        pass
    assert len(list(settings.spool_folder.glob("*.pair"))) == 1


async def test_a_refresh_that_outlives_a_disconnect_is_revoked_too(
    running: Running, login: LoginHost
) -> None:
    login.delay_s = 0.5
    await running.grant("anna", ANNA, login, seconds_left=-1)
    asking = asyncio.create_task(ask(running))
    await login.spent.wait()
    await running.services.desk.ports.grants.revoke("anna")
    with pytest.raises(NotAuthorized):
        await asking
    assert login.access_tokens == {}
    assert login.refresh_tokens == {}


async def test_a_consent_during_a_refresh_stays(running: Running, login: LoginHost) -> None:
    login.delay_s = 0.4
    await running.grant("anna", ANNA, login, seconds_left=-1)
    asking = asyncio.create_task(ask(running))
    await login.spent.wait()
    consented = await running.grant("anna", ANNA, login)
    assert await asking == consented.access_token.reveal()
    await asyncio.sleep(0.5)
    assert await ask(running) == consented.access_token.reveal()
    assert await outcomes(running) == ["superseded"]


async def test_a_late_answer_never_fits_the_grant_of_a_later_life(
    running: Running, login: LoginHost
) -> None:
    pair = await running.grant("anna", ANNA, login)
    grant, lease = await leased(running)
    await running.services.desk.ports.grants.revoke("anna")
    later = await running.grant("anna", ANNA, login)
    sealed = running.store.seal("anna", pair, grant.expires_at)
    assert await running.store.store_renewed(lease, sealed) == "superseded"
    assert await ask(running) == later.access_token.reveal()


async def test_a_committed_pair_is_recognised_when_the_commits_answer_was_lost(
    running: Running, login: LoginHost
) -> None:
    pair = await running.grant("anna", ANNA, login)
    grant, lease = await leased(running)
    fresh = replace(pair, refresh_token=Secret("fresh"))
    sealed = running.store.seal("anna", fresh, grant.expires_at)
    assert await running.store.store_renewed(lease, sealed) == "stored"
    assert await running.store.store_renewed(lease, sealed) == "stored"
    assert await outcomes(running) == ["renewed"]
