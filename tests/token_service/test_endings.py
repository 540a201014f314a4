"""An authorization that ends with the last project that used it."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.token_service.conftest import ANNA, Running
from tests.token_service.connecting import order
from tests.token_service.login_host import LoginHost
from tests.token_service.procore_api_host import ProcoreHost
from token_service.connections.store import ConnectionStore

pytestmark = pytest.mark.postgres

IN_THE_MIRROR = """
INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
  reader_user_id, state, connection_updated_at, team_known)
VALUES ('p-2', '11', '77', 'ben', $1, 'active', now(), $2)
"""
RETURNED = """
INSERT INTO mirror.deliveries (return_id, project_id, kind, procore_id, author_user_id, state)
VALUES ('ret-1', 'p-2', 'rfi', '1', 'anna', 'delivered')
"""


@pytest.fixture
async def connections(running: Running, login: LoginHost) -> ConnectionStore:
    await running.grant("anna", ANNA, login)
    await running.services.connections.create(order())
    return running.services.connections


async def has_grant(running: Running) -> bool:
    return await running.store.read("anna") is not None


async def orders(running: Running) -> int:
    return int(await running.database.fetchval("SELECT count(*) FROM authority.grant_endings"))


async def bens_project(running: Running) -> None:
    await running.database.execute(
        "INSERT INTO authority.connections (project_id, project_name, procore_company_id, "
        "procore_company_name, procore_project_id, procore_project_name, owner_user_id, "
        "owner_name, once, state, activated_at) VALUES ('p-2', 'North Pier', '11', 'B', '77', "
        "'Pier', 'ben', 'Ben', 'once-p-2-01234567890', 'active', now())"
    )


async def reading(running: Running) -> None:
    await running.database.execute(IN_THE_MIRROR, "anna", None)


async def on_the_team(running: Running) -> None:
    team = [{"member": {"user_id": "anna", "role": "consultant"}, "procore_id": "501"}]
    await running.database.execute(IN_THE_MIRROR, "ben", msgspec.json.encode(team).decode())


async def having_returned(running: Running) -> None:
    await running.database.execute(IN_THE_MIRROR, "ben", "[]")
    await running.database.execute(RETURNED)


async def owning(running: Running) -> None:
    await running.database.execute(
        "UPDATE authority.connections SET owner_user_id = 'anna' WHERE project_id = 'p-2'"
    )


async def test_it_ends_at_procore_and_here_after_the_hook_is_gone(
    connections: ConnectionStore, running: Running, login: LoginHost, procore: ProcoreHost
) -> None:
    assert await connections.uses_of("anna", but_not="p-1") == []
    await connections.disconnect("p-1", "anna", end_authorization=True)
    assert procore.hooks == {}
    assert (login.access_tokens, login.refresh_tokens) == ({}, {})
    assert not await has_grant(running)
    assert await orders(running) == 0
    events = await running.database.fetch(
        "SELECT event, actor, detail FROM authority.audit ORDER BY id DESC LIMIT 20"
    )
    by_event = {row["event"]: row for row in events}
    assert by_event["grant.revoked"]["actor"] == "user:anna"
    assert by_event["connection.ended"]["detail"]["ends_authorization"] is True


async def test_it_stays_where_nobody_asked_for_its_end(
    connections: ConnectionStore, running: Running
) -> None:
    await connections.disconnect("p-1", "anna")
    await connections.clean_up()
    assert await has_grant(running)


@pytest.mark.parametrize("using", [owning, reading, on_the_team, having_returned])
async def test_it_stays_where_another_project_uses_it(
    connections: ConnectionStore,
    running: Running,
    using: Callable[[Running], Awaitable[None]],
) -> None:
    await bens_project(running)
    await using(running)
    assert await connections.uses_of("anna", but_not="p-1") == ["North Pier"]
    await connections.disconnect("p-1", "anna", end_authorization=True)
    assert await has_grant(running)
    assert await orders(running) == 0


async def test_while_procore_is_away_it_waits_for_the_hook_to_go(
    connections: ConnectionStore, running: Running, procore: ProcoreHost
) -> None:
    procore.down = True
    await connections.disconnect("p-1", "anna", end_authorization=True)
    assert await has_grant(running)
    procore.down = False
    await running.database.execute("UPDATE authority.hook_removals SET due_at = now()")
    await connections.clean_up()
    assert procore.hooks == {}
    assert not await has_grant(running)


async def test_one_given_after_that_is_another_one_and_stays(
    connections: ConnectionStore, running: Running, procore: ProcoreHost, login: LoginHost
) -> None:
    procore.down = True
    await connections.disconnect("p-1", "anna", end_authorization=True)
    procore.down = False
    await running.grant("anna", ANNA, login)
    await running.database.execute("UPDATE authority.hook_removals SET due_at = now()")
    await connections.clean_up()
    assert await has_grant(running)
    assert await orders(running) == 0
