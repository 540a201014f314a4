"""What the token service shows of grants and hooks on `/metrics`."""

import pytest

from services.errors import TryLater
from services.metrics import Metrics
from services.postgres import Postgres
from token_service.measures import Measures

pytestmark = pytest.mark.postgres

CONNECTION = """
INSERT INTO authority.connections (project_id, project_name, procore_company_id,
  procore_company_name, procore_project_id, procore_project_name, owner_user_id, owner_name,
  state, once, hook_state, updated_at)
VALUES ($1, 'Mill', '1', 'Builders', $1, 'Mill', 'u-1', 'Anna', $2, $1, $3, now())
"""
GRANT = """
INSERT INTO authority.grants (user_id, procore_user_id, procore_login, procore_name, state,
  reason, issuer,
  sealed_access, sealed_refresh, key_id, access_fingerprint, refresh_fingerprint, expires_in_s,
  expires_at)
VALUES ($1, $1, 'a@b.example', 'Anna', $2,
  CASE $2 WHEN 'authorized' THEN NULL ELSE 'revoked' END, 'login', '', '', 'k', $1, $1, 60, now())
"""


class Away:
    async def fetch(self, _question: str) -> list[object]:
        raise TryLater("PostgreSQL is away", reason="postgres_down")


def shown(metrics: Metrics, name: str, state: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"state": state})


async def test_grants_and_the_hooks_of_active_connections_are_shown_by_state(
    authority: Postgres,
) -> None:
    for number, state in enumerate(("authorized", "authorized", "needs_reauthorization")):
        await authority.execute(GRANT, str(number), state)
    for name, state, hook in (
        ("p1", "active", "ok"),
        ("p2", "active", "failed"),
        ("p3", "disconnected", "failed"),
    ):
        await authority.execute(CONNECTION, name, state, hook)
    metrics = Metrics()
    measures = Measures(metrics)
    assert shown(metrics, "connector_grants", "authorized") is None  # nothing is known yet
    await measures.read(authority)
    assert shown(metrics, "connector_grants", "authorized") == 2
    assert shown(metrics, "connector_grants", "needs_reauthorization") == 1
    assert shown(metrics, "connector_hooks", "failed") == 1
    assert shown(metrics, "connector_hooks", "ok") == 1
    assert shown(metrics, "connector_hooks", "unknown") == 0


async def test_nothing_is_shown_while_the_database_is_away(authority: Postgres) -> None:
    metrics = Metrics()
    measures = Measures(metrics)
    await measures.read(authority)
    assert shown(metrics, "connector_hooks", "ok") == 0
    with pytest.raises(TryLater):
        await measures.read(Away())  # type: ignore[arg-type] # all that is asked of it
    assert shown(metrics, "connector_hooks", "ok") is None
