"""What the token service does unasked: tidy up, keep grants warm, follow a key rotation."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from services.errors import NeedsPerson, TryLater
from token_service.connections.store import ConnectionStore
from token_service.grants.access import AccessTokens
from token_service.grants.incident import Revocations
from token_service.grants.people import Grants
from token_service.grants.store import GrantStore
from token_service.public.sessions import SessionStore

DAY_S = 86_400.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Duty:
    """Something done again and again; a failed round is made up for by the next one."""

    name: str
    every_s: float
    do: Callable[[], Awaitable[object]]


class Housekeeping:
    """Runs the duties of one replica. Each is harmless to do twice, at once or in turn."""

    def __init__(
        self,
        *,
        store: GrantStore,
        tokens: AccessTokens,
        grants: Grants,
        revocations: Revocations,
        connections: ConnectionStore,
        sessions: SessionStore,
        measure: Callable[[], Awaitable[object]],
        read_clock: Callable[[], Awaitable[object]],
        seal_audit: Callable[[], Awaitable[object]],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._grants = grants
        self._duties = (
            Duty("clock", 30.0, read_clock),
            Duty("measures", 15.0, measure),
            Duty("revocations", 5.0, revocations.tell_procore),
            Duty("connections", 15.0, connections.clean_up),
            Duty("unchosen_grants", 60.0, self.tidy_grants),
            Duty("ended_visits", 300.0, sessions.forget_ended),
            Duty("audit_seals", 60.0, seal_audit),
            Duty("seals", 300.0, self.seal_again),
            Duty("warm_grants", 900.0, self.keep_warm),
            Duty("journal", 3_600.0, store.forget_attempts),
        )

    async def run(self) -> None:
        """Do all duties until cancelled."""
        await keep_at(self._duties)

    async def tidy_grants(self) -> None:
        """Revoke the accounts that nobody chose in time."""
        await self._grants.end_unchosen()

    async def seal_again(self) -> None:
        """Bring every seal to the present key."""
        while done := await self._store.seal_again():
            log.info("grants.sealed_again", rows=done)

    async def keep_warm(self) -> None:
        """Refresh grants that nobody has used for a day: Procore may forget an idle one."""
        for user_id in await self._store.old_ones(DAY_S * random.uniform(0.9, 1.0)):  # noqa: S311 - spreads load
            try:
                await self._tokens.current(user_id)
            except NeedsPerson as error:
                log.info("grant.not_warmed", user_id=user_id, reason=error.reason)


async def keep_at(duties: Sequence[Duty]) -> None:
    """Do each duty at its own pace until cancelled: none waits for one that takes long."""
    async with asyncio.TaskGroup() as group:
        for duty in duties:
            _ = group.create_task(_again_and_again(duty), name=duty.name)


async def _again_and_again(duty: Duty) -> None:
    while True:
        try:
            await duty.do()
        except TryLater as error:
            log.warning("housekeeping.waits", duty=duty.name, reason=error.reason)
        except Exception as error:  # noqa: BLE001 - one broken duty must not end the others
            log.error("housekeeping.broke", duty=duty.name, error=type(error).__name__)  # noqa: TRY400 - as said
        await asyncio.sleep(duty.every_s * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load
