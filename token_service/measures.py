"""What the token service counts."""

from services.metrics import Metrics

ANSWERS = (
    "handed_out",
    "not_authorized",
    "needs_reauthorization",
    "procore_down",
    "postgres_down",
)


class Measures:
    """Counters with label values that are known beforehand."""

    def __init__(self, metrics: Metrics) -> None:
        self.access_tokens = metrics.counter(
            "connector_access_token_requests",
            "Requests for access tokens, by what came of them.",
            {"answer": ANSWERS},
        )
