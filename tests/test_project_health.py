"""One word for how a project is, for its page and for operators."""

from typing import Any

import pytest

from services.project_health import health_word

WELL: dict[str, Any] = {
    "state": "active",
    "attention": False,
    "backfilling": False,
    "removals_held": 0,
    "held": 0,
    "failing": 0,
    "pending": 0,
}
LADDER: list[tuple[dict[str, Any], str]] = [
    ({}, "in step"),
    ({"pending": 1}, "catching up"),
    ({"failing": 1}, "catching up"),
    ({"held": 1}, "returns held"),
    ({"removals_held": 1}, "removals to confirm"),
    ({"backfilling": True}, "backfilling"),
    ({"attention": True}, "attention"),
    ({"state": "paused"}, "paused"),
    ({"state": "disconnected"}, "disconnected"),
]


@pytest.mark.parametrize("rung", range(len(LADDER)))
def test_the_worst_thing_gives_the_word(rung: int) -> None:
    figures = dict(WELL)
    for worse, _ in LADDER[: rung + 1]:
        figures |= worse
    assert health_word(**figures) == LADDER[rung][1]
