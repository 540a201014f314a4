"""A whole system for one test or for many: all programs, both stand-ins and the inbox."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from connector.demo.stack import Stack
from deploy.local.runs import open_run
from tests.databases import fresh_database


@asynccontextmanager
async def running_stack(
    kafka_bootstrap: str,
    database_url: str,
    *,
    workers: int = 1,
    overrides: Mapping[str, str] | None = None,
) -> AsyncIterator[Stack]:
    """Start a system of its own on shared servers, and end all of it afterwards.

    It has a run, a database and topics of its own, so several may be up at once and any program
    may be killed: `stack.program("worker-1").kill()`, then `await ….start()`.

    Args:
        kafka_bootstrap: as KAFKA_BOOTSTRAP_SERVERS.
        database_url: of somebody who may create databases on that server.
        workers: how many sync workers to start, `worker-1` and so on; 0 for none yet.
        overrides: environment variables that replace the stack's own.
    """
    async with fresh_database(database_url) as database, open_run() as run:
        stack = Stack(
            run,
            kafka_bootstrap=kafka_bootstrap,
            database_url=database,
            topic_prefix=f"stack-{secrets.token_hex(4)}.",
            overrides=overrides,
        )
        await stack.start(workers=workers)
        yield stack
