"""The database that DATABASE_URL names for a demo: an empty one, or one that a demo left behind."""

from services.postgres import NOT_GRANTED, Postgres, open_postgres

MARK = "made by connector demo"
STATE = """
SELECT to_regnamespace('mirror') IS NOT NULL OR to_regnamespace('authority') IS NOT NULL AS used,
  coalesce(obj_description(to_regnamespace('mirror')::oid, 'pg_namespace'), '') AS comment,
  (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'connector' AND pid <> pg_backend_pid()) AS programs
"""
DROP = "DROP SCHEMA IF EXISTS mirror, authority, migrations CASCADE"
PUT_MARK = f"COMMENT ON SCHEMA mirror IS '{MARK}'"


class NotForDemo(Exception):  # noqa: N818 - says what it is
    """The database holds what the demo must not touch; the message says what to do."""


async def make_empty(url: str) -> bool:
    """Drop what an earlier demo left in a database; tell whether there was something.

    Raises:
        NotForDemo: it is in use, or its data are not a demo's.
        TryLater: it cannot be reached.
    """
    async with open_postgres(url, max_size=1) as postgres:
        found = await postgres.fetchrow(STATE)
        if found is None or not found["used"]:
            return False
        if found["comment"] != MARK:
            message = (
                "the database of DATABASE_URL holds a connector's data that no demo made: they are "
                "left alone. Name an empty database, or leave DATABASE_URL unset"
            )
            raise NotForDemo(message)
        if found["programs"]:
            message = (
                "another demo runs on the database of DATABASE_URL: end it first, or name another "
                "database. Two demos can share a server and a Kafka, each with its own database"
            )
            raise NotForDemo(message)
        await _drop(postgres)
        return True


async def _drop(postgres: Postgres) -> None:
    try:
        await postgres.execute(DROP)
    except NOT_GRANTED as error:
        message = f"an earlier demo's data cannot be dropped ({error}): name an empty database"
        raise NotForDemo(message) from error


async def mark(url: str) -> None:
    """Say in the database that its data are a demo's, so that the next one may drop them."""
    async with open_postgres(url, max_size=1) as postgres:
        await postgres.execute(PUT_MARK)
