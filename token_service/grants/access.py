"""Hands out access tokens, fresh ones where that is due; a refresh token never leaves from here."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from schemas.connections import AccessToken, Authorizations
from services.errors import NeedsPerson, TryLater
from token_service.audit import Audit, Entry
from token_service.grants.deciding import (
    AwaitOther,
    Grant,
    Lost,
    Renew,
    SettleLost,
    Step,
    TooSoon,
    TryToOpen,
    UseStored,
    next_step,
)
from token_service.grants.refresh import Refresher
from token_service.grants.seal import SealBroken
from token_service.grants.store import GrantStore

POLL_S = 0.15
SETTLE_S = 0.02  # between the end of a refresh and the next look at its row
PATIENCE_S = 10.0
"""How long a caller waits for a refresh while the stored token would still serve."""
LONG_PATIENCE_S = 20.0
"""How long a caller waits for a refresh when the stored token is of no use."""


class NotAuthorized(NeedsPerson):
    """The person has never authorized, or has taken it back."""

    def __init__(self, user_id: str) -> None:
        super().__init__(
            f"user {user_id} has not authorized a Procore account; "
            "ask them to press Authorize in their Part3 settings, under Integrations",
            reason="not_authorized",
        )


class NeedsReauthorization(NeedsPerson):
    """The person authorized once, and Procore or we can no longer use it."""

    def __init__(self, user_id: str) -> None:
        super().__init__(
            f"Procore no longer honours the authorization of user {user_id}; "
            "ask them to press Authorize again in their Part3 settings, under Integrations",
            reason="needs_reauthorization",
        )


class AccessTokens:
    """Access tokens by Part3 user id. Every hand-out is in the audit before it leaves."""

    def __init__(
        self,
        store: GrantStore,
        refresher: Refresher,
        audit: Audit,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._audit = audit
        self._monotonic = monotonic
        self._clock = clock

    async def get(self, user_id: str, *, caller: str, rejected: str | None = None) -> AccessToken:
        """Return a usable access token.

        Args:
            user_id: whose, by Part3's id.
            caller: who asks, for the audit.
            rejected: SHA-256, hex, of an access token that Procore answered with 401.

        Raises:
            NotAuthorized: there is no grant.
            NeedsReauthorization: there is one that only the person can mend.
            TryLater: Procore or Postgres does not answer, and the stored token is of no use.
        """
        grant = await self.current(user_id, rejected=rejected)
        try:
            token = self._store.open_access(grant)
        except SealBroken as error:
            await self._refresher.flag_unreadable(grant, error)
            raise NeedsReauthorization(user_id) from error
        await self._audit.write(
            Entry(
                event="token.handed_out",
                actor=caller,
                user_id=user_id,
                detail={"version": grant.version, "fingerprint": grant.access_fingerprint[:12]},
            )
        )
        return AccessToken(
            access_token=token.reveal(),
            expires_at=grant.expires_at,
            procore_user_id=grant.procore_user_id,
        )

    async def note_refusal(self, user_id: str, *, caller: str) -> None:
        """Note in the audit that a caller was refused a person's token. Raises TryLater."""
        entry = Entry(event="token.refused", actor=caller, user_id=user_id)
        await self._audit.write(entry)

    async def authorized_among(self, user_ids: Sequence[str]) -> Authorizations:
        """Return which of these people have a working authorization, oldest first."""
        return Authorizations(items=tuple(await self._store.authorized_among(user_ids)))

    async def current(self, user_id: str, *, rejected: str | None = None) -> Grant:
        """Return the grant once its access token may be used. Raises as `get`."""
        started = self._monotonic()
        while True:
            grant = await self._store.read(user_id)
            if grant is None:
                if await self._store.revoked(user_id) is not None:
                    raise NeedsReauthorization(user_id)
                raise NotAuthorized(user_id)
            step = next_step(grant, rejected)
            if isinstance(step, UseStored):
                return grant
            waited_s = self._monotonic() - started
            serves = isinstance(step, Renew | AwaitOther) and step.stored_serves
            patience_s = (PATIENCE_S if serves else LONG_PATIENCE_S) - waited_s
            if patience_s <= 0:
                if serves:
                    return grant
                message = f"the refresh of user {user_id}'s access token takes long"
                raise TryLater(message, reason="procore_down")
            await self._go(grant, step, patience_s)

    async def _go(self, grant: Grant, step: Step, patience_s: float) -> None:
        """Take one step; the row is read again after it."""
        match step:
            case Renew():
                await self._refresher.renew(grant, last_try=step.last_try, patience_s=patience_s)
                await asyncio.sleep(SETTLE_S)
            case AwaitOther():
                await self._refresher.await_other(grant.user_id, min(POLL_S, patience_s))
            case SettleLost():
                await self._store.settle_lost(grant)
            case TooSoon():
                not_before = self._clock() + timedelta(seconds=step.wait_s)
                message = "Procore cannot be asked for a new access token now"
                raise TryLater(message, reason="procore_down", not_before=not_before)
            case TryToOpen():
                await self._try_to_open(grant)
            case Lost(newly=str(reason)):
                await self._refresher.mark_lost(grant, reason)
            case _:
                raise NeedsReauthorization(grant.user_id)

    async def _try_to_open(self, grant: Grant) -> None:
        if not self._store.opens(grant):
            raise NeedsReauthorization(grant.user_id)
        await self._store.unmark_unreadable(grant)
