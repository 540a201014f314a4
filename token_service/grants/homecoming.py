"""Brings a new token pair home: onto the disk, into its row, and if need be after a restart.

Nobody gets a new token before it is durable, and a pair that its row no longer wants, because the
person disconnected meanwhile, is revoked.
"""

import asyncio
from collections.abc import Container
from datetime import timedelta
from typing import Protocol

import structlog

from services import failpoints
from services.errors import TryLater
from services.procore.oauth import TokenPair
from services.settings import Secret
from token_service.audit import Audit, Entry
from token_service.grants.seal import SealBroken
from token_service.grants.spool import Spool, Spooled
from token_service.grants.store import GrantStore, Lease, SealedPair, Stored

STORE_TRIES = 40
STORE_STEP_S = 0.5

log = structlog.get_logger()


class Revoker(Protocol):
    """Procore's revocation endpoint."""

    async def revoke(self, token: Secret) -> None:
        """End a token pair. Raises TryLater."""


class Homecoming:
    """The way of a pair from Procore's answer into the grant's row."""

    def __init__(self, store: GrantStore, spool: Spool, revoker: Revoker, audit: Audit) -> None:
        self._store = store
        self._spool = spool
        self._revoker = revoker
        self._audit = audit
        self._left_alone: set[str] = set()

    async def take_home(self, lease: Lease, pair: TokenPair) -> None:
        """Make a new pair durable and store it; the spool goes on with what cannot be stored now.

        Raises:
            TryLater: stored or not, something after it has to be done again by `replay`.
        """
        expires_at = lease.taken_at + timedelta(seconds=pair.lasts_s)
        sealed = self._store.seal(lease.user_id, pair, expires_at)
        spooled = await self._onto_the_disk(lease, sealed)
        failpoints.reach("r3")
        # without a copy on the disk this process is the only one that can bring it home
        for _ in range(1 if spooled else STORE_TRIES):
            try:
                stored = await self._store.store_renewed(lease, sealed)
            except TryLater as error:
                log.warning("refresh.not_stored_yet", user_id=lease.user_id, reason=error.reason)
                if spooled is None:
                    await asyncio.sleep(STORE_STEP_S)
                continue
            failpoints.reach("r4")
            await self._arrived(lease, stored, pair.access_token, spooled)
            return

    async def _onto_the_disk(self, lease: Lease, sealed: SealedPair) -> Spooled | None:
        try:
            return await asyncio.to_thread(self._spool.write, lease, sealed)
        except OSError as error:
            log.error("spool.not_written", error=type(error).__name__)  # noqa: TRY400 - its kind says all
            return None

    async def _arrived(
        self, lease: Lease, stored: Stored, access_token: Secret, spooled: Spooled | None
    ) -> None:
        if stored == "superseded" and await self._store.read(lease.user_id) is None:
            # the person disconnected while their refresh was under way
            await self._revoker.revoke(access_token)
        if spooled is not None:
            await asyncio.to_thread(self._spool.remove, spooled)
        log.info("grant.refreshed", user_id=lease.user_id, outcome=stored)
        event = "grant.refreshed" if stored == "stored" else "grant.refresh_superseded"
        await self._audit.write(Entry(event=event, actor="token_service", user_id=lease.user_id))

    async def replay(self, busy: Container[str]) -> None:
        """Bring what waits on the disk into its rows, as far as Postgres answers.

        Args:
            busy: user ids whose refresh runs now; their own task is at it.
        """
        for spooled in await asyncio.to_thread(lambda: list(self._spool.waiting())):
            if spooled.lease.user_id in busy or spooled.path.name in self._left_alone:
                continue
            try:
                await self._replay_one(spooled)
            except TryLater as error:
                log.warning("spool.waits", reason=error.reason)
                return

    async def _replay_one(self, spooled: Spooled) -> None:
        lease, pair = spooled.lease, spooled.pair
        try:
            access_token = self._store.open_spooled(lease.user_id, pair)
        except SealBroken as error:
            log.critical("spool.does_not_open", file=spooled.path.name, because=str(error))
            self._left_alone.add(spooled.path.name)
            return
        stored = await self._store.store_renewed(lease, pair)
        if stored == "foreign":
            log.warning("spool.of_another_database", file=spooled.path.name)
            self._left_alone.add(spooled.path.name)
            return
        await self._arrived(lease, stored, access_token, spooled)
