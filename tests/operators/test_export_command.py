"""`connector export`: whole, of one project, with nothing secret, in little memory."""

import hashlib
import json
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import pytest_asyncio

from connector.exporting import write_history
from connector.history import PARTS
from services.postgres import Postgres, migrate, open_postgres
from tests.operators.running import Ended, connector

pytestmark = pytest.mark.postgres

CONNECTIONS = """
INSERT INTO authority.connections (project_id, project_name, procore_company_id,
  procore_company_name, procore_project_id, procore_project_name, owner_user_id, owner_name, state,
  once, updated_at, changed_seq)
SELECT id, id, '562', 'Northbridge', id, id, 'u-1', 'Dana', 'active', 'once-' || id, now(), 0
FROM unnest(ARRAY['prj_1', 'prj_2']) id
"""
AUDIT = """
INSERT INTO authority.audit (event, actor, user_id, project_id)
SELECT 'connection.created', 'user:u-1', 'u-1', id FROM unnest(ARRAY['prj_1', 'prj_2']) id
"""
PROJECTS = """
INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
  reader_user_id, state, connection_updated_at)
SELECT id, '562', id, 'u-1', 'u-1', 'active', now() FROM unnest(ARRAY['prj_1', 'prj_2']) id
"""
RECORDS = """
INSERT INTO mirror.records (project_id, kind, procore_id, number, record, lease_owner, fence)
SELECT id, 'rfi', '54321', 'A-014', '{"title": "Zwei\\nZeilen “so”"}', 'w-1', 3
FROM unnest(ARRAY['prj_1', 'prj_2']) id
"""
RETURNS = """
INSERT INTO mirror.deliveries (return_id, project_id, state, receipt)
SELECT 'ret_' || id, id, 'delivered', '{"files": []}' FROM unnest(ARRAY['prj_1', 'prj_2']) id
"""
WRITES = """
INSERT INTO mirror.write_intents (op_key, marker, return_id, operation, state)
SELECT 'op-' || return_id, 'P3-' || return_id, return_id, 'rfi_reply', 'confirmed'
FROM mirror.deliveries
"""
ACTIVITY = """
INSERT INTO mirror.activity (project_id, event, words)
SELECT id, 'record.mirrored', 'It came over.' FROM unnest(ARRAY['prj_1', 'prj_2']) id
"""
OF_PROJECTS = """
SELECT c.table_schema || '.' || c.table_name AS name FROM information_schema.columns c
WHERE c.table_schema IN ('mirror', 'authority') AND c.column_name IN ('project_id', 'return_id')
"""
NO_HISTORY = {
    "authority.hook_removals": "hooks still to be deleted in Procore: an order, not history",
    "authority.grant_endings": "whose authorization is to be ended: an order, not history",
}


@pytest_asyncio.fixture
async def rows(database: str) -> AsyncIterator[Postgres]:
    await migrate(database, ("token_service", "sync_worker"))
    async with open_postgres(database, max_size=2) as postgres:
        for sql in (CONNECTIONS, AUDIT, PROJECTS, RECORDS, RETURNS, WRITES, ACTIVITY):
            await postgres.execute(sql)
        yield postgres


async def export(database: str, target: Path, project_id: str = "prj_1") -> Ended:
    command = ("export", project_id, "--to", str(target))
    return await connector(*command, environment={"DATABASE_URL": database})


def contents(target: Path) -> Iterator[tuple[str, bytes]]:
    if target.is_dir():
        yield from ((path.name, path.read_bytes()) for path in target.iterdir())
    else:
        with zipfile.ZipFile(target) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())


@pytest.mark.parametrize("name", ["history", "history.zip"])
async def test_an_export_is_whole_and_proves_it(
    database: str, rows: Postgres, tmp_path: Path, name: str
) -> None:
    target = tmp_path / name
    ended = await export(database, target)
    assert ended.code == 0, ended.said
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing half-made beside it
    assert target.stat().st_mode & 0o077 == 0
    files = dict(contents(target))
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["project_id"] == "prj_1"
    assert sorted(files) == sorted(f"{part.name}.jsonl" for part in PARTS)
    for one in manifest["files"]:
        content = files[one["name"]]
        assert one["sha256"] == hashlib.sha256(content).hexdigest()
        assert (one["rows"], one["bytes"]) == (len(content.splitlines()), len(content))


async def test_an_export_has_its_project_and_no_other(
    database: str, rows: Postgres, tmp_path: Path
) -> None:
    target = tmp_path / "history"
    assert (await export(database, target)).code == 0
    said: dict[str, list[dict[str, Any]]] = {
        name: [json.loads(line) for line in content.splitlines()]
        for name, content in contents(target)
        if name.endswith(".jsonl")
    }
    assert {name: len(lines) for name, lines in said.items() if lines} == {
        "project.jsonl": 1,
        "connection.jsonl": 1,
        "connection-events.jsonl": 1,
        "records.jsonl": 1,
        "deliveries.jsonl": 1,
        "writes.jsonl": 1,
        "activity.jsonl": 1,
    }
    assert said["records.jsonl"][0]["record"] == {"title": "Zwei\nZeilen “so”"}
    assert said["writes.jsonl"][0]["marker"] == "P3-ret_prj_1"
    assert not any("prj_2" in content.decode() for _, content in contents(target))
    assert "lease_owner" not in said["records.jsonl"][0]


async def test_an_export_overwrites_nothing_and_leaves_nothing_half_made(
    database: str, rows: Postgres, tmp_path: Path
) -> None:
    target = tmp_path / "history.zip"
    target.write_bytes(b"mine")
    ended = await export(database, target)
    assert ended.code == 1
    assert "nothing was written" in ended.err
    assert target.read_bytes() == b"mine"
    await rows.execute("DROP TABLE mirror.removals")  # it fails at its last file
    ended = await export(database, tmp_path / "other")
    assert ended.code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["history.zip"]


async def test_an_export_that_cannot_be_written_says_where(
    database: str, rows: Postgres, tmp_path: Path
) -> None:
    for name in ("history", "history.zip"):
        ended = await export(database, tmp_path / "nowhere" / name)
        assert ended.code == 1
        assert f"nowhere/{name}.partial cannot be written: No such file" in ended.err


@pytest.mark.parametrize("name", ["history", "history.zip"])
async def test_an_export_leaves_alone_what_another_began_at_that_moment(
    rows: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    others = tmp_path / f"{name}.partial"
    others.write_bytes(b"theirs")
    monkeypatch.setattr(Path, "exists", lambda _path: False)  # it was not there yet
    with pytest.raises(click.ClickException, match="another export writes it"):
        await write_history(rows, "prj_1", tmp_path / name)
    assert others.read_bytes() == b"theirs"


async def test_a_project_that_never_was_connected_is_told(
    database: str, rows: Postgres, tmp_path: Path
) -> None:
    ended = await export(database, tmp_path / "history", "prj_nowhere")
    assert ended.code == 1
    assert "prj_nowhere" in ended.err


async def test_every_table_of_a_project_is_exported_or_is_no_history(rows: Postgres) -> None:
    there = {row["name"] for row in await rows.fetch(OF_PROJECTS)}
    asked = " ".join(part.sql for part in PARTS)
    assert {name for name in there if f"{name} t" not in asked} == set(NO_HISTORY)
    for secret in ("grants", "sessions", "oauth_states", "install"):
        assert secret not in asked


async def test_memory_stays_flat_however_many_rows_there_are(
    rows: Postgres, tmp_path: Path
) -> None:
    await rows.execute(
        "INSERT INTO mirror.activity (project_id, event, words) "
        "SELECT 'prj_1', 'record.mirrored', repeat('x', 2000) FROM generate_series(1, 10000)"
    )
    tracemalloc.start()
    try:
        manifest = await write_history(rows, "prj_1", tmp_path / "history")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(int(one["bytes"]) for one in manifest) > 20_000_000
    assert peak < 5_000_000
