"""What the token service counts."""

from services.metrics import Metrics

ANSWERS = (
    "handed_out",
    "not_authorized",
    "needs_reauthorization",
    "procore_down",
    "postgres_down",
)
REFRESH_ANSWERS = ("given", "invalid_grant", "not_sent", "not_processed", "unknown")


class Measures:
    """Counters with label values that are known beforehand."""

    def __init__(self, metrics: Metrics) -> None:
        self.access_tokens = metrics.counter(
            "connector_access_token_requests",
            "Requests for access tokens, by what came of them.",
            {"answer": ANSWERS},
        )
        self.refreshes = metrics.counter(
            "connector_token_refreshes",
            "Refresh tokens sent to Procore, by what its answer says about them.",
            {"answer": REFRESH_ANSWERS},
        )
