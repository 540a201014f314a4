"""How the commands reach Postgres, and their words for what can be wrong with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from services.errors import TryLater
from services.postgres import NOT_GRANTED, NOT_MIGRATED, Postgres, open_postgres
from services.settings import Reader, Secret, read_or_exit

T = TypeVar("T")


def ask_postgres(work: Callable[[Postgres], Awaitable[T]]) -> T:
    """Run `work` on the database of DATABASE_URL; end with 78, or with 1 and the reason."""
    url = read_or_exit(database_url).reveal()
    try:
        return asyncio.run(_on(url, work))
    except TryLater as error:
        raise click.ClickException(str(error)) from error
    except NOT_MIGRATED as error:
        message = "the schemas are not there, or older than this release: run `connector migrate`"
        raise click.ClickException(message) from error
    except NOT_GRANTED as error:
        message = (
            f"the role of DATABASE_URL may not do this ({error}): "
            "use the sync worker's, or that of whoever migrates"
        )
        raise click.ClickException(message) from error


async def _on(url: str, work: Callable[[Postgres], Awaitable[T]]) -> T:
    async with open_postgres(url, max_size=2) as postgres:
        return await work(postgres)


def database_url(reader: Reader) -> Secret:
    """Read DATABASE_URL."""
    return reader.database_url()
