"""`connector pause`, `resume`, `drain`: what they say and how they end, on a real database."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from connector import pausing
from connector.scopes import Scope
from services.postgres import Postgres, Queries, Row, migrate, open_postgres
from tests.operators.running import Ended, connector

pytestmark = pytest.mark.postgres
PROJECTS = """
INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
  reader_user_id, state, connection_updated_at)
VALUES ('prj_1', '562', '10', 'u', 'u', 'active', now()),
  ('prj_2', '563', '20', 'u', 'u', 'active', now()),
  ('prj_gone', '562', '30', 'u', 'u', 'disconnected', now())
"""
ORDER = pausing.Order(Scope("everything"), ("part3", "procore"), "Dana", "an incident")
WHY = ("--reason", "Procore has an incident", "--by", "Dana")


@pytest_asyncio.fixture
async def rows(database: str) -> AsyncIterator[Postgres]:
    await migrate(database, ("token_service", "sync_worker"))
    async with open_postgres(database, max_size=1) as postgres:
        await postgres.execute(PROJECTS)
        yield postgres


async def health(database: str) -> dict[str, tuple[str, str]]:
    ended = await connector("status", "--json", environment={"DATABASE_URL": database})
    projects = json.loads(ended.out)["projects"]
    return {one["project_id"]: (one["health"], one["next_step"]) for one in projects}


async def run(database: str, *command: str) -> Ended:
    return await connector(*command, environment={"DATABASE_URL": database})


async def test_a_pause_is_told_with_its_undoing_and_shown_until_it_is_undone(
    database: str, rows: Postgres
) -> None:
    ended = await run(database, "pause", "--company", "562", "--direction", "procore", *WHY)
    assert ended.code == 0, ended.said
    assert "1 project." in ended.out
    assert "`connector resume --company 562`" in ended.out
    word, step = (await health(database))["prj_1"]
    assert word == "paused"
    for said in ("Returns are kept here", "Dana", "Procore has an incident"):
        assert said in step
    assert (await health(database))["prj_2"][0] != "paused"
    assert (await run(database, "resume", "--company", "562")).code == 0
    assert (await health(database))["prj_1"][0] != "paused"


async def test_a_resume_ends_with_1_where_another_pause_stands(
    database: str, rows: Postgres
) -> None:
    assert (await run(database, "pause", "--all", *WHY)).code == 0
    ended = await run(database, "resume", "prj_1")
    assert ended.code == 1
    assert "another pause" in ended.err
    assert "Dana" in ended.err
    assert await rows.fetchval("SELECT count(kept_back_since) FROM mirror.projects") == 0
    assert (await run(database, "resume", "--all")).code == 0
    kept_back = await rows.fetchrow(
        "SELECT kept_back_because, kept_back_since < kept_back_until AS lasted "
        "FROM mirror.projects WHERE project_id = 'prj_1'"
    )
    assert kept_back is not None
    assert tuple(kept_back.values()) == ("paused", True)


async def test_a_drain_ends_with_0_once_all_rests_and_with_1_when_it_does_not(
    database: str, rows: Postgres
) -> None:
    assert (await run(database, "drain", "--all", *WHY)).code == 0
    await rows.execute(
        "INSERT INTO mirror.deliveries (return_id, project_id, state, lease_owner, lease_until) "
        "VALUES ('ret_1', 'prj_1', 'sending', 'w', now() + interval '1 hour')"
    )
    ended = await run(database, "drain", "prj_1", "--at-most", "0", *WHY)
    assert ended.code == 1
    assert "1 returns" in ended.err
    assert "stays paused" in ended.err


async def test_a_drain_is_not_over_before_it_looked_twice(
    rows: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A return that was begun just before the pause is seen at the second look, and waited for."""
    monkeypatch.setattr(pausing, "STEP_S", 0.0)
    begun = (
        "INSERT INTO mirror.deliveries (return_id, project_id, state, lease_owner, lease_until) "
        "VALUES ('ret_1', 'prj_1', 'sending', 'w', now() + interval '1 hour')"
    )
    looks = 0

    async def fetchrow(sql: str, *asked: Any) -> Row | None:
        nonlocal looks
        looks += 1
        if looks == 2:
            await rows.execute(begun)
        return await of_postgres(sql, *asked)

    of_postgres = rows.fetchrow
    monkeypatch.setattr(rows, "fetchrow", fetchrow)
    assert await pausing.let_finish(rows, ORDER, at_most_s=0.0) == "1 returns"


async def test_a_pause_covers_a_project_that_was_connected_at_that_moment(
    rows: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold_still(queries: Queries, scope: Scope) -> None:
        await queries.execute(
            "UPDATE mirror.projects SET state = 'active' WHERE project_id = 'prj_gone'"
        )
        await holding(queries, scope)

    holding = pausing._hold_still
    monkeypatch.setattr(pausing, "_hold_still", hold_still)
    assert await pausing.let_rest(rows, ORDER) == ["prj_1", "prj_2", "prj_gone"]


async def test_a_resync_in_a_pause_says_when_it_begins(database: str, rows: Postgres) -> None:
    assert (await run(database, "pause", "prj_1", *WHY)).code == 0
    assert "once it is resumed" in (await run(database, "resync", "prj_1")).out
    assert "from now on" in (await run(database, "resync", "prj_2")).out


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (("pause", *WHY), 2, "say one of"),
        (("pause", "prj_1", "--all", *WHY), 2, "say one of"),
        (("pause", "prj_1"), 2, "--reason"),
        (("pause", "prj_1", "--reason", " "), 2, "1 to 200 characters"),
        (("pause", "prj_nowhere", *WHY), 1, "no connected project"),
        (("pause", "prj_gone", *WHY), 1, "no connected project"),
        (("drain", "--company", "9", *WHY), 1, "no connected project"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    database: str, rows: Postgres, command: tuple[str, ...], code: int, said: str
) -> None:
    ended = await run(database, *command)
    assert ended.code == code
    assert said in ended.err
