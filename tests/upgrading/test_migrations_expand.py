"""A database that is a release ahead serves the programs of the release before it.

So an upgrade needs no pause: `connector migrate` first, then the programs one by one, and the way
back is open. What a migration takes away waits for the release after the next.
"""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from services.postgres import migrate
from tests.upgrading.released import OWNERS, hash_of, migrations, releases

RELEASES = releases()
LATEST = max(RELEASES, key=lambda version: [int(part) for part in version.split(".")])
CONTRACTS = re.compile(
    r"\bDROP\s+(?:TABLE|COLUMN|SCHEMA|VIEW)\b|\bRENAME\b|\bALTER\s+(?:COLUMN\s+)?\w+\s+(?:SET\s+DATA\s+)?TYPE\b"
    r"|\bSET\s+NOT\s+NULL\b|\bTRUNCATE\s+(?:TABLE\s+)?\w+\.",
    re.IGNORECASE,
)
ADDED_COLUMN = re.compile(r"\bADD\s+COLUMN\b(?:\s+IF\s+NOT\s+EXISTS)?([^,;]*)", re.IGNORECASE)


def why_not(sql: str) -> str | None:
    """Say what of a migration breaks programs that do not know of it, or None."""
    plain = re.sub(r"--.*", "", sql)
    if found := CONTRACTS.search(plain):
        return found[0]
    for column in ADDED_COLUMN.findall(plain):
        words = column.upper()
        if "NOT NULL" in words and "DEFAULT" not in words:
            return f"ADD COLUMN{column}: older programs give it no value"
    return None


def test_what_was_released_of_migrations_is_never_changed() -> None:
    now = {name: hash_of(sql) for name, sql in migrations().items()}
    for version, released in RELEASES.items():
        changed = {name for name, kept in released.migrations.items() if now.get(name) != kept}
        assert not changed, f"{version} was released with other text: add a migration instead"


def test_numbers_of_migrations_are_given_once() -> None:
    numbers = [name.split("_")[0] + name.split("/")[1][:4] for name in migrations()]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("name", sorted(migrations().keys() - RELEASES[LATEST].migrations.keys()))
def test_a_migration_since_the_last_release_only_adds(name: str) -> None:
    assert why_not(migrations()[name]) is None


@pytest.mark.parametrize(
    "breaks",
    [
        "ALTER TABLE mirror.looks DROP COLUMN asked;",
        "ALTER TABLE mirror.looks RENAME COLUMN asked TO wanted;",
        "ALTER TABLE mirror.looks ALTER COLUMN asked TYPE text;",
        "ALTER TABLE mirror.looks ALTER asked SET NOT NULL;",
        "ALTER TABLE mirror.looks ADD COLUMN why text NOT NULL;",
        "ALTER TABLE mirror.looks ADD COLUMN a int DEFAULT 1, ADD COLUMN b int NOT NULL;",
    ],
)
def test_a_migration_that_takes_away_is_seen(breaks: str) -> None:
    assert why_not(breaks) is not None
    assert (
        why_not("ALTER TABLE mirror.looks ADD COLUMN a int NOT NULL DEFAULT 1; -- DROP TABLE")
        is None
    )


@pytest_asyncio.fixture
async def upgraded(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A database with every migration of today."""
    await migrate(database, OWNERS)
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.mark.postgres
@pytest.mark.parametrize("version", RELEASES)
async def test_every_statement_of_a_release_is_still_understood(
    upgraded: asyncpg.Connection, version: str
) -> None:
    refused: dict[str, str] = {}
    for name, sql in RELEASES[version].statements.items():
        try:
            _ = await upgraded.prepare(sql)
        except asyncpg.PostgresError as error:
            refused[name] = str(error)
    assert refused == {}
    assert len(RELEASES[version].statements) > 100
