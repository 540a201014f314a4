"""What the tests of refreshing ask, and what they read in the database."""

import hashlib

from tests.token_service.conftest import Running


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
