"""`connector wait`: until what `migrate` and `topics` make is there, so programs start in order."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import click

from connector.patience import at_most
from connector.preparing import OWNERS
from connector.reaching import database_url
from services import kafka, postgres
from services.settings import KafkaSettings, Reader, read_or_exit

STEP_S = 1.0
SAID_EVERY_S = 15.0

Missing = Callable[[], Awaitable[str | None]]
"""Returns what is missing still, in words, or None."""


@click.command()
@click.option("--schemas", is_flag=True, help="Until every migration of this release is applied.")
@click.option("--topics", is_flag=True, help="Until every topic is there and led.")
@at_most(300.0, "Seconds; then end with 1 and say what is missing.")
def wait(schemas: bool, topics: bool, at_most_s: float) -> None:
    """Wait until `connector migrate` and `connector topics` have done their work.

    For whatever starts before a program and must not let it start too early: an init container, a
    unit's ExecStartPre. It reads DATABASE_URL for --schemas and the KAFKA_… variables for --topics;
    the programs' own roles suffice. Changes nothing.
    """
    if not (schemas or topics):
        raise click.UsageError("say what to wait for: --schemas, --topics or both")
    checks: dict[str, Missing] = {}
    if schemas:
        url = read_or_exit(database_url).reveal()
        checks["schemas"] = lambda: _missing_migrations(url)
    if topics:
        settings = read_or_exit(_kafka)
        checks["topics"] = lambda: _missing_topics(settings)
    left = asyncio.run(until_there(checks, at_most_s=at_most_s, say=click.echo))
    if left:
        raise click.ClickException("; ".join(f"{name}: {why}" for name, why in left.items()))
    click.echo(f"{' and '.join(checks)}: there.")


def _kafka(reader: Reader) -> KafkaSettings:
    return KafkaSettings.read(reader)


async def until_there(
    checks: Mapping[str, Missing], *, at_most_s: float, say: Callable[[str], None]
) -> dict[str, str]:
    """Ask until nothing is missing or the time is over; return what is missing then."""
    started = time.monotonic()
    said_at = float("-inf")
    while True:
        found = {name: await check() for name, check in checks.items()}
        left = {name: why for name, why in found.items() if why is not None}
        now = time.monotonic()
        if not left or now - started >= at_most_s:
            return left
        if now - said_at >= SAID_EVERY_S:
            said_at = now
            for name, why in left.items():
                say(f"waiting for {name}: {why}")
        await asyncio.sleep(min(STEP_S, max(at_most_s - (now - started), 0.0)))


async def _missing_migrations(url: str) -> str | None:
    try:
        pending = await postgres.pending_migrations(url, OWNERS)
    except postgres.NOT_GRANTED:
        return "this role may not see what has been migrated (connector migrate names the roles)"
    except postgres.CONNECTION_FAULTS as error:
        return f"Postgres cannot be reached or refuses ({type(error).__name__})"
    return f"{len(pending)} migrations not applied yet, {pending[0]} first" if pending else None


async def _missing_topics(settings: KafkaSettings) -> str | None:
    try:
        await kafka.check(settings)
    except kafka.KafkaAway as error:
        return str(error)
    return None
