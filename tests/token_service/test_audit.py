import asyncio

import pytest

from services.errors import TryLater
from services.postgres import Postgres
from token_service.audit import Audit, Entry

pytestmark = pytest.mark.postgres


async def test_what_is_written_can_be_neither_changed_nor_deleted(authority: Postgres) -> None:
    await Audit(authority).write(Entry(event="x", actor="user:1"))
    for change in (
        "UPDATE authority.audit SET actor = 'somebody else'",
        "DELETE FROM authority.audit",
        "TRUNCATE authority.audit",
    ):
        with pytest.raises(Exception, match="written once"):
            await authority.execute(change)
    assert await authority.fetchval("SELECT actor FROM authority.audit") == "user:1"


async def test_lines_of_many_are_committed_in_few_goes(
    authority: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = 0
    write = authority.executemany

    async def count(sql: str, rows: list[tuple[object, ...]]) -> None:
        nonlocal commits
        commits += 1
        await write(sql, rows)

    monkeypatch.setattr(authority, "executemany", count)
    audit = Audit(authority)
    await asyncio.gather(
        *(audit.write(Entry(event="e", actor="a", detail={"n": n})) for n in range(300))
    )
    assert await authority.fetchval("SELECT count(*) FROM authority.audit") == 300
    assert commits <= 4


async def test_a_line_that_cannot_be_written_is_told_to_whoever_waits(
    authority: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_sql: str, _rows: object) -> None:
        raise TryLater("Postgres is away", reason="postgres_down")

    audit = Audit(authority)
    with monkeypatch.context() as patch:
        patch.setattr(authority, "executemany", fail)
        with pytest.raises(TryLater):
            await audit.write(Entry(event="e", actor="a"))
    await audit.write(Entry(event="e", actor="a"))
    assert await authority.fetchval("SELECT count(*) FROM authority.audit") == 1
