"""Connections: made with their hook or not at all, listed in the order they change, ended."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import msgspec
import structlog

from schemas.connections import Connection, ConnectionPage, ProjectOptions
from services.errors import NeedsPerson, TryLater
from services.postgres import Postgres, Queries, Row, UniqueViolation
from token_service.audit import write_entry
from token_service.connections import rows
from token_service.connections.endings import Endings, order_ending
from token_service.connections.hooks import HookOutcome, HookPlace, Hooks
from token_service.connections.shapes import (
    already_connected,
    check_same,
    connection_of,
    entry,
    place_of,
    place_of_order,
    sequence_of,
    values_of,
    view_of,
)
from token_service.public.ports import ConnectionView, Order, RemovalsConfirmer

PAGE_SIZE = 200
CLAIM_LASTS_S = 60.0
AWAIT_CLAIM_S = 25.0
POLL_S = 0.3
REMOVAL_STEP_S = 15.0
REMOVAL_LONGEST_S = 3_600.0
MOST_REMOVALS = 200

log = structlog.get_logger()


class ConnectionStore:
    """Projects tied to Procore, with their hooks. All methods raise TryLater."""

    def __init__(
        self,
        database: Postgres,
        hooks: Hooks,
        endings: Endings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._hooks = hooks
        self._endings = endings
        self._monotonic = monotonic

    async def view(self, project_id: str) -> ConnectionView | None:
        """Return a project's connection, also a disconnected one, or None."""
        row = await self._database.fetchrow(rows.READ_KNOWN, project_id)
        return None if row is None else view_of(row)

    async def owned_by(self, user_id: str) -> Sequence[ConnectionView]:
        """Return the active connections that this person made."""
        return [view_of(row) for row in await self._database.fetch(rows.LIST_OWNED, user_id)]

    async def uses_of(self, user_id: str, *, but_not: str) -> Sequence[str]:
        """Name the connected projects, but for one, that use a person's authorization."""
        return await self._endings.uses_of(user_id, but_not=but_not)

    async def get(self, project_id: str) -> Connection | None:
        """Return what the workers may know of a project's connection."""
        row = await self._database.fetchrow(rows.READ_KNOWN, project_id)
        return None if row is None else connection_of(row)

    async def changed(
        self, updated_after: datetime | None, cursor: str | None, *, limit: int = PAGE_SIZE
    ) -> ConnectionPage:
        """Return connections in the order of their last change.

        Whoever goes on with the last `updated_at`, or with the cursor, misses no change: both grow
        strictly, in the order in which changes were committed. Raises BadCursor.
        """
        after = sequence_of(cursor)
        found = await self._database.fetch(rows.LIST_CHANGED, after, updated_after, limit + 1)
        page = found[:limit]
        more = str(page[-1]["changed_seq"]) if len(found) > limit else None
        return ConnectionPage(items=tuple(map(connection_of, page)), next_cursor=more)

    async def create(self, order: Order) -> None:
        """Write the connection and make its hook; both or neither stay.

        Raises:
            NeedsPerson: `already_connected`, `form_used`, or what Procore says against the hook.
            TryLater: Procore or Postgres does not answer; nothing half-made stays.
        """
        generation = await self._claim(order)
        if generation is None:
            return  # it is there already
        place = place_of_order(order, generation)
        try:
            outcome = await self._hooks.ensure(place)
            await self._activate(order, place, outcome)
        except (NeedsPerson, TryLater):
            with suppress(TryLater):  # `clean_up` undoes what cannot be undone now
                await self._undo(place)
            raise

    async def _claim(self, order: Order) -> int | None:
        """Return the new connection's generation, or None if just this one exists."""
        until = self._monotonic() + AWAIT_CLAIM_S
        while self._monotonic() < until:
            try:
                generation: int | None = await self._database.fetchval(
                    rows.CLAIM, *values_of(order), CLAIM_LASTS_S
                )
            except UniqueViolation as error:
                raise already_connected() from error
            if generation is not None:
                return generation
            row = await self._database.fetchrow(rows.READ_ANY, order.project_id)
            if row is None or row["state"] == "creating":
                await asyncio.sleep(POLL_S)  # the other tab is at it
                continue
            check_same(row, order)
            return None
        raise TryLater("the connection is being made by somebody else", reason="postgres_busy")

    async def _activate(self, order: Order, place: HookPlace, outcome: HookOutcome) -> None:
        async with self._database.transaction() as database:
            activated = await database.fetchval(
                rows.ACTIVATE,
                place.project_id,
                place.generation,
                order.once,
                outcome.hook_id,
                outcome.key_id,
            )
            if activated is not None:
                await write_entry(database, entry("connection.created", place, order.owner_user_id))
        if activated is None:
            raise TryLater("making the connection took too long", reason="postgres_busy")
        log.info("connection.created", project_id=place.project_id, generation=place.generation)

    async def _undo(self, place: HookPlace) -> None:
        """Take a claim back; its hook, if it was made, is deleted soon."""
        async with self._database.transaction() as database:
            await database.execute(rows.UNDO, place.project_id, place.generation)
            await _order_removal(database, place, [place.user_id])
        await self.remove_hooks(place.project_id)

    async def disconnect(
        self, project_id: str, by_user_id: str, *, end_authorization: bool = False
    ) -> None:
        """Stop both directions now; the hook is deleted now or, if Procore is away, soon.

        Args:
            project_id: of Part3.
            by_user_id: who says so.
            end_authorization: theirs ends too, after the hook, if no other project uses it.
        """
        async with self._database.transaction() as database:
            row = await database.fetchrow(rows.END, project_id)
            if row is None:
                return
            place = place_of(row)
            users = list(dict.fromkeys([place.user_id, by_user_id]))
            await _order_removal(database, place, users)
            ended = entry("connection.ended", place, by_user_id)
            if end_authorization:
                await order_ending(database, by_user_id, project_id)
                ended = replace(ended, detail={**ended.detail, "ends_authorization": True})
            await write_entry(database, ended)
        log.info("connection.ended", project_id=project_id)
        with suppress(TryLater):
            await self.remove_hooks(project_id)
            await self._endings.carry_out(by_user_id)

    async def unlink(self, project_id: str, by_user_id: str) -> None:
        """Disconnect what was tied to the wrong Procore project, and have what came from it go.

        Once more is harmless.
        """
        await self.disconnect(project_id, by_user_id)
        async with self._database.transaction() as database:
            if await database.fetchval(rows.UNLINK, project_id) is None:
                return
            row = await database.fetchrow(rows.READ_ANY, project_id)
            if row is not None:
                await write_entry(database, entry("connection.unlinked", place_of(row), by_user_id))
        log.info("connection.unlinked", project_id=project_id)

    async def take_over(
        self, project_id: str, procore_project_id: str, user_id: str, name: str
    ) -> None:
        """Make somebody a connection's owner: from now on their grant reads and minds the hook.

        Raises:
            NeedsPerson: `not_connected`, also where it was tied to another project meanwhile.
        """
        async with self._database.transaction() as database:
            row = await database.fetchrow(
                rows.TAKE_OVER, project_id, user_id, name, procore_project_id
            )
            if row is None:
                message = "the project is not connected to that Procore project any more"
                raise NeedsPerson(message, reason="not_connected")
            await write_entry(database, entry("connection.owner", place_of(row), user_id))
        log.info("connection.owner", project_id=project_id)

    async def choose(self, project_id: str, by_user_id: str, options: ProjectOptions) -> None:
        """Keep what was chosen for a connected project, with who chose it."""
        chosen = msgspec.to_builtins(options)
        async with self._database.transaction() as database:
            row = await database.fetchrow(rows.SET_OPTIONS, project_id, chosen)
            if row is None:
                message = "the project is not connected any more"
                raise NeedsPerson(message, reason="not_connected")
            made = entry("connection.options", place_of(row), by_user_id)
            await write_entry(database, replace(made, detail={**made.detail, **chosen}))
        log.info("connection.options", project_id=project_id, **chosen)

    async def confirm_removals(
        self, project_id: str, by: RemovalsConfirmer, until: datetime
    ) -> None:
        """Keep who says that what was found gone until then is meant to be removed."""
        async with self._database.transaction() as database:
            row = await database.fetchrow(
                rows.CONFIRM_REMOVALS, project_id, until, by.user_id, by.name
            )
            if row is None:
                message = "the project is not connected any more"
                raise NeedsPerson(message, reason="not_connected")
            made = entry("connection.removals_confirmed", place_of(row), by.user_id)
            detail = {**made.detail, "until": until.isoformat()}
            await write_entry(database, replace(made, detail=detail))
        log.info("connection.removals_confirmed", project_id=project_id)

    async def ensure_hook(self, project_id: str) -> HookOutcome | None:
        """Compare the hook with what it should be and mend it; None without a live connection.

        Raises:
            NeedsPerson: the owner's grant, or their permissions, do not allow it.
        """
        row = await self._database.fetchrow(rows.READ_KNOWN, project_id)
        if row is None or row["state"] == "disconnected":
            return None
        place = place_of(row)

        async def changed_since(moment: datetime) -> bool:
            async with self._database.of_project(project_id) as mirror:
                return bool(await mirror.fetchval(rows.CHANGED_SINCE, project_id, moment))

        try:
            outcome = await self._hooks.ensure(place, changed_since=changed_since)
        except NeedsPerson as error:
            await self._note_hook(place, None, str(error))
            raise
        if not await self._note_hook(place, outcome, None):
            # disconnected while we were at it: what we made must not stay
            await _order_removal(self._database, place, [place.user_id])
            return None
        return outcome

    async def _note_hook(
        self, place: HookPlace, outcome: HookOutcome | None, message: str | None
    ) -> bool:
        noted = await self._database.fetchval(
            rows.NOTE_HOOK,
            place.project_id,
            place.generation,
            outcome.hook_id if outcome else None,
            "ok" if outcome else "failed",
            message,
            outcome.key_id if outcome else None,
        )
        return noted is not None

    async def remove_hooks(self, project_id: str | None = None) -> None:
        """Delete the hooks that are due to go, of one project or of all."""
        for row in await self._database.fetch(rows.TAKE_REMOVALS, project_id):
            key = (row["project_id"], row["generation"])
            if await self._removed(row):
                await self._database.execute(rows.FORGET_REMOVAL, *key)
            elif row["attempts"] >= MOST_REMOVALS:
                log.error("hook.left_behind", project_id=key[0], generation=key[1])
                await self._database.execute(rows.FORGET_REMOVAL, *key)
            else:
                wait_s = min(REMOVAL_STEP_S * 2 ** min(row["attempts"], 10), REMOVAL_LONGEST_S)
                await self._database.execute(rows.DELAY_REMOVAL, *key, wait_s)

    async def _removed(self, row: Row) -> bool:
        for user_id in row["user_ids"]:
            place = HookPlace(
                project_id=row["project_id"],
                generation=row["generation"],
                company_id=row["procore_company_id"],
                procore_project_id=row["procore_project_id"],
                user_id=user_id,
            )
            try:
                await self._hooks.remove(place)
            except (NeedsPerson, TryLater) as error:
                log.warning(
                    "hook.not_removed_yet", project_id=place.project_id, reason=error.reason
                )
                continue
            log.info("hook.removed", project_id=place.project_id, generation=place.generation)
            return True
        return False

    async def clean_up(self) -> None:
        """Undo claims whose creator died; delete hooks and end authorizations that are to go."""
        for row in await self._database.fetch(rows.LIST_STALE_CLAIMS, 2 * CLAIM_LASTS_S):
            log.warning("connection.claim_undone", project_id=row["project_id"])
            await self._undo(place_of(row))
        await self.remove_hooks()
        await self._endings.carry_out()


async def _order_removal(database: Queries, place: HookPlace, user_ids: Sequence[str]) -> None:
    await database.execute(
        rows.ORDER_REMOVAL,
        place.project_id,
        place.generation,
        place.company_id,
        place.procore_project_id,
        list(user_ids),
    )
