"""The metrics on calls to Procore, the same in every program that makes any."""

from collections.abc import Callable
from typing import TypeAlias

from services.metrics import Metrics
from services.procore.integration_health import OBSERVATIONS, IntegrationHealth

Observe: TypeAlias = Callable[[str, str, str, str | None, int], None]
"""Is told a call that was answered: method, path, whose grant ("" for none), the company it named
in its header, and the answer's status."""

API = "/rest/"


def unobserved(*_: object) -> None:
    """Count nothing."""


class CallMeasures:
    """Counts the calls of one program."""

    def __init__(self, metrics: Metrics) -> None:
        self._calls = metrics.counter(
            "connector_procore_calls",
            "Calls on Procore's API by method and class of answer.",
            {
                "method": ("GET", "POST", "PATCH", "DELETE"),
                "answer": ("2xx", "3xx", "4xx", "429", "5xx"),
            },
        )
        observed = metrics.counter(
            "connector_integration_health",
            "Calls that Procore's Integration Health counts against an app, by observation.",
            {"observation": OBSERVATIONS},
        )
        self._health = IntegrationHealth(observed.add)

    def note(self, method: str, path: str, whose: str, company_id: str | None, status: int) -> None:
        """Count a call; one on the login host or for a file's bytes is none on the API."""
        if path.startswith(API):
            self._calls.add(method, _class_of(status))
        self._health.note(method, path, whose, company_id, status)


def _class_of(status: int) -> str:
    return "429" if status == 429 else f"{status // 100}xx"  # noqa: PLR2004 - counted apart
