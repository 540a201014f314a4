"""`connector rotate keys` on a real PostgreSQL: which keys rows still need."""

import asyncpg
import pytest

from tests.operators.running import KEY, connector

pytestmark = pytest.mark.postgres
GRANT = """
INSERT INTO authority.grants (user_id, procore_user_id, procore_login, procore_name, state, issuer,
  sealed_access, sealed_refresh, key_id, access_fingerprint, refresh_fingerprint, expires_in_s,
  expires_at)
VALUES ($1, '1', 'l', 'n', 'authorized', 'i', '', '', $2, '', '', 1, now())
"""
CONNECTION = """
INSERT INTO authority.connections (project_id, project_name, procore_company_id,
  procore_company_name, procore_project_id, procore_project_name, owner_user_id, owner_name, state,
  once, hook_key_id)
VALUES ('p', 'p', '1', 'c', '2', 'p', 'u', 'o', 'active', 'x', 'w1')
"""


async def test_it_says_which_keys_are_needed_and_which_may_go(database: str) -> None:
    environment = {
        "DATABASE_URL": database,
        "TOKEN_ENCRYPTION_KEYS": f"t3:{KEY},t2:{KEY},t1:{KEY}",
        "WEBHOOK_SECRET_KEYS": f"w2:{KEY},w1:{KEY}",
    }
    assert (await connector("migrate", environment=environment)).code == 0
    rows = await asyncpg.connect(database)
    await rows.execute(GRANT, "anna", "t2")
    await rows.execute(GRANT, "ben", "t3")
    await rows.execute(CONNECTION)
    ended = await connector("rotate", "keys", environment=environment)
    assert ended.code == 0, ended.said
    said = {line.split()[0]: line for line in ended.out.splitlines()}
    assert "1 grants  in use" in said["t3"]
    assert "1 grants  still needed" in said["t2"]
    assert "0 grants  nothing needs it" in said["t1"]
    assert "0 hooks  in use" in said["w2"]
    assert "1 hooks  still needed" in said["w1"]

    await rows.execute(GRANT, "carla", "lost")
    await rows.close()
    ended = await connector("rotate", "keys", environment=environment)
    assert ended.code == 1
    assert "lost" in ended.out
    assert "NOT IN THE RING" in ended.out
