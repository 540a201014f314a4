"""`connector rotate keys`: which keys are still needed, and which may be taken out."""

from collections.abc import Mapping
from dataclasses import dataclass

import click

from connector.reaching import ask_postgres
from services.postgres import Postgres
from services.settings import Reader, read_or_exit

SEALED_BY = """
SELECT key_id, count(*) AS uses FROM (
  SELECT key_id FROM authority.grants
  UNION ALL SELECT key_id FROM authority.pending_grants
  UNION ALL SELECT key_id FROM authority.revoked_grants WHERE due_at IS NOT NULL
) sealed GROUP BY key_id
"""
HOOKS_BY = """
SELECT hook_key_id AS key_id, count(*) AS uses FROM authority.connections
WHERE state IN ('active', 'paused') AND hook_key_id IS NOT NULL GROUP BY hook_key_id
"""


@dataclass(frozen=True, slots=True)
class Ring:
    """A ring of keys, and how many rows need each."""

    variable: str
    what: str
    key_ids: tuple[str, ...]
    uses: Mapping[str, int]

    @property
    def missing(self) -> list[str]:
        """Keys that rows need and the ring does not have."""
        return sorted(set(self.uses) - set(self.key_ids))

    def lines(self) -> list[str]:
        """Say of each key what stands on it and what may be done."""
        said = [f"{self.variable}"]
        for place, key_id in enumerate(self.key_ids):
            uses = self.uses.get(key_id, 0)
            if place == 0:
                verdict = "in use: it makes what is new"
            elif uses:
                verdict = "still needed"
            else:
                verdict = "nothing needs it: it may be taken out once every program has the first"
            said.append(f"  {key_id:<12} {uses:>6} {self.what}  {verdict}")
        said += [
            f"  {key_id:<12} {self.uses[key_id]:>6} {self.what}  NOT IN THE RING: put it back"
            for key_id in self.missing
        ]
        return said


@click.command()
def keys() -> None:
    """Say which keys of TOKEN_ENCRYPTION_KEYS and WEBHOOK_SECRET_KEYS are still needed.

    Changes nothing: grants are sealed again by the token service itself within minutes, hooks by
    `connector rotate hooks`. DATABASE_URL needs the token service's role, or that of whoever
    migrates. Ends with 1 when something needs a key that is not there.
    """
    sealing, hooking = read_or_exit(_key_ids)
    rings = ask_postgres(lambda postgres: _read(postgres, sealing, hooking))
    for ring in rings:
        click.echo("\n".join(ring.lines()))
    if any(ring.missing for ring in rings):
        raise SystemExit(1)


def _key_ids(reader: Reader) -> tuple[tuple[str, ...], tuple[str, ...]]:
    rings = (reader.key_ring("TOKEN_ENCRYPTION_KEYS"), reader.key_ring("WEBHOOK_SECRET_KEYS"))
    sealing, hooking = (tuple(key.id for key in ring.keys) for ring in rings)
    return sealing, hooking


async def _read(
    postgres: Postgres, sealing: tuple[str, ...], hooking: tuple[str, ...]
) -> tuple[Ring, Ring]:
    grants = {row["key_id"]: row["uses"] for row in await postgres.fetch(SEALED_BY)}
    hooks = {row["key_id"]: row["uses"] for row in await postgres.fetch(HOOKS_BY)}
    return (
        Ring("TOKEN_ENCRYPTION_KEYS", "grants", sealing, grants),
        Ring("WEBHOOK_SECRET_KEYS", "hooks", hooking, hooks),
    )
