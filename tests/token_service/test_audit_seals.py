"""Threat 27: an audit that was changed shows it, also when its tables' owner did it."""

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest

from connector.auditing import Findings, examine
from services.audit_chain import BEGINNING, LINE_COLUMNS, chained
from services.postgres import Postgres
from services.settings import KeyRing
from tests.token_service.conftest import ring
from token_service.audit import Audit, Entry
from token_service.audit_seals import SETTLED_LINES, AuditSeals

pytestmark = pytest.mark.postgres
RING = ring("t1")
LINES_OF = f"SELECT {LINE_COLUMNS} FROM authority.audit WHERE id = ANY($1) ORDER BY id"  # noqa: S608 - constants
LINES = """
INSERT INTO authority.audit (at, event, actor)
SELECT now() - $2::interval, 'e', 'a' FROM generate_series(1, $1)
"""
OPEN = "ALTER TABLE authority.audit DISABLE TRIGGER audit_is_append_only"
SEALS_OPEN = "ALTER TABLE authority.audit_seals DISABLE TRIGGER audit_seals_are_append_only"


async def written(authority: Postgres, *actors: str) -> None:
    for actor in actors:
        await Audit(authority).write(Entry(event="e", actor=actor, user_id="anna", detail={"n": 1}))


async def sealed(authority: Postgres, keys: KeyRing = RING) -> None:
    await AuditSeals(authority, keys, settled_s=0.0).seal()


async def changed(authority: Postgres, *statements: str) -> Findings:
    """What is found after an owner of the tables ran some statements."""
    for statement in (OPEN, SEALS_OPEN, *statements):
        await authority.execute(statement)
    return await examine(authority, RING)


async def in_seals_of_two(authority: Postgres) -> None:
    await written(authority, "a", "b")
    await sealed(authority)
    await written(authority, "c", "d")
    await sealed(authority)


async def test_what_was_written_agrees_with_its_seals(authority: Postgres) -> None:
    await in_seals_of_two(authority)
    await written(authority, "e")
    found = await examine(authority, RING)
    assert (found.faults, found.lines, found.waiting) == ([], 4, 1)
    assert found.last is not None
    assert (found.last.number, found.last.lines) == (2, 2)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE authority.audit SET actor = 'x' WHERE id = 2",
        "UPDATE authority.audit SET detail = '{}' WHERE id = 2",
        "UPDATE authority.audit SET at = at - interval '1 second' WHERE id = 2",
        "UPDATE authority.audit SET user_id = NULL, project_id = 'anna' WHERE id = 2",
        "DELETE FROM authority.audit WHERE id = 1",
        "DELETE FROM authority.audit WHERE id = 2",
        "INSERT INTO authority.audit (id, event, actor) OVERRIDING SYSTEM VALUE VALUES (0, '', '')",
    ],
)
async def test_d27_a_line_that_was_changed_put_in_or_taken_out_is_found(
    authority: Postgres, statement: str
) -> None:
    await in_seals_of_two(authority)
    found = await changed(authority, statement)
    assert [fault.partition(":")[0] for fault in found.faults] == ["lines up to 2"]


async def test_d27_a_chain_that_was_computed_anew_is_not_ours(authority: Postgres) -> None:
    await in_seals_of_two(authority)
    await changed(authority, "UPDATE authority.audit SET actor = 'x' WHERE id = 2")
    chain = BEGINNING
    for number, ids in ((1, (1, 2)), (2, (3, 4))):
        lines = await authority.fetch(LINES_OF, ids)
        chain = chained(chain, [tuple(line.values()) for line in lines])
        await authority.execute(
            "UPDATE authority.audit_seals SET chain = $2 WHERE number = $1", number, chain
        )
    found = await examine(authority, RING)
    assert found.faults == [f"seal {n} was not made with the key 't1'" for n in (1, 2)]


async def test_d27_a_seal_with_numbers_that_no_seal_has_is_not_ours(authority: Postgres) -> None:
    await in_seals_of_two(authority)
    found = await changed(authority, "UPDATE authority.audit_seals SET up_to = -1 WHERE number = 1")
    assert "seal 1 was not made with the key 't1'" in found.faults


async def test_a_seal_that_is_gone_is_missed(authority: Postgres) -> None:
    await in_seals_of_two(authority)
    found = await changed(authority, "DELETE FROM authority.audit_seals WHERE number = 1")
    assert found.faults[0] == "seals 1 to 1 are gone"


async def test_seals_are_appended_only(authority: Postgres) -> None:
    await in_seals_of_two(authority)
    with pytest.raises(Exception, match="audit_seals is written once"):
        await authority.execute("DELETE FROM authority.audit_seals")


async def test_a_line_that_may_still_be_joined_by_another_waits(authority: Postgres) -> None:
    await written(authority, "a")
    await AuditSeals(authority, RING, settled_s=60.0).seal()
    assert await authority.fetchval("SELECT count(*) FROM authority.audit_seals") == 0


async def test_what_stands_behind_a_young_line_waits_with_it(authority: Postgres) -> None:
    await authority.execute(LINES, 2, timedelta(hours=1))
    await authority.execute(LINES, 1, timedelta(0))
    await authority.execute(LINES, 1, timedelta(hours=1))
    await AuditSeals(authority, RING, settled_s=60.0).seal()
    assert await covered(authority) == [2]


async def test_a_seal_reads_no_more_lines_than_it_covers(authority: Postgres) -> None:
    await authority.execute(LINES, 500, timedelta(hours=1))
    async with authority.transaction() as database:
        await database.execute("SET LOCAL enable_seqscan = off")  # as with a table of millions
        rows = await database.fetch(f"EXPLAIN (ANALYZE) {SETTLED_LINES}", 0, 60.0, 2)
    plan = "\n".join(row["QUERY PLAN"] for row in rows)
    read = re.findall(r"actual .*rows=(\d+)|Removed by Filter: (\d+)", plan)
    assert max(int(kept or removed) for kept, removed in read) == 2, plan


async def test_a_new_key_seals_at_once_so_that_the_old_one_may_go(authority: Postgres) -> None:
    await in_seals_of_two(authority)
    new = ring("t2")
    assert "not in TOKEN_ENCRYPTION_KEYS" in "".join((await examine(authority, new)).faults)
    await sealed(authority, KeyRing((*new.keys, *RING.keys)))
    assert (await examine(authority, new)).faults == []


async def test_two_replicas_seal_each_line_once(authority: Postgres) -> None:
    await written(authority, *"abc")
    await sealed(authority)
    await sealed(authority)
    assert await covered(authority) == [3]


async def test_what_waits_for_an_hour_is_told(authority: Postgres) -> None:
    await written(authority, "a")
    found = await changed(authority, "UPDATE authority.audit SET at = at - interval '2 hours'")
    assert found.faults == ["1 lines wait for a seal for over an hour: does a token service run?"]


async def covered(authority: Postgres) -> Sequence[int]:
    rows = await authority.fetch("SELECT lines FROM authority.audit_seals ORDER BY number")
    return [row["lines"] for row in rows]
