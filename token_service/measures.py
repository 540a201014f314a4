"""What the token service counts."""

from services.errors import TryLater
from services.metrics import Metrics
from services.postgres import Postgres

ANSWERS = (
    "handed_out",
    "not_authorized",
    "needs_reauthorization",
    "procore_down",
    "postgres_down",
)
REFRESH_ANSWERS = ("given", "invalid_grant", "not_sent", "not_processed", "unknown")
GRANT_STATES = ("authorized", "needs_reauthorization")
HOOK_STATES = ("unknown", "ok", "failed")
# Every state is there, with zero too: an alert on a state must see it end.
COUNT_GRANTS = "SELECT state, count(*) AS found FROM authority.grants GROUP BY 1"
COUNT_HOOKS = """
SELECT hook_state AS state, count(*) AS found FROM authority.connections
WHERE state = 'active' GROUP BY 1
"""

Standing = dict[tuple[str, ...], float]


class Measures:
    """What is counted as it happens, and what stands in the database as `read` last found it."""

    def __init__(self, metrics: Metrics) -> None:
        self._grants: Standing = {}
        self._hooks: Standing = {}
        metrics.gauges(
            "connector_grants",
            "People's authorizations by state; the same from every replica.",
            {"state": GRANT_STATES},
            lambda: self._grants,
        )
        metrics.gauges(
            "connector_hooks",
            "Hooks of active connections by state; the same from every replica.",
            {"state": HOOK_STATES},
            lambda: self._hooks,
        )
        self.access_tokens = metrics.counter(
            "connector_access_token_requests",
            "Requests for access tokens, by what came of them.",
            {"answer": ANSWERS},
        )
        self.asked_often = metrics.counter(
            "connector_grants_asked_often",
            "Persons whose access token was asked for oftener in a minute than workers need it.",
        )
        self.refreshes = metrics.counter(
            "connector_token_refreshes",
            "Refresh tokens sent to Procore, by what its answer says about them.",
            {"answer": REFRESH_ANSWERS},
        )

    async def read(self, database: Postgres) -> None:
        """Count what stands in the database; while it cannot be read, nothing is shown.

        Raises:
            TryLater: the database is away.
        """
        try:
            grants = await _counted(database, COUNT_GRANTS, GRANT_STATES)
            hooks = await _counted(database, COUNT_HOOKS, HOOK_STATES)
        except TryLater:
            self._grants, self._hooks = {}, {}
            raise
        self._grants, self._hooks = grants, hooks


async def _counted(database: Postgres, question: str, states: tuple[str, ...]) -> Standing:
    counts: Standing = {(state,): 0.0 for state in states}
    for row in await database.fetch(question):
        counts[row["state"],] = float(row["found"])
    return counts
