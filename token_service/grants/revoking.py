"""The end of token pairs: Procore is told, by both tokens, before they are forgotten."""

import structlog

from services.errors import TryLater
from services.procore.oauth import TokenPair
from token_service.grants.deciding import Grant
from token_service.grants.homecoming import Revoker
from token_service.grants.seal import SealBroken
from token_service.grants.store import GrantStore

log = structlog.get_logger()


class Revoking:
    """Tells Procore that a pair is over."""

    def __init__(self, store: GrantStore, revoker: Revoker) -> None:
        self._store = store
        self._revoker = revoker

    async def end(self, grant: Grant) -> bool:
        """Revoke a stored grant's pair; False if it cannot be read any more.

        Both tokens are named, as an access token that has ended may stand for nothing any more.

        Raises:
            TryLater: Procore does not answer.
        """
        try:
            tokens = (self._store.open_refresh(grant), self._store.open_access(grant))
        except SealBroken as error:
            log.critical("grant.unreadable", user_id=grant.user_id, because=str(error))
            return False
        for token in tokens:
            await self._revoker.revoke(token)
        return True

    async def end_quietly(self, *pairs: TokenPair) -> None:
        """Revoke pairs that we do not keep, as far as Procore answers."""
        for pair in pairs:
            try:
                await self._revoker.revoke(pair.refresh_token)
                await self._revoker.revoke(pair.access_token)
            except TryLater as error:
                log.warning("grant.not_revoked", reason=error.reason)
