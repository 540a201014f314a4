"""Gets a new token pair for an old one, once, whatever dies on the way.

A refresh token is spent when it is sent, also if nobody hears the answer. So at most one replica
sends it (a lease in the grant's row), the journal knows of it before it leaves, the answer is on
the disk before anybody uses it, and a refresh without an answer is never simply tried again.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, assert_never

import structlog

from services import failpoints
from services.errors import TryLater
from services.procore.oauth import (
    Given,
    InvalidGrant,
    NotProcessed,
    NotSent,
    TokenAnswer,
    Unknown,
)
from services.settings import Secret
from services.tracing import note_fact, span
from token_service.audit import Audit, Entry
from token_service.grants.deciding import REFUSED_BY_PROCORE, UNREADABLE, Grant
from token_service.grants.homecoming import Homecoming
from token_service.grants.seal import SealBroken
from token_service.grants.store import GrantStore, Lease

DRAIN_S = 10.0  # of the 25 s in which a program ends
SPOOL_STEP_S = 1.0
PAUSE_AFTER_FAULT_S = 3.0
PAUSE_AFTER_REFUSAL_S = 30.0
RELEASE_TRIES = 20
RELEASE_STEP_S = 0.5

log = structlog.get_logger()


class TokenEndpoint(Protocol):
    """Procore's token endpoint, as far as refreshing needs it."""

    async def renew(self, refresh_token: Secret) -> TokenAnswer:
        """Spend a refresh token; sent once, never again by itself."""

    async def revoke(self, token: Secret) -> None:
        """End a token pair. Raises TryLater."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshLimits:
    """`deadline_s`: longest wait for the token endpoint; `lease_s`: always longer."""

    deadline_s: float = 60.0
    lease_s: float = 90.0


class Refresher:
    """One refresh a person at a time in this process, and by the lease in all of them."""

    def __init__(
        self,
        store: GrantStore,
        endpoint: TokenEndpoint,
        homecoming: Homecoming,
        audit: Audit,
        *,
        owner: str,
        limits: RefreshLimits,
        count: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
        replay_every_s: float = SPOOL_STEP_S,
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._homecoming = homecoming
        self._audit = audit
        self._owner = owner
        self._limits = limits
        self._count = count
        self._monotonic = monotonic
        self._replay_every_s = replay_every_s
        self._running: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Refresher"]:
        """Bring home what an earlier life left, then refresh until the end; waits for the last."""
        await self._homecoming.replay(self._running)
        replaying = asyncio.create_task(self._keep_replaying(), name="spool")
        try:
            yield self
        finally:
            if self._running:
                await asyncio.wait(self._running.values(), timeout=DRAIN_S)
            replaying.cancel()
            await asyncio.gather(replaying, return_exceptions=True)

    async def renew(self, grant: Grant, *, last_try: bool, patience_s: float) -> None:
        """Start a refresh, or join the one that runs here; return when it ends or patience does.

        Whoever waits gives up alone: the refresh itself always runs to its end. How it ended is in
        the grant's row.
        """
        task = self._running.get(grant.user_id)
        if task is None:
            task = asyncio.create_task(self._renew(grant, last_try=last_try), name="refresh")
            self._running[grant.user_id] = task
            task.add_done_callback(lambda done: self._ended(grant.user_id, done))
        await asyncio.wait([task], timeout=max(patience_s, 0.0))

    async def await_other(self, user_id: str, patience_s: float) -> None:
        """Wait for a refresh that runs, here or, by polling, at another replica."""
        task = self._running.get(user_id)
        if task is None:
            await asyncio.sleep(patience_s)
        else:
            await asyncio.wait([task], timeout=patience_s)

    def _ended(self, user_id: str, task: asyncio.Task[None]) -> None:
        self._running.pop(user_id, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, TryLater):
            log.warning("refresh.waits", user_id=user_id, reason=error.reason)
        elif error is not None:
            log.error("refresh.broke", user_id=user_id, error=type(error).__name__)

    async def _renew(self, grant: Grant, *, last_try: bool) -> None:
        started = self._monotonic()
        try:
            refresh_token = self._store.open_refresh(grant)
            lease = await self._take_lease(grant, last_try=last_try)
        except SealBroken as error:
            await self.flag_unreadable(grant, error)
            return
        if lease is None:
            return  # another replica was faster, or the row changed: its reader sees
        spare_s = self._limits.lease_s - self._limits.deadline_s
        if self._monotonic() - started > spare_s:  # the lease might end before the call does
            await self._end(lease, "not_sent", spent=False)
            return
        failpoints.reach("r1")
        with span("refresh"):
            given = await self._endpoint.renew(refresh_token)
            note_fact("answer", given.word)
        failpoints.reach("r2")
        await self._settle(grant, lease, given)

    async def _take_lease(self, grant: Grant, *, last_try: bool) -> Lease | None:
        owner = f"{self._owner}/{secrets.token_hex(4)}"
        try:
            return await self._store.take_lease(
                grant, owner, self._limits.lease_s, last_try=last_try
            )
        except TryLater:
            # it may have been taken all the same; nothing was sent under it
            for _ in range(RELEASE_TRIES):
                with contextlib.suppress(TryLater):
                    await self._store.release_unsent(grant.user_id, owner)
                    break
                await asyncio.sleep(RELEASE_STEP_S)
            raise

    async def _settle(self, grant: Grant, lease: Lease, answer: TokenAnswer) -> None:
        self._count(answer.word)
        match answer:
            case Given():
                if answer.lifetime_was_odd:
                    log.error("refresh.odd_lifetime", user_id=grant.user_id)
                await self._homecoming.take_home(lease, answer.pair)
            case InvalidGrant():
                await self._end(lease, "invalid_grant", lost=REFUSED_BY_PROCORE)
            case NotSent():
                log.warning("refresh.not_sent", user_id=grant.user_id, because=answer.because)
                await self._end(lease, "not_sent", spent=False, wait_s=_after_fault_s())
            case NotProcessed():
                log.error("refresh.refused", user_id=grant.user_id, because=answer.because)
                wait_s = answer.wait_s or PAUSE_AFTER_REFUSAL_S
                await self._end(lease, "refused", spent=False, wait_s=wait_s)
            case Unknown():
                log.error("refresh.unanswered", user_id=grant.user_id, because=answer.because)
                await self._end(lease, "unknown", unknown=True)
            case _:
                assert_never(answer)

    async def _end(
        self,
        lease: Lease,
        outcome: str,
        *,
        unknown: bool = False,
        wait_s: float = 0.0,
        spent: bool = True,
        lost: str | None = None,
    ) -> None:
        """Write down how a refresh ended; if that cannot be, the lease's end makes it unknown."""
        for _ in range(RELEASE_TRIES):
            try:
                if lost is not None and await self._store.mark_lost(
                    lease.user_id, lease.version, lost
                ):
                    await self._report_lost(lease.user_id, lost)
                await self._store.end_attempt(
                    lease, outcome, unknown=unknown, wait_s=wait_s, spent=spent
                )
            except TryLater:
                await asyncio.sleep(RELEASE_STEP_S)
                continue
            return

    async def mark_lost(self, grant: Grant, reason: str) -> None:
        """Ask the person for a new authorization, unless the pair that failed was replaced."""
        if await self._store.mark_lost(grant.user_id, grant.version, reason):
            await self._report_lost(grant.user_id, reason)

    async def _report_lost(self, user_id: str, reason: str) -> None:
        log.warning("grant.lost", user_id=user_id, reason=reason)
        await self._audit.write(
            Entry(
                event="grant.lost",
                actor="token_service",
                user_id=user_id,
                detail={"reason": reason},
            )
        )

    async def flag_unreadable(self, grant: Grant, error: SealBroken) -> None:
        """Raise the alarm for a seal that does not open; a key that comes back mends it."""
        log.critical("grant.unreadable", user_id=grant.user_id, because=str(error))
        try:
            await self.mark_lost(grant, UNREADABLE)
        except TryLater as fault:
            log.warning("grant.not_flagged", user_id=grant.user_id, reason=fault.reason)

    async def _keep_replaying(self) -> None:
        while True:
            await asyncio.sleep(self._replay_every_s)
            await self._homecoming.replay(self._running)


def _after_fault_s() -> float:
    return PAUSE_AFTER_FAULT_S * random.uniform(0.7, 1.3)  # noqa: S311 - spreads load, guards nothing
