"""What the tests of refreshing ask, and what they read in the database."""

import hashlib

from tests.token_service.conftest import Running
from token_service.grants.deciding import Grant
from token_service.grants.store import Lease


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def ask(running: Running, user_id: str = "anna", rejected: str | None = None) -> str:
    token = await running.services.tokens.get(user_id, caller="sync_worker", rejected=rejected)
    return token.access_token


async def state_of(running: Running, user_id: str = "anna") -> tuple[str, str | None]:
    row = await running.database.fetchrow(
        "SELECT state, reason FROM authority.grants WHERE user_id = $1", user_id
    )
    assert row is not None
    return row["state"], row["reason"]


async def outcomes(running: Running) -> list[str | None]:
    rows = await running.database.fetch(
        "SELECT outcome FROM authority.refresh_attempts ORDER BY attempt"
    )
    return [row["outcome"] for row in rows]


async def leased(running: Running) -> tuple[Grant, Lease]:
    """Return Anna's grant, and a lease to refresh it."""
    grant = await running.store.read("anna")
    assert grant is not None
    lease = await running.store.take_lease(grant, "x", 8, last_try=False)
    assert lease is not None
    return grant, lease
