"""The page of figures tells what `make bench` found, and nothing else."""

import json
import re
from typing import Any

import pytest

from bench.report import FOUND, PAGE, ROOT, filled


@pytest.fixture
def found() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(FOUND.read_text(encoding="utf-8"))
    return told


def test_the_tables_are_what_was_found(found: dict[str, Any]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, found) == page
    assert page.count("<!-- found: ") == page.count("<!-- end -->") == 8


def test_the_pictures_show_what_was_found(found: dict[str, Any]) -> None:
    at_64, fresh = found["ingest"]["connections_64"], found["freshness"]
    wanted = {
        "ingest": [round(at_64["gateway_per_s"]), round(at_64["floor_per_s"])],
        "freshness": [round(fresh["even"][of], 2) for of in ("p50_s", "p95_s", "p99_s")],
        "backfill": [],
    }
    for name, figures in wanted.items():
        path = f"images/performance-{name}.svg"
        assert f"({path})" in PAGE.read_text(encoding="utf-8")
        picture = (ROOT / "docs" / path).read_text(encoding="utf-8")
        shown = {text.replace(",", "") for text in re.findall(r">([0-9.,]+)</text>", picture)}
        assert {f"{figure:g}" for figure in figures} <= shown
        assert "<script" not in picture
