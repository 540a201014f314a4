"""Each alert fires on what it is for, stays quiet on what it is not for, and names its runbook."""

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.promtool import promtool_path
from tests.watching.exported import ROOT

RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
KUBERNETES_RULES = (
    ROOT / "deploy" / "kubernetes" / "components" / "monitoring" / "prometheus-rules.yaml"
)
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
PARTS = ("What it means", "Whom it hurts", "What to look at", "What mends it")
HOUR = 60

Series = dict[str, str]
GATEWAY = "connector_gateway_waiting_records"
TOKENS = 'connector_access_token_requests_total{answer="handed_out"}'
WORKERS = "connector_consumer_partitions"
ALIVE: Series = dict.fromkeys((GATEWAY, TOKENS, WORKERS), f"1+0x{2 * HOUR}")


def acks(published: str, unavailable: str) -> Series:
    name = "connector_gateway_deliveries_total"
    return {
        f'{name}{{sender="procore",outcome="published"}}': published,
        f'{name}{{sender="procore",outcome="unavailable"}}': unavailable,
    }


def ages(soon: str, every: str) -> Series:
    name = "connector_notice_age_seconds"
    return {f'{name}_bucket{{le="30.0"}}': soon, f"{name}_count": every}


def ends(delivered: str, failed: str) -> Series:
    name = "connector_deliveries_total"
    return {f'{name}{{state="delivered"}}': delivered, f'{name}{{state="failed"}}': failed}


def steady(name: str, value: float) -> Series:
    return {name: f"{value}+0x{HOUR}"}


def jump(name: str, after: int) -> Series:
    return {name: f"0+0x10 {after}+0x50"}


def steps(**outcomes: str) -> Series:
    return {f'connector_looks_total{{outcome="{one}"}}': seen for one, seen in outcomes.items()}


DELIVERIES = "connector_gateway_deliveries_total"
REFRESHES = "connector_token_refreshes_total"
DEAD = 'connector_gateway_deliveries_total{sender="part3",outcome="dead_letter"}'
BOTH = {"GatewayAcksBurnFast", "GatewayAcksBurnSlow"}
# What is seen, at which minute, and exactly the alerts that fire then.
CASES: list[tuple[str, Series, int, set[str]]] = [
    ("all is well", ALIVE, 30, set()),
    ("5% unacknowledged", acks("0+95x60", "0+5x60"), 30, BOTH),
    ("1% unacknowledged leaks slowly", acks("0+99x60", "0+1x60"), 50, {"GatewayAcksBurnSlow"}),
    ("0.1% is the promise", acks("0+999x60", "0+1x60"), 50, set()),
    (
        "an outage that is over pages nobody any more",
        acks("0+95x90", "0+5x60 300+0x30"),
        70,
        {"GatewayAcksBurnSlow"},
    ),
    (
        "strangers are not our failures",
        {
            f"{DELIVERIES}{{sender='procore',outcome='unauthentic'}}": "0+900x60",
            **acks("0+10x60", "0+0x60"),
        },
        30,
        set(),
    ),
    ("20% late", ages("0+80x60", "0+100x60"), 30, {"FreshnessBurnFast", "FreshnessBurnSlow"}),
    ("8% late", ages("0+92x60", "0+100x60"), 50, {"FreshnessBurnSlow"}),
    ("1% late", ages("0+99x60", "0+100x60"), 50, set()),
    (
        "20% fail",
        ends("0+8x60", "0+2x60"),
        30,
        {
            "ReturnsDeliveredBurnFast",
            "ReturnsDeliveredBurnSlow",
        },
    ),
    ("8% fail", ends("0+92x60", "0+8x60"), 50, {"ReturnsDeliveredBurnSlow"}),
    ("1% fails", ends("0+99x60", "0+1x60"), 50, set()),
    ("no gateway", {GATEWAY: "_x60"}, 10, {"GatewayGone"}),
    ("no token service", {TOKENS: "_x60"}, 10, {"TokenServiceGone"}),
    ("no worker", {WORKERS: "_x60"}, 10, {"WorkersGone"}),
    ("far behind", steady("connector_consumer_lag_records", 1001), 20, {"IntakeBehind"}),
    ("a short peak", jump("connector_consumer_lag_records", 5000), 15, set()),
    ("another installation", steady("connector_foreign_workers", 1), 10, {"KafkaShared"}),
    ("nobody else", steady("connector_foreign_workers", 0), 10, set()),
    ("Kafka cannot be asked", steady("connector_foreign_workers", math.nan), 10, set()),
    ("an old sweep", steady("connector_sweep_age_seconds", 7201), 30, {"SweepBehind"}),
    ("a sweep of an hour ago", steady("connector_sweep_age_seconds", 3600), 30, set()),
    ("Procore away", steps(procore_down="0+1x60"), 40, {"SideAway"}),
    ("one look fails, others end", steps(procore_down="0+1x60", done="0+1x60"), 40, set()),
    ("a record that is refused", steps(procore_refused="0+1x60"), 40, set()),
    ("Part3 away for a moment", steps(part3_down="0+0x20 3+0x40", done="0+1x60"), 40, set()),
    ("overdue retries", steady("connector_retries_due", 101), 30, {"RetriesPileUp"}),
    ("some retries", steady("connector_retries_due", 100), 30, set()),
    (
        "an unclear return",
        steady('connector_held{reason="outcome_unknown"}', 1),
        30,
        {"ReturnUnclear"},
    ),
    (
        "a return held for its author",
        steady('connector_held{reason="not_your_turn"}', 9),
        30,
        set(),
    ),
    (
        "a doubled marker",
        jump('connector_marker_faults_total{verdict="doubled"}', 1),
        30,
        {"MarkerFault"},
    ),
    (
        "a marker mended long ago",
        {'connector_marker_faults_total{verdict="doubled"}': f"1+0x{HOUR}"},
        30,
        set(),
    ),
    ("a dead letter", jump(DEAD, 1), 30, {"DeadLetters"}),
    ("unclear refreshes", jump(f'{REFRESHES}{{answer="unknown"}}', 5), 20, {"RefreshUnclear"}),
    ("one unclear refresh", jump(f'{REFRESHES}{{answer="unknown"}}', 1), 20, set()),
    (
        "a token asked for too often",
        jump("connector_grants_asked_often_total", 1),
        12,
        {"GrantAskedOften"},
    ),
    ("refused grants", jump(f'{REFRESHES}{{answer="invalid_grant"}}', 5), 30, {"GrantsLost"}),
    ("one person left", jump(f'{REFRESHES}{{answer="invalid_grant"}}', 1), 30, set()),
    ("a failed hook", steady('connector_hooks{state="failed"}', 1), 40, {"HooksFailed"}),
    ("hooks in order", steady('connector_hooks{state="ok"}', 9), 40, set()),
    ("few calls left", steady("connector_procore_budget_left", 12), 30, {"BudgetLow"}),
    ("no call was made yet", {"connector_procore_budget_left": "Inf+0x60"}, 30, set()),
]


def as_promtool_reads(case: tuple[str, Series, int, set[str]]) -> dict[str, Any]:
    name, seen, minute, firing = case
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": one, "values": values} for one, values in (ALIVE | seen).items()
        ],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{one}"}}', "value": 1} for one in sorted(firing)
                ],
            }
        ],
    }


@pytest.fixture(scope="module")
def promtool() -> Path:
    path = promtool_path()
    if path is None:
        pytest.skip("no promtool here: install Prometheus, or run `make setup-browser` on Debian")
    return path


def run(promtool: Path, *arguments: str | Path) -> None:
    done = subprocess.run(
        [promtool, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_sound(promtool: Path) -> None:
    run(promtool, "check", "rules", RULES)


def test_alerts_fire_on_what_they_are_for_and_on_nothing_else(
    promtool: Path, tmp_path: Path
) -> None:
    told = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [as_promtool_reads(case) for case in CASES],
    }
    page = tmp_path / "cases.yaml"
    page.write_text(yaml.safe_dump(told), encoding="utf-8")
    run(promtool, "test", "rules", page)


def test_each_alert_has_a_case_in_which_it_fires() -> None:
    assert {alert for _, _, _, firing in CASES for alert in firing} == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_names_its_runbook_and_who_tells_whom_it_concerns(alert: str) -> None:
    notes = ALERTS[alert]["annotations"]
    assert notes["runbook"] == f"docs/runbooks/{alert}.md"
    assert notes["concerns"] == "connector status"
    page = (ROOT / notes["runbook"]).read_text(encoding="utf-8")
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == list(PARTS)
    assert page.count("\nconnector ") == 1  # one command that mends it, or says whom to ask


def test_no_runbook_is_left_of_an_alert_that_is_gone() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == set(ALERTS)


def test_kubernetes_has_the_same_rules() -> None:
    custom = yaml.safe_load(KUBERNETES_RULES.read_text(encoding="utf-8"))
    assert custom["spec"]["groups"] == GROUPS
