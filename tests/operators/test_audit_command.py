"""`connector audit` on a real PostgreSQL."""

import base64

import pytest

from services.postgres import open_postgres
from services.settings import Key, KeyRing
from tests.operators.running import KEY, connector
from token_service.audit import Audit, Entry
from token_service.audit_seals import AuditSeals

pytestmark = pytest.mark.postgres
RING = KeyRing((Key("t1", base64.b64decode(KEY)),))


async def test_d27_an_operator_is_told_whether_the_audit_is_what_was_written(database: str) -> None:
    environment = {"DATABASE_URL": database, "TOKEN_ENCRYPTION_KEYS": f"t1:{KEY}"}
    assert (await connector("migrate", environment=environment)).code == 0
    async with open_postgres(database, max_size=1) as postgres:
        await Audit(postgres).write(Entry(event="e", actor="user:anna"))
        await AuditSeals(postgres, RING, settled_s=0.0).seal()
        ended = await connector("audit", environment=environment)
        assert (ended.code, ended.out[:21]) == (0, "1 lines under 1 seals"), ended.said

        await postgres.execute("ALTER TABLE authority.audit DISABLE TRIGGER audit_is_append_only")
        await postgres.execute("UPDATE authority.audit SET actor = 'user:ben'")
        ended = await connector("audit", environment=environment)
        assert ended.code == 1
        assert "lines up to 1" in ended.out
