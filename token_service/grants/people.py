"""What people see and decide of their own grants."""

import structlog

from services.errors import TryLater
from services.postgres import Postgres
from token_service.audit import Entry, write_entry
from token_service.grants.pending import PendingGrants
from token_service.grants.revoking import Revoking
from token_service.grants.store import GrantStore
from token_service.public.ports import EndedByOperators, GrantView, OtherAccount, Session
from token_service.visits import choice_key

REVOKE_TRIES = 3

log = structlog.get_logger()


class Grants:
    """People's authorizations. All methods raise TryLater while Postgres is away."""

    def __init__(
        self, database: Postgres, store: GrantStore, pending: PendingGrants, revoking: Revoking
    ) -> None:
        self._database = database
        self._store = store
        self._pending = pending
        self._revoking = revoking

    async def view(self, user_id: str) -> GrantView | None:
        """Return what people may know of a person's grant, or None."""
        grant = await self._store.read(user_id)
        if grant is None:
            return None
        return GrantView(
            state=grant.state,
            procore_user_id=grant.procore_user_id,
            procore_name=grant.procore_name,
            procore_login=grant.procore_login or None,
            authorized_at=grant.authorized_at,
        )

    async def ended(self, user_id: str) -> EndedByOperators | None:
        """Return when and why operators ended a person's grant, until they authorize again."""
        revoked = await self._store.revoked(user_id)
        return None if revoked is None else EndedByOperators(revoked.at, revoked.reason)

    async def revoke(self, user_id: str) -> None:
        """Tell Procore and forget; once more is harmless.

        A refresh under way ends by itself: its result finds no row, and is revoked too.

        Raises:
            TryLater: Procore or Postgres does not answer; the grant stays as it was.
        """
        for _ in range(REVOKE_TRIES):
            grant = await self._store.read(user_id)
            if grant is None:
                return
            told = await self._revoking.end(grant)
            entry = _entry("grant.revoked", user_id, grant.procore_user_id, procore_told=told)
            async with self._database.transaction() as database:
                gone = await self._store.delete(database, grant)
                if gone:
                    await write_entry(database, entry)
            if gone:
                log.info("grant.revoked", user_id=user_id)
                return
        message = f"the grant of user {user_id} keeps changing"
        raise TryLater(message, reason="postgres_busy")

    async def other_account(self, session: Session) -> OtherAccount | None:
        """Return the other Procore account that this visit came back with, or None."""
        key = choice_key(session.csrf_token)
        identity = await self._pending.read(session.user_id, key)
        return None if identity is None else OtherAccount(identity.name, identity.login or None)

    async def choose_account(self, session: Session, *, other: bool) -> str | None:
        """Take the other account, or keep the present one; the one not taken is revoked.

        Returns:
            Where the authorization was to lead, a path of ours; None when nothing was open.
        """
        user_id, key = session.user_id, choice_key(session.csrf_token)
        former = await self._store.read(user_id)
        async with self._database.transaction() as database:
            held = await self._pending.take(database, user_id, key)
            if held is None:
                return None
            if other:
                sealed = self._store.seal(user_id, held.pair, held.expires_at)
                await self._store.put(database, user_id, held.identity, sealed)
            event = "grant.account_switched" if other else "grant.account_kept"
            await write_entry(database, _entry(event, user_id, held.identity.procore_user_id))
        log.info(event, user_id=user_id)
        if not other:
            await self._revoking.end_quietly(held.pair)
        elif former is not None:
            try:
                await self._revoking.end(former)
            except TryLater as error:
                log.warning("grant.not_revoked", user_id=user_id, reason=error.reason)
        return held.return_to

    async def end_unchosen(self) -> None:
        """Revoke what nobody chose in time."""
        await self._revoking.end_quietly(*await self._pending.take_ended())


def _entry(event: str, user_id: str, procore_user_id: str, **more: bool) -> Entry:
    return Entry(
        event=event,
        actor=f"user:{user_id}",
        user_id=user_id,
        detail={"procore_user_id": procore_user_id, **more},
    )
