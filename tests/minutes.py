"""Minutes that tests make up, and who was charged with them."""

from typing import Any, Literal

import pytest

from services.metrics import Metrics
from services.postgres import Postgres

SLOW_S = 60.0
"""What a slow machine may add to minutes that were made up."""


def about(seconds: float) -> Any:
    """Return what equals so many seconds, and a slow machine's."""
    return pytest.approx(seconds, abs=SLOW_S)


async def ten_minutes_pass(
    postgres: Postgres, of: Literal["looks", "deliveries"], *, due_since_s: float = 600
) -> None:
    """Let each wait have begun ten minutes earlier, and be due again since so many seconds."""
    await postgres.execute(
        f"UPDATE mirror.{of} SET due_at = now(), minutes = minutes || jsonb_build_object("  # noqa: S608 - a table of ours
        "'since', (minutes->>'since')::timestamptz - interval '10 minutes', "
        "'until', (minutes->>'until')::timestamptz - make_interval(secs => $1::float8))",
        due_since_s,
    )


def shown(metrics: Metrics, name: str, **labels: str) -> float:
    """Return what a figure stands at; 0 where it is not there yet."""
    return metrics.registry.get_sample_value(name, labels) or 0.0


def charged_to(metrics: Metrics, work: Literal["look", "return"], waiting_on: str) -> float:
    """Return the seconds that this work waited for somebody, all together."""
    return shown(metrics, "connector_waited_seconds_total", work=work, waiting_on=waiting_on)
