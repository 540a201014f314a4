"""Single-use refresh tokens: once, whoever asks, and never simply again."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from services.errors import TryLater
from services.postgres import Postgres, open_postgres
from tests.token_service.conftest import ANNA, BEN, Part3Host, Running, replica
from tests.token_service.login_host import LoginHost
from tests.token_service.procore_api_host import ProcoreHost
from tests.token_service.refreshing import ask, hashed, outcomes, state_of
from token_service.grants import store
from token_service.grants.access import NeedsReauthorization, NotAuthorized
from token_service.grants.refresh import RefreshLimits
from token_service.settings import Settings

pytestmark = pytest.mark.postgres


async def test_a_fresh_token_is_handed_out_as_it_is(running: Running, login: LoginHost) -> None:
    pair = await running.grant("anna", ANNA, login)
    assert await ask(running) == pair.access_token.reveal()
    assert login.redemptions == 0


async def test_with_less_than_a_third_left_a_new_one_is_got(
    running: Running, login: LoginHost
) -> None:
    pair = await running.grant("anna", ANNA, login, seconds_left=1700)
    token = await running.services.tokens.get("anna", caller="sync_worker")
    assert token.access_token in login.access_tokens
    assert token.access_token != pair.access_token.reveal()
    assert token.procore_user_id == "501"
    assert await outcomes(running) == ["renewed"]
    assert await ask(running) == token.access_token
    assert login.redemptions == 1


async def test_expiry_is_the_databases_time_and_expires_in(
    running: Running, login: LoginHost
) -> None:
    login.lasts_s = 900
    await running.grant("anna", ANNA, login, seconds_left=-1)
    await ask(running)
    left = await running.database.fetchval(
        "SELECT extract(epoch FROM expires_at - now())::float8 FROM authority.grants"
    )
    assert 800 < left <= 900


async def test_two_replicas_with_many_callers_redeem_once(
    settings: Settings,
    database: str,
    running: Running,
    login: LoginHost,
    procore: ProcoreHost,
    part3: Part3Host,
    tmp_path: Path,
) -> None:
    login.delay_s = 0.4
    (tmp_path / "other").mkdir()
    other_settings = replace(settings, spool_folder=tmp_path / "other")
    await running.grant("anna", ANNA, login, seconds_left=-1)
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(open_postgres(database, max_size=8))
        other = await stack.enter_async_context(replica(other_settings, postgres, procore, part3))
        tokens = await asyncio.gather(*(ask(one) for _ in range(40) for one in (running, other)))
    assert len(set(tokens)) == 1
    assert login.redemptions == 1
    assert login.refusals == 0


async def test_a_rejected_token_is_renewed_once_however_many_report_it(
    running: Running, login: LoginHost
) -> None:
    pair = await running.grant("anna", ANNA, login)
    rejected = hashed(pair.access_token.reveal())
    tokens = await asyncio.gather(*(ask(running, rejected=rejected) for _ in range(20)))
    assert len(set(tokens)) == 1
    assert login.redemptions == 1


async def test_the_hash_of_an_older_token_renews_nothing(
    running: Running, login: LoginHost
) -> None:
    pair = await running.grant("anna", ANNA, login)
    assert await ask(running, rejected=hashed("another")) == pair.access_token.reveal()
    assert login.redemptions == 0


async def test_a_waiter_that_gives_up_does_not_stop_the_refresh(
    running: Running, login: LoginHost
) -> None:
    login.delay_s = 0.3
    await running.grant("anna", ANNA, login, seconds_left=-1)
    waiter = asyncio.create_task(ask(running))
    await login.spent.wait()
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    assert await ask(running) in login.access_tokens
    assert login.redemptions == 1


async def test_a_lost_answer_is_never_simply_tried_again(
    running: Running, login: LoginHost
) -> None:
    pair = await running.grant("anna", ANNA, login, seconds_left=1000)
    login.lose_answers = 1
    assert await ask(running) == pair.access_token.reveal()  # it still serves
    for _ in range(3):
        assert await ask(running) == pair.access_token.reveal()
    assert len(login.forms) == 1
    assert await outcomes(running) == ["unknown"]
    # near its end the old refresh token is tried once; it was spent, so the person has to come
    await running.age("anna", 100)
    with pytest.raises(NeedsReauthorization):
        await ask(running)
    assert len(login.forms) == 2
    assert await outcomes(running) == ["unknown", "invalid_grant"]
    assert await state_of(running) == ("needs_reauthorization", "refused_by_procore")
    with pytest.raises(NeedsReauthorization):
        await ask(running)
    assert len(login.forms) == 2


async def test_a_request_that_was_lost_before_procore_is_made_good_by_the_last_try(
    running: Running, login: LoginHost
) -> None:
    await running.grant("anna", ANNA, login, seconds_left=1000)
    login.statuses = [(502, b"<html>bad gateway", {})]
    await ask(running)
    await running.age("anna", 100)
    token = await ask(running)
    assert token in login.access_tokens
    assert await outcomes(running) == ["unknown", "renewed"]


async def test_two_lost_answers_ask_for_the_person(running: Running, login: LoginHost) -> None:
    await running.grant("anna", ANNA, login, seconds_left=-1)
    login.statuses = [(502, b"", {}), (504, b"", {})]
    with pytest.raises(NeedsReauthorization):
        await ask(running)
    assert await state_of(running) == ("needs_reauthorization", "refresh_outcome_lost")
    assert len(login.forms) == 2


async def test_a_spent_refresh_token_asks_for_the_person(
    running: Running, login: LoginHost
) -> None:
    pair = await running.grant("anna", ANNA, login, seconds_left=-1)
    login.refresh_tokens.clear()
    with pytest.raises(NeedsReauthorization):
        await ask(running)
    assert await state_of(running) == ("needs_reauthorization", "refused_by_procore")
    assert pair.refresh_token.reveal() not in login.refresh_tokens


async def test_only_the_pair_that_failed_can_be_marked_as_lost(
    running: Running, login: LoginHost
) -> None:
    await running.grant("anna", ANNA, login, seconds_left=-1)
    stale = await running.store.read("anna")
    assert stale is not None
    await running.grant("anna", ANNA, login)  # the person consents again meanwhile
    assert not await running.store.mark_lost("anna", stale.version, "refused_by_procore")
    assert await state_of(running) == ("authorized", None)


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, b""), (429, b""), (401, b'{"error":"invalid_client"}'), (302, b""), (404, b"<html>")],
)
async def test_an_answer_that_spends_nothing_leaves_the_grant_as_it_is(
    running: Running, login: LoginHost, status: int, body: bytes
) -> None:
    pair = await running.grant("anna", ANNA, login, seconds_left=1000)
    login.statuses = [(status, body, {"retry-after": "7"})]
    assert await ask(running) == pair.access_token.reveal()
    assert await ask(running) == pair.access_token.reveal()
    assert len(login.forms) == 1  # it waits before it asks again
    assert await outcomes(running) == ["refused"]
    assert await state_of(running) == ("authorized", None)
    await running.database.execute("UPDATE authority.grants SET refresh_not_before = NULL")
    assert await ask(running) != pair.access_token.reveal()


async def test_when_procore_cannot_be_reached_nothing_is_spent(
    running: Running,
    login: LoginHost,
    settings: Settings,
    authority: Postgres,
    tmp_path: Path,
    procore: ProcoreHost,
    part3: Part3Host,
) -> None:
    closed = replace(settings, procore_login_url="http://127.0.0.1:1", spool_folder=tmp_path)
    async with replica(closed, authority, procore, part3) as away:
        pair = await running.grant("anna", ANNA, login, seconds_left=1000)
        assert await ask(away) == pair.access_token.reveal()
        assert await outcomes(running) == ["not_sent"]
        await running.age("anna", -1)
        with pytest.raises(TryLater) as caught:
            await ask(away)
        assert caught.value.reason == "procore_down"
    assert await state_of(running) == ("authorized", None)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>", b"[]", b"{}", b'{"access_token":"a","token_type":"bearer","expires_in":9}',
        b'{"access_token":"a","refresh_token":"r","token_type":"mac","expires_in":9}',
        b'{"access_token":"a\\nb","refresh_token":"r","token_type":"bearer","expires_in":9}',
    ],
)  # fmt: skip
async def test_half_an_answer_never_replaces_a_good_grant(
    running: Running, login: LoginHost, body: bytes
) -> None:
    pair = await running.grant("anna", ANNA, login, seconds_left=1000)
    login.statuses = [(200, body, {})]
    assert await ask(running) == pair.access_token.reveal()
    assert await outcomes(running) == ["unknown"]


@pytest.mark.parametrize(
    ("said", "kept"), [(0, 900), (-1, 900), ("abc", 900), (None, 900), (1e12, 86400)]
)
async def test_an_odd_lifetime_is_clamped(
    running: Running, login: LoginHost, said: float | str | None, kept: float
) -> None:
    login.lasts_s = said
    await running.grant("anna", ANNA, login, seconds_left=-1)
    assert await ask(running) in login.access_tokens
    assert await running.database.fetchval("SELECT expires_in_s FROM authority.grants") == kept


async def test_swapped_rows_fail_closed_and_are_flagged(running: Running, login: LoginHost) -> None:
    await running.grant("anna", ANNA, login)
    await running.grant("ben", BEN, login)
    await running.database.execute(
        "UPDATE authority.grants g SET sealed_access = o.sealed_access FROM authority.grants o "
        "WHERE g.user_id <> o.user_id"
    )
    for user_id in ("anna", "ben"):
        with pytest.raises(NeedsReauthorization):
            await ask(running, user_id)
        assert await state_of(running, user_id) == ("needs_reauthorization", "unreadable")


async def test_d14_a_query_that_brought_anothers_row_would_open_nothing(
    running: Running, login: LoginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.grant("ben", BEN, login)
    careless = store.READ_GRANT.replace("(user_id, issuer) = ($1, $2)", "$1 <> '' AND issuer = $2")
    monkeypatch.setattr(store, "READ_GRANT", careless)
    with pytest.raises(NeedsReauthorization, match="anna"):
        await ask(running, "anna")
    assert await ask(running, "ben") in login.access_tokens
    assert await state_of(running, "ben") == ("authorized", None)


async def test_a_key_that_comes_back_mends_its_grants(
    running: Running, login: LoginHost, settings: Settings, authority: Postgres,
    procore: ProcoreHost, part3: Part3Host,
) -> None:  # fmt: skip
    from tests.token_service.conftest import ring  # noqa: PLC0415

    pair = await running.grant("anna", ANNA, login)
    async with replica(
        replace(settings, sealing_keys=ring("s2")), authority, procore, part3
    ) as without:
        with pytest.raises(NeedsReauthorization):
            await ask(without)
    assert await state_of(running) == ("needs_reauthorization", "unreadable")
    assert await ask(running) == pair.access_token.reveal()
    assert await state_of(running) == ("authorized", None)


async def test_after_a_key_rotation_every_row_is_sealed_again(
    running: Running, login: LoginHost, settings: Settings, authority: Postgres,
    procore: ProcoreHost, part3: Part3Host,
) -> None:  # fmt: skip
    from services.settings import KeyRing  # noqa: PLC0415
    from tests.token_service.conftest import ring  # noqa: PLC0415

    pair = await running.grant("anna", ANNA, login)
    new = ring("s2")
    both = KeyRing((*new.keys, *settings.sealing_keys.keys))
    async with replica(replace(settings, sealing_keys=both), authority, procore, part3) as rotating:
        await rotating.services.housekeeping.seal_again()
    async with replica(replace(settings, sealing_keys=new), authority, procore, part3) as rotated:
        assert await ask(rotated) == pair.access_token.reveal()


async def test_a_grant_of_another_environment_is_not_seen(
    running: Running, login: LoginHost, settings: Settings, authority: Postgres,
    procore: ProcoreHost, part3: Part3Host,
) -> None:  # fmt: skip
    await running.grant("anna", ANNA, login)
    elsewhere = replace(settings, procore_login_url="https://login.procore.example")
    async with replica(elsewhere, authority, procore, part3) as other:
        with pytest.raises(NotAuthorized):
            await ask(other)


async def test_idle_grants_are_kept_warm(running: Running, login: LoginHost) -> None:
    await running.grant("anna", ANNA, login, seconds_left=-80_000)
    await running.grant("ben", BEN, login)
    await running.database.execute(
        "UPDATE authority.grants SET refreshed_at = now() - interval '25 hours' "
        "WHERE user_id = 'anna'"
    )
    await running.services.housekeeping.keep_warm()
    assert login.redemptions == 1
    assert await outcomes(running) == ["renewed"]


async def test_every_hand_out_is_in_the_audit(running: Running, login: LoginHost) -> None:
    await running.grant("anna", ANNA, login)
    await asyncio.gather(*(ask(running) for _ in range(25)))
    rows = await running.database.fetch(
        "SELECT actor, user_id FROM authority.audit WHERE event = 'token.handed_out'"
    )
    assert [(row["actor"], row["user_id"]) for row in rows] == [("sync_worker", "anna")] * 25


def test_the_default_lease_is_longer_than_the_call_it_guards() -> None:
    limits = RefreshLimits()
    assert limits.lease_s > limits.deadline_s
