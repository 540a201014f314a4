"""Orders, rows and places: one into the other."""

import msgspec

from schemas.connections import Connection, ProjectOptions, RemovalsConfirmed
from services.errors import NeedsPerson
from services.postgres import Row
from token_service.audit import Entry
from token_service.connections.hooks import HookPlace
from token_service.public.ports import ConnectionView, Order


class BadCursor(ValueError):  # noqa: N818 - says what came
    """The cursor is none that we gave."""


def values_of(order: Order) -> tuple[str, ...]:
    """Return the columns of an order, as `CLAIM` takes them."""
    return (
        order.project_id,
        order.project_name,
        order.procore_company_id,
        order.procore_company_name,
        order.procore_project_id,
        order.procore_project_name,
        order.owner_user_id,
        order.owner_name,
        order.once,
    )


def check_same(row: Row, order: Order) -> None:
    """Accept what is there if it is what was asked for."""
    if row["state"] == "disconnected":
        raise NeedsPerson(
            "this form made a connection that has been disconnected since; begin again",
            reason="form_used",
        )
    there = (row["procore_company_id"], row["procore_project_id"])
    if there != (order.procore_company_id, order.procore_project_id):
        raise already_connected()


def already_connected() -> NeedsPerson:
    """Refuse without telling whose connection it is."""
    return NeedsPerson(
        "this project, or that project in Procore, is connected already; "
        "disconnect it there first, or choose another one",
        reason="already_connected",
    )


def entry(event: str, place: HookPlace, by_user_id: str) -> Entry:
    """Return the audit line of what happened to a connection."""
    return Entry(
        event=event,
        actor=f"user:{by_user_id}",
        user_id=place.user_id,
        project_id=place.project_id,
        detail={
            "procore_company_id": place.company_id,
            "procore_project_id": place.procore_project_id,
            "generation": place.generation,
        },
    )


def place_of_order(order: Order, generation: int) -> HookPlace:
    """Return where an ordered connection's hook belongs."""
    return HookPlace(
        project_id=order.project_id,
        generation=generation,
        company_id=order.procore_company_id,
        procore_project_id=order.procore_project_id,
        user_id=order.owner_user_id,
    )


def place_of(row: Row) -> HookPlace:
    """Return where a connection's hook is."""
    return HookPlace(
        project_id=row["project_id"],
        generation=row["generation"],
        company_id=row["procore_company_id"],
        procore_project_id=row["procore_project_id"],
        user_id=row["owner_user_id"],
    )


def view_of(row: Row) -> ConnectionView:
    """Return what people see of a connection."""
    return ConnectionView(
        project_id=row["project_id"],
        project_name=row["project_name"],
        state=row["state"],
        procore_company_id=row["procore_company_id"],
        procore_company_name=row["procore_company_name"],
        procore_project_id=row["procore_project_id"],
        procore_project_name=row["procore_project_name"],
        owner_user_id=row["owner_user_id"],
        owner_name=row["owner_name"],
        connected_at=row["activated_at"],
        options=options_of(row),
        unlinked=row["unlinked_at"] is not None,
    )


def connection_of(row: Row) -> Connection:
    """Return what the workers are told of a connection."""
    return Connection(
        project_id=row["project_id"],
        state=row["state"],
        procore_company_id=row["procore_company_id"],
        procore_project_id=row["procore_project_id"],
        owner_user_id=row["owner_user_id"],
        updated_at=row["updated_at"],
        options=options_of(row),
        removals_confirmed=confirmed_of(row),
        unlinked=row["unlinked_at"] is not None,
        connected_at=row["activated_at"],
    )


def options_of(row: Row) -> ProjectOptions:
    """Return what was chosen; an option of a newer program is left out."""
    return msgspec.convert(row["options"], ProjectOptions)


def confirmed_of(row: Row) -> RemovalsConfirmed | None:
    """Return who confirmed the last burst of removals, or None."""
    confirmed = row["removals_confirmed"]
    return None if confirmed is None else msgspec.convert(confirmed, RemovalsConfirmed)


def sequence_of(cursor: str | None) -> int:
    """Read a cursor; none begins at the beginning. Raises BadCursor."""
    if cursor is None or not cursor:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:  # noqa: PLR2004 - a bigint
        raise BadCursor("this cursor is not one of ours")
    return int(cursor)
