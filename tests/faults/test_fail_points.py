"""Fail points: nothing unless armed, and then what the plan says, at the arrival it names."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services import failpoints
from services.failpoints import Action, Broken, FailPoints, read_plan
from services.settings import BadSettings
from tests.faults.catalogue import SCENARIOS

ROOT = Path(__file__).parents[2]


def test_a_plan_names_points_actions_and_arrivals() -> None:
    plan = read_plan("w2=kill@2, g1=delay:1.5,l3=raise")
    assert plan == {
        "w2": Action("kill", 2),
        "g1": Action("delay:1.5", 1),
        "l3": Action("raise", 1),
    }


@pytest.mark.parametrize("text", ["w2", "w2=explode", "w2=kill@0", "w2=delay", "=kill"])
def test_a_plan_that_cannot_be_read_says_which_part(text: str) -> None:
    with pytest.raises(BadSettings, match=text.replace("=", "=")):
        read_plan(f"g1=kill,{text}")


def test_nothing_happens_at_a_point_unless_a_plan_is_set() -> None:
    assert not failpoints.arm({"FAILPOINTS": ""})
    failpoints.reach("w2")


def test_a_plan_strikes_at_its_arrival_and_once(tmp_path: Path) -> None:
    points = FailPoints(text="w2=raise@2", log=tmp_path / "reached")
    points.reach("w2")
    with pytest.raises(Broken, match="w2"):
        points.reach("w2")
    points.reach("w2")
    points.reach("w5")
    entries = [json.loads(line) for line in (tmp_path / "reached").read_text().splitlines()]
    assert [(one["point"], one["what"]) for one in entries] == [
        ("w2", "reached"),
        ("w2", "raise"),
        ("w5", "reached"),
    ]


def test_a_plan_in_a_file_is_followed_and_counts_anew_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "plan"
    points = FailPoints(file=file)
    points.reach("g1")
    file.write_text("g1=raise")
    with pytest.raises(Broken):
        points.reach("g1")
    file.unlink()
    points.reach("g1")


def test_a_kill_leaves_its_line_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "reached"
    code = f"""
from services import failpoints
failpoints.arm({{"FAILPOINTS": "w2=kill", "FAILPOINTS_LOG": {str(log)!r}}})
failpoints.reach("w2")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert json.loads(log.read_text().splitlines()[-1])["what"] == "kill"


def test_every_point_in_our_code_is_struck_by_a_scenario() -> None:
    """But for those that the test of a backfill reaches."""
    named: set[str] = set()
    for program in ("webhook_gateway", "sync_worker", "token_service", "services"):
        for path in (ROOT / program).rglob("*.py"):
            parts = path.read_text(encoding="utf-8").split('failpoints.reach("')[1:]
            named |= {part.partition('"')[0] for part in parts}
    struck = {must.split()[0] for one in SCENARIOS.values() for must in one.must if " " in must}
    assert named - struck == {"f3", "s1"}


def test_scenarios_speak_of_rows_that_the_matrix_has() -> None:
    assert {row for one in SCENARIOS.values() for row in one.rows} <= set(range(1, 57))
