"""Rows as the worker would have written them."""

from typing import Any

from schemas.connections import ConnectionState
from services.postgres import Postgres
from tests.pages.fakes import GINA, HARBOUR, World
from token_service.public.ports import Order


async def project_row(mirror: Postgres, **attention: Any) -> None:
    await mirror.execute(
        "INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, "
        "owner_user_id, reader_user_id, state, connection_updated_at, attention_reason, "
        "attention_message, attention_mended_by, attention_since) "
        "VALUES ('p-1', '562', '88001', 'u-gina', 'u-gina', 'active', now(), $1, $2, $3, now())",
        attention.get("reason"),
        attention.get("message"),
        attention.get("mended_by"),
    )


async def sweep_row(mirror: Postgres, kind: str, **values: Any) -> None:
    await mirror.execute(
        "INSERT INTO mirror.sweeps (project_id, kind, found, done, files_found, files_done, "
        "next_page, started_at, backfilled_at, finished_at) VALUES ('p-1', $1, $2, $3, $4, $5, "
        "$6, now() - interval '60 s', CASE WHEN $7 THEN now() END, CASE WHEN $7 THEN now() END) "
        "ON CONFLICT (project_id, kind) DO UPDATE SET found = $2, done = $3, files_found = $4, "
        "files_done = $5, next_page = $6, backfilled_at = excluded.backfilled_at, "
        "finished_at = excluded.finished_at",
        kind,
        values.get("found", 0),
        values.get("done", 0),
        values.get("files_found", 0),
        values.get("files_done", 0),
        values.get("next_page"),
        values.get("backfilled", False),
    )


async def record_row(mirror: Postgres, kind: str, procore_id: str, **values: Any) -> None:
    await mirror.execute(
        "INSERT INTO mirror.records (project_id, kind, procore_id, number, title, record, "
        "mirrored_at) VALUES ('p-1', $1, $2, $3, $4, $5, now())",
        kind,
        procore_id,
        values.get("number", procore_id),
        values.get("title", "A title"),
        values.get("record", {"private": False}),
    )


async def delivery_row(mirror: Postgres, return_id: str, state: str, **values: Any) -> None:
    await mirror.execute(
        "INSERT INTO mirror.deliveries (return_id, project_id, kind, procore_id, author_user_id, "
        "author_name, state, reason, message, mended_by) "
        "VALUES ($1, 'p-1', $2, $3, $4, $5, $6, $7, $8, $9)",
        return_id,
        values.get("kind", "rfi"),
        values.get("procore_id", "1001"),
        values.get("author_user_id", "u-ada"),
        "Ada Lindqvist",
        state,
        values.get("reason"),
        values.get("message"),
        values.get("mended_by"),
    )


async def activity_row(mirror: Postgres, words: str, **values: Any) -> None:
    await mirror.execute(
        "INSERT INTO mirror.activity (project_id, event, kind, procore_id, return_id, number, "
        "title, words, reason, person) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        values.get("project_id", "p-1"),
        values.get("event", "record.mirrored"),
        values.get("kind", "rfi"),
        values.get("procore_id", "1001"),
        values.get("return_id"),
        values.get("number", "12"),
        values.get("title", "Slab edge"),
        words,
        values.get("reason"),
        values.get("person"),
    )


async def all_over(mirror: Postgres) -> None:
    """Both kinds have come over once."""
    await project_row(mirror)
    await sweep_row(mirror, "rfi", found=1, done=1, backfilled=True)
    await sweep_row(mirror, "submittal", found=1, done=1, backfilled=True)


async def connect(world: World) -> None:
    """Gina connects the project, with Harbour Build's 88001 in Procore."""
    await world.connections.create(
        Order(
            project_id="p-1",
            project_name="Riverside Library",
            procore_company_id=HARBOUR.id,
            procore_company_name=HARBOUR.name,
            procore_project_id="88001",
            procore_project_name="Riverside Public Library",
            owner_user_id=GINA.user_id,
            owner_name=GINA.name,
            once="a-form-of-some-length",
        )
    )


def state_in(world: World) -> ConnectionState:
    """Where the connection of the project stands."""
    return world.connections.by_project["p-1"].state


async def in_step(world: World, mirror: Postgres) -> None:
    """The project is connected, and both kinds have come over once."""
    await connect(world)
    await all_over(mirror)
