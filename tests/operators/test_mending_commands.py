"""`connector status`, `resync` and `replay` on a real database with rows as workers leave them."""

import json
from typing import Any

import asyncpg
import pytest

from services.postgres import migrate
from tests.operators.running import connector

pytestmark = pytest.mark.postgres

PROJECTS = """
INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
  reader_user_id, state, connection_updated_at, attention_reason, attention_message, probe_after)
VALUES ('prj_well', '1', '10', 'u', 'u', 'active', now(), NULL, NULL, NULL),
  ('prj_stopped', '1', '20', 'u', 'u', 'active', now(), 'app_not_installed',
    'Ask your company''s administrator to install the app.', now() + interval '1 hour'),
  ('prj_gone', '1', '30', 'u', 'u', 'disconnected', now(), NULL, NULL, NULL),
  ('prj_paused', '1', '40', 'u', 'u', 'paused', now(), NULL, NULL, NULL)
"""
SWEEPS = """
INSERT INTO mirror.sweeps (project_id, kind, due_at, backfilled_at, settled_until, finished_at,
  attempts, reason, retry_at)
SELECT 'prj_well', kind, now() + interval '1 hour', now(), now(), now(), 2, 'procore_down',
  now() + interval '1 hour' FROM unnest(ARRAY['rfi', 'submittal']) kind
"""
RECORDS = """
INSERT INTO mirror.records (project_id, kind, procore_id, content_version, procore_updated_at,
  mirrored_at)
SELECT 'prj_well', 'rfi', id::text, 'version', now(), now() FROM generate_series(1, 3) id
"""
LOOKS = """
INSERT INTO mirror.looks (project_id, kind, procore_id, due_at, priority, attempts, reason, message)
VALUES ('prj_well', 'rfi', '1', now() + interval '1 hour', 1, 4, 'part3_down', 'Part3 is away')
"""
RETURNS = """
INSERT INTO mirror.deliveries (return_id, project_id, state, reason, message, due_at)
VALUES ('ret_held', 'prj_well', 'held', 'not_authorized', 'Maya has not authorized yet.',
    now() + interval '1 hour'),
  ('ret_done', 'prj_well', 'delivered', NULL, NULL, NULL)
"""


@pytest.fixture
async def rows(database: str) -> asyncpg.Connection:
    await migrate(database, ("token_service", "sync_worker"))
    session = await asyncpg.connect(database)
    for statement in (PROJECTS, SWEEPS, RECORDS, LOOKS, RETURNS):
        await session.execute(statement)
    return session  # the database is dropped by force, and with it the session


async def test_status_gives_each_project_a_word_and_a_next_step(
    database: str, rows: asyncpg.Connection
) -> None:
    ended = await connector("status", "--json", environment={"DATABASE_URL": database})
    assert ended.code == 0, ended.said
    said = {one["project_id"]: one for one in json.loads(ended.out)["projects"]}
    assert {name: one["health"] for name, one in said.items()} == {
        "prj_well": "returns held",
        "prj_stopped": "attention",
        "prj_gone": "disconnected",
        "prj_paused": "paused",
    }
    assert said["prj_well"]["next_step"] == "Maya has not authorized yet."
    assert said["prj_well"]["records"] == 3
    assert "administrator" in said["prj_stopped"]["next_step"]


async def test_status_fits_80_columns_and_cuts_no_project_id(
    database: str, rows: asyncpg.Connection
) -> None:
    ended = await connector("status", environment={"DATABASE_URL": database, "COLUMNS": "80"})
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 80
    for name in ("prj_well", "prj_stopped", "prj_gone", "prj_paused"):
        assert name in ended.out


async def test_status_of_one_project_shows_why_it_fails(
    database: str, rows: asyncpg.Connection
) -> None:
    ended = await connector("status", "prj_well", environment={"DATABASE_URL": database})
    assert ended.code == 0
    assert "Part3 is away" in ended.out
    assert "prj_stopped" not in ended.out
    unknown = await connector("status", "prj_nowhere", environment={"DATABASE_URL": database})
    assert unknown.code == 1
    assert "prj_nowhere" in unknown.err


async def test_status_names_the_project_whose_hook_failed_or_whose_return_stands_wrong(
    database: str, rows: asyncpg.Connection
) -> None:
    await rows.execute(
        "UPDATE mirror.projects SET hook_state = 'unchecked', hook_message = 'Procore refuses it.' "
        "WHERE project_id IN ('prj_well', 'prj_gone')"
    )
    await rows.execute(
        "INSERT INTO mirror.comparisons (project_id, kind, listed_at, markers, markers_wrong) "
        "VALUES ('prj_stopped', 'rfi', now(), 5, 1), ('prj_stopped', 'submittal', now(), 5, 0)"
    )
    await rows.execute(
        "INSERT INTO mirror.activity (project_id, event, words) VALUES "
        "('prj_stopped', 'audit.marker_doubled', 'P3-7KQ2M9XR4T stands in Procore more than once.')"
    )
    ended = await connector("status", "--json", environment={"DATABASE_URL": database})
    said = {one["project_id"]: one for one in json.loads(ended.out)["projects"]}
    assert "Procore refuses it." in said["prj_well"]["next_step"]
    assert "P3-7KQ2M9XR4T" in said["prj_stopped"]["next_step"]
    assert said["prj_gone"]["next_step"] == ""  # nothing is mended there any more
    assert "webhook" not in said["prj_stopped"]["next_step"]
    one = await connector("status", "prj_well", environment={"DATABASE_URL": database})
    assert "broken:" in one.out


async def test_status_names_each_return_that_stands_wrong_once_and_no_other(
    database: str, rows: asyncpg.Connection
) -> None:
    await rows.execute(
        "INSERT INTO mirror.comparisons (project_id, kind, listed_at, markers, markers_wrong) "
        "VALUES ('prj_well', 'rfi', now(), 5, 2)"
    )
    told = [("ret_1", "mended"), ("ret_2", "gone"), ("ret_3", "twice"), ("ret_2", "still gone")]
    await rows.executemany(
        "INSERT INTO mirror.activity (project_id, event, return_id, words) "
        "VALUES ('prj_well', 'audit.marker_missing', $1, $2)",
        told,
    )
    ended = await connector("status", "prj_well", "--json", environment={"DATABASE_URL": database})
    assert json.loads(ended.out)["projects"][0]["marker_words"] == "still gone twice"


@pytest.mark.parametrize(
    "command", [("status",), ("resync", "prj_well"), ("replay", "--all")], ids=lambda c: c[0]
)
async def test_without_schemas_the_remedy_is_migrate(
    database: str, command: tuple[str, ...]
) -> None:
    ended = await connector(*command, environment={"DATABASE_URL": database})
    assert ended.code == 1
    assert "connector migrate" in ended.err


async def test_resync_of_a_project_forgets_what_is_known_and_lists_everything(
    database: str, rows: asyncpg.Connection
) -> None:
    await rows.execute("UPDATE mirror.sweeps SET lease_owner = 'w', lease_until = now(), fence = 7")
    ended = await connector("resync", "prj_well", environment={"DATABASE_URL": database})
    assert ended.code == 0, ended.said
    sweeps = await rows.fetch("SELECT * FROM mirror.sweeps")
    assert all(one["settled_until"] is None and one["retry_at"] is None for one in sweeps)
    # the worker that is in the middle of one must not call it settled
    assert all(one["fence"] > 7 and one["lease_owner"] is None for one in sweeps)
    assert await rows.fetchval("SELECT count(content_version) FROM mirror.records") == 0


async def test_resync_of_a_record_makes_one_look_due(
    database: str, rows: asyncpg.Connection
) -> None:
    command = ("resync", "prj_well", "--record", "rfi:2")
    ended = await connector(*command, environment={"DATABASE_URL": database})
    assert ended.code == 0, ended.said
    looks = await rows.fetch("SELECT procore_id FROM mirror.looks WHERE due_at <= now()")
    assert [look["procore_id"] for look in looks] == ["2"]
    assert await rows.fetchval("SELECT count(content_version) FROM mirror.records") == 2


@pytest.mark.parametrize("project_id", ["prj_gone", "prj_paused", "prj_nowhere"])
async def test_resync_of_what_is_not_connected_says_why(
    database: str, rows: asyncpg.Connection, project_id: str
) -> None:
    ended = await connector("resync", project_id, environment={"DATABASE_URL": database})
    assert ended.code == 1
    assert project_id in ended.err


@pytest.mark.parametrize("record", ["54321", "rfi:", "rfi:abc", "drawing:1", "rfi:\u0661"])
async def test_a_record_that_is_not_named_well_is_misuse(record: str) -> None:
    environment = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    ended = await connector("resync", "prj_well", "--record", record, environment=environment)
    assert ended.code == 2
    assert "rfi:ID" in ended.err


async def due(rows: asyncpg.Connection) -> dict[str, Any]:
    found = await rows.fetchrow(
        """
        SELECT (SELECT count(*) FROM mirror.looks WHERE due_at <= now()) AS looks,
          (SELECT count(*) FROM mirror.sweeps WHERE retry_at IS NULL) AS sweeps,
          (SELECT count(*) FROM mirror.deliveries WHERE due_at <= now()) AS returns,
          (SELECT count(*) FROM mirror.projects WHERE probe_after <= now()) AS projects
        """
    )
    return dict(found)


async def test_replay_only_shows_until_it_is_told_what(
    database: str, rows: asyncpg.Connection
) -> None:
    ended = await connector("replay", environment={"DATABASE_URL": database})
    assert ended.code == 0
    for name in ("ret_held", "rfi 1", "sweep of rfis", "prj_stopped"):
        assert name in ended.out
    assert "Nothing was changed" in ended.out
    assert await due(rows) == {"looks": 0, "sweeps": 0, "returns": 0, "projects": 0}


async def test_replay_of_a_project_leaves_the_others_alone(
    database: str, rows: asyncpg.Connection
) -> None:
    command = ("replay", "--project", "prj_well")
    ended = await connector(*command, environment={"DATABASE_URL": database})
    assert ended.code == 0, ended.said
    assert await due(rows) == {"looks": 1, "sweeps": 2, "returns": 1, "projects": 0}


async def test_replay_of_all_wakes_what_waits_and_what_has_stopped(
    database: str, rows: asyncpg.Connection
) -> None:
    ended = await connector("replay", "--all", environment={"DATABASE_URL": database})
    assert ended.code == 0, ended.said
    assert await due(rows) == {"looks": 1, "sweeps": 2, "returns": 1, "projects": 1}
    assert (
        await rows.fetchval("SELECT due_at FROM mirror.deliveries WHERE state='delivered'") is None
    )


async def test_replay_of_one_and_of_all_at_once_is_misuse(database: str) -> None:
    command = ("replay", "--all", "--project", "prj_well")
    ended = await connector(*command, environment={"DATABASE_URL": database})
    assert ended.code == 2


@pytest.mark.parametrize(
    ("filters", "woken"),
    [
        (("--reason", "not_authorized"), {"looks": 0, "sweeps": 0, "returns": 1, "projects": 0}),
        (("--reason", "app_not_installed"), {"looks": 0, "sweeps": 0, "returns": 0, "projects": 1}),
        (("--kind", "rfi"), {"looks": 1, "sweeps": 1, "returns": 0, "projects": 0}),
        (("--record", "rfi:1"), {"looks": 1, "sweeps": 0, "returns": 0, "projects": 0}),
        (("--return", "ret_held"), {"looks": 0, "sweeps": 0, "returns": 1, "projects": 0}),
        (("--return", "ret_other"), {"looks": 0, "sweeps": 0, "returns": 0, "projects": 0}),
        (("--dry-run",), {"looks": 0, "sweeps": 0, "returns": 0, "projects": 0}),
    ],
)
async def test_replay_wakes_only_what_the_filters_leave(
    database: str, rows: asyncpg.Connection, filters: tuple[str, ...], woken: dict[str, int]
) -> None:
    ended = await connector("replay", "--all", *filters, environment={"DATABASE_URL": database})
    assert ended.code == 0, ended.said
    assert await due(rows) == woken


async def test_a_replay_whose_filters_exclude_each_other_is_misuse(database: str) -> None:
    for filters in (("--kind", "submittal", "--record", "rfi:1"), ("--dead-letters", "--kind=rfi")):
        ended = await connector("replay", *filters, environment={"DATABASE_URL": database})
        assert ended.code == 2, ended.said
