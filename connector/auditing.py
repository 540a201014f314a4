"""`connector audit`: whether the audit is what was written, line by line, as its seals say."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import click

from connector.reaching import ask_postgres
from services.audit_chain import BEGINNING, LINE_COLUMNS, AuditSeal, chained, was_made_by
from services.postgres import Postgres
from services.settings import KeyRing, Reader, read_or_exit

SEALS = """
SELECT number, up_to, lines, chain, key_id, code FROM authority.audit_seals
WHERE number > $1 ORDER BY number LIMIT 100
"""
LINES = f"""
SELECT {LINE_COLUMNS} FROM authority.audit WHERE id > $1 AND id <= $2 ORDER BY id
"""  # noqa: S608 - constants
WAITING = """
SELECT count(*) FILTER (WHERE at < now() - interval '1 hour') AS late, count(*) AS waiting
FROM authority.audit WHERE id > $1
"""
BEFORE_ALL = -(2**63)  # numbers begin at 1; a line that was put in need not


@dataclass(slots=True)
class Findings:
    """What was looked at, and what is wrong with it."""

    lines: int = 0
    waiting: int = 0
    last: AuditSeal | None = None
    faults: list[str] = field(default_factory=list)


@click.command()
def audit() -> None:
    """Check every line of the audit against the seals that the token service put on it.

    Names each range of lines that was changed, taken out or put in. DATABASE_URL needs the token
    service's role, or that of whoever migrates; TOKEN_ENCRYPTION_KEYS the key of the last seal. The
    last number and chain are in the token service's log too (audit.sealed): compare them, as seals
    cut off at the end leave nothing behind here. Ends with 1 when something is wrong.
    """
    ring = read_or_exit(_ring)
    found = ask_postgres(lambda postgres: examine(postgres, ring))
    for fault in found.faults:
        click.echo(fault)
    if found.last is not None:
        last = found.last
        click.echo(
            f"{found.lines} lines under {last.number} seals, {found.waiting} lines wait for one; "
            f"the last seal ends at line {last.up_to}, chain {last.chain.hex()}"
        )
    if found.faults:
        raise SystemExit(1)


def _ring(reader: Reader) -> KeyRing:
    return reader.key_ring("TOKEN_ENCRYPTION_KEYS", length=32)


async def examine(postgres: Postgres, ring: KeyRing) -> Findings:
    """Compute every chain anew and compare it with its seal. Raises TryLater."""
    found = Findings()
    async for seal in _seals(postgres):
        await _compare(postgres, ring, found, seal)
        found.last = seal
    waiting = await postgres.fetchrow(WAITING, found.last.up_to if found.last else BEFORE_ALL)
    if waiting is not None:
        found.waiting = waiting["waiting"]
        if waiting["late"]:
            found.faults.append(
                f"{waiting['late']} lines wait for a seal for over an hour: "
                "does a token service run?"
            )
    if found.last is not None and was_made_by(ring, found.last) is None:
        found.faults.append(
            f"the last seal is by the key {found.last.key_id!r}, which is not in "
            "TOKEN_ENCRYPTION_KEYS: nothing proves the chain"
        )
    return found


async def _seals(postgres: Postgres) -> AsyncIterator[AuditSeal]:
    number = 0
    while rows := await postgres.fetch(SEALS, number):
        for row in rows:
            yield AuditSeal(*row.values())
        number = rows[-1]["number"]


async def _compare(postgres: Postgres, ring: KeyRing, found: Findings, seal: AuditSeal) -> None:
    before = found.last
    after, chain = (before.up_to, before.chain) if before else (BEFORE_ALL, BEGINNING)
    number = before.number + 1 if before else 1
    if seal.number != number:
        found.faults.append(f"seals {number} to {seal.number - 1} are gone")
    lines = await postgres.fetch(LINES, after, seal.up_to)
    found.lines += len(lines)
    if chained(chain, (tuple(line.values()) for line in lines)) != seal.chain:
        found.faults.append(
            f"lines up to {seal.up_to}: {len(lines)} stand behind the last seal's, "
            f"{seal.lines} were sealed, and they are not the same"
        )
    if was_made_by(ring, seal) is False:
        found.faults.append(f"seal {seal.number} was not made with the key {seal.key_id!r}")
