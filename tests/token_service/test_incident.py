"""Operators revoke people's grants in an incident: here first, then at Procore until it answers."""

from typing import Any

import httpx2
import msgspec
import pytest

from services.errors import TryLater
from services.settings import Secret
from tests.token_service.conftest import ANNA, BEN, Running
from tests.token_service.login_host import LoginHost
from tests.token_service.test_internal_api import bearer
from token_service.grants.incident import TOLD

pytestmark = pytest.mark.postgres

CONNECTIONS = """
INSERT INTO authority.connections (project_id, project_name, procore_company_id,
  procore_company_name, procore_project_id, procore_project_name, owner_user_id, owner_name, once,
  state, activated_at)
VALUES ('p-1', 'Pier', '11', 'B', '77', 'Pier', 'anna', 'Anna', 'once-1', 'active', now()),
  ('p-2', 'Quay', '12', 'C', '78', 'Quay', 'carl', 'Carl', 'once-2', 'active', now())
"""
PROJECTS = """
INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
  reader_user_id, state, connection_updated_at, team_known)
VALUES ('p-1', '11', '77', 'anna', 'anna', 'active', now(), $1),
  ('p-2', '12', '78', 'carl', 'carl', 'active', now(), NULL)
"""
TEAM = [{"member": {"user_id": "ben", "role": "consultant"}, "procore_id": "502"}]
WHY = {"by": "Dana", "reason": "a laptop was stolen"}


async def revoke(running: Running, **asked: Any) -> dict[str, Any]:
    answer = await posted(running, "operator", **asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def posted(running: Running, issuer: str, **asked: Any) -> httpx2.Response:
    return await running.internal.post(
        "/internal/revocations", json={**WHY, **asked}, headers=bearer(running, issuer)
    )


async def token(running: Running, user_id: str) -> tuple[int, str]:
    answer = await running.internal.post(
        "/internal/access-tokens", json={"user_id": user_id}, headers=bearer(running)
    )
    return answer.status_code, answer.json().get("code", "")


@pytest.fixture
async def people(running: Running, login: LoginHost) -> Running:
    """Anna owns a project of company 11 and Ben is on its team; Carl's is another company's."""
    for user_id, account in (("anna", ANNA), ("ben", BEN), ("carl", BEN)):
        await running.grant(user_id, account, login)
    await running.database.execute(CONNECTIONS)
    await running.database.execute(PROJECTS, msgspec.json.encode(TEAM).decode())
    return running


async def test_to_ask_what_an_order_covers_changes_nothing(people: Running) -> None:
    covered = await revoke(people)
    assert (covered["grants"], covered["projects"], covered["revoked"]) == (3, 2, False)
    assert await token(people, "anna") == (200, "")


async def test_revoked_grants_end_here_at_once_and_at_procore(
    people: Running, login: LoginHost
) -> None:
    assert (await revoke(people, act=True))["grants"] == 3
    for user_id in ("anna", "ben", "carl"):
        assert await token(people, user_id) == (409, "needs_reauthorization")
    await people.services.internal.revocations.tell_procore()
    assert (login.access_tokens, login.refresh_tokens) == ({}, {})
    assert (await revoke(people))["waiting"] == 0
    kept = "SELECT count(sealed_access) + count(sealed_refresh) FROM authority.revoked_grants"
    assert await people.database.fetchval(kept) == 0  # no token is kept longer than it has to be
    rows = await people.database.fetch(
        "SELECT user_id, actor, detail FROM authority.audit "
        "WHERE event = 'grant.revoked_by_operators' ORDER BY user_id"
    )
    assert [(row["user_id"], row["actor"]) for row in rows] == [
        (user_id, "operator") for user_id in ("anna", "ben", "carl")
    ]
    assert rows[0]["detail"]["by"] == "Dana"
    assert rows[0]["detail"]["reason"] == "a laptop was stolen"


async def test_while_procore_is_away_they_are_revoked_here_and_told_later(
    people: Running, login: LoginHost
) -> None:
    login.refuses_revocations = True
    assert (await revoke(people, act=True))["waiting"] == 3
    await people.services.internal.revocations.tell_procore()
    assert await token(people, "anna") == (409, "needs_reauthorization")
    assert (await revoke(people))["waiting"] == 3
    login.refuses_revocations = False
    await people.services.internal.revocations.tell_procore()
    assert login.revoked == []  # not asked again at once: it was away
    await people.database.execute("UPDATE authority.revoked_grants SET due_at = now()")
    await people.services.internal.revocations.tell_procore()
    assert login.refresh_tokens == {}
    assert (await revoke(people))["waiting"] == 0


async def test_one_that_cannot_be_noted_keeps_no_other_from_being_told(
    people: Running, login: LoginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await revoke(people, act=True)
    execute = people.database.execute

    async def away_for_anna(sql: str, *args: Any) -> None:
        if sql == TOLD and args[1] == "anna":
            raise TryLater("PostgreSQL is away", reason="postgres_down")
        await execute(sql, *args)

    with monkeypatch.context() as patched:
        patched.setattr(people.database, "execute", away_for_anna)
        await people.services.internal.revocations.tell_procore()
        assert login.refresh_tokens == {}
        assert (await revoke(people))["waiting"] == 1
    await people.database.execute(
        "UPDATE authority.revoked_grants SET due_at = now() WHERE due_at IS NOT NULL"
    )
    await people.services.internal.revocations.tell_procore()
    assert (await revoke(people))["waiting"] == 0


async def test_one_company_s_are_those_of_who_reads_or_returns_there(people: Running) -> None:
    assert (await revoke(people, company_id="11", act=True))["grants"] == 2
    assert await token(people, "anna") == (409, "needs_reauthorization")
    assert await token(people, "ben") == (409, "needs_reauthorization")
    assert await token(people, "carl") == (200, "")


async def test_one_person_s_is_theirs_alone(people: Running) -> None:
    covered = await revoke(people, user_id="anna", act=True)
    assert (covered["grants"], covered["projects"]) == (1, 1)
    assert await token(people, "ben") == (200, "")


async def test_who_authorizes_again_is_as_before(people: Running, login: LoginHost) -> None:
    await revoke(people, act=True)
    ended = await people.services.desk.ports.grants.ended("anna")
    assert ended is not None
    assert ended.reason == "a laptop was stolen"
    await people.grant("anna", ANNA, login)
    assert await token(people, "anna") == (200, "")
    await people.services.desk.ports.grants.revoke("anna")  # now it was their own doing
    assert await people.services.desk.ports.grants.ended("anna") is None
    assert await token(people, "anna") == (404, "not_authorized")


async def test_a_refresh_under_way_ends_with_them(people: Running, login: LoginHost) -> None:
    await people.age("anna", 10.0)
    login.delay_s = 0.3
    grant = await people.store.read("anna")
    assert grant is not None
    refresher = people.services.refresher
    await refresher.renew(grant, last_try=False, patience_s=0.0)
    await login.spent.wait()
    await revoke(people, act=True)
    await refresher.await_other("anna", 5.0)
    await people.services.internal.revocations.tell_procore()
    assert (login.access_tokens, login.refresh_tokens) == ({}, {})


async def test_accounts_not_chosen_yet_are_revoked_too(people: Running, login: LoginHost) -> None:
    pair = login.pair_for(BEN)
    sealed = people.services.internal.revocations._sealer
    columns = ("access", "refresh")
    blobs = [
        sealed.seal(Secret(str(pair[f"{one}_token"])), "anna", f"pending_grants.{one}")
        for one in columns
    ]
    await people.database.execute(
        "INSERT INTO authority.pending_grants (user_id, choice_key, procore_user_id, "
        "procore_login, procore_name, sealed_access, sealed_refresh, key_id, expires_in_s, "
        "token_expires_at, return_to, ends_at) VALUES ('anna', 'x', '9', 'b', 'B', $1, $2, $3, "
        "5400, now(), '/', now() + interval '1 hour')",
        blobs[0].blob,
        blobs[1].blob,
        blobs[0].key_id,
    )
    assert (await revoke(people, act=True))["unchosen"] == 1
    await people.services.internal.revocations.tell_procore()
    assert login.refresh_tokens == {}


@pytest.mark.parametrize(
    ("issuer", "asked", "status", "says"),
    [
        ("sync_worker", {"act": True}, 403, ""),
        ("operator", {"user_id": "anna", "company_id": "11"}, 400, "a person or a company"),
        ("operator", {"reason": ""}, 400, "reason is empty"),
        ("operator", {"by": "D" * 257}, 400, "by is longer than 256 characters"),
        ("operator", {"company_id": "1\x00"}, 400, "company_id holds a zero character"),
        ("operator", {"by": None}, 400, "the body must be"),
    ],
)
async def test_what_is_no_operators_order_is_refused(
    people: Running, issuer: str, asked: dict[str, Any], status: int, says: str
) -> None:
    answer = await posted(people, issuer, **asked)
    assert (answer.status_code, answer.json().get("detail", "").startswith(says)) == (status, True)
    assert await token(people, "anna") == (200, "")
