"""What rules and dashboards ask for is exported, and no label can name a project or a person."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from services.metrics import Metrics
from sync_worker.measures import Measures
from tests.watching.exported import PROGRAMS, ROOT, declared, series

RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
BOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
NAMED = re.compile(r"\bconnector[_:][a-z0-9_:]+")
BUCKET = re.compile(r'connector_\w+_bucket\{le="[^"]+"\}')
ALLOWED_LABELS = frozenset(
    {
        "answer",
        "cause",
        "kind",
        "method",
        "observation",
        "outcome",
        "reason",
        "sender",
        "state",
        "topic",
        "verdict",
        "waiting_on",
        "work",
    }
)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def questions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for board in BOARDS:
        for panel in json.loads(board.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                yield f"{board.name}: {panel['title']}", target["expr"]


RECORDED = frozenset(rule["record"] for rule in rules() if "record" in rule)


@pytest.mark.parametrize(("where", "question"), list(questions()))
def test_a_question_asks_for_what_is_exported(where: str, question: str) -> None:
    named = frozenset(NAMED.findall(question))
    assert named, f"{where} asks for nothing of ours"
    assert named <= series() | RECORDED, where


def test_each_bucket_that_a_promise_counts_by_is_there() -> None:
    """A `le` that no histogram has would let a promise be kept, or broken, for ever."""
    metrics = Metrics()
    Measures(metrics, None)  # type: ignore[arg-type] # no database is read
    shown = metrics.render().decode()
    wanted = {found for _, question in questions() for found in BUCKET.findall(question)}
    assert 'connector_notice_age_seconds_bucket{le="30.0"}' in wanted
    for bucket in wanted:
        assert f"\n{bucket} " in shown


@pytest.mark.parametrize("name", sorted(declared()))
def test_a_metric_has_only_labels_that_name_no_one(name: str) -> None:
    _, labels = declared()[name]
    assert labels <= ALLOWED_LABELS


@pytest.mark.parametrize("program", PROGRAMS)
def test_only_one_module_makes_metrics(program: str) -> None:
    makers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / program).rglob("*.py")
        if "prometheus_client" in path.read_text(encoding="utf-8")
    }
    assert makers <= {"services/metrics.py"}


def test_the_declarations_were_found() -> None:
    assert declared()["connector_gateway_deliveries"] == (
        "counter",
        frozenset({"sender", "outcome"}),
    )
    assert declared()["connector_hooks"] == ("gauges", frozenset({"state"}))
    assert declared()["connector_notice_age_seconds"] == ("seconds", frozenset())
