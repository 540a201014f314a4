"""`make faults`: plays every scenario, or those that ONLY names; a line of figures at the end."""

import asyncio
import os
import sys
import time
from pathlib import Path

from deploy.local.runs import DATA_FOLDER
from tests.faults.catalogue import SCENARIOS
from tests.faults.lab import open_lab
from tests.faults.report import figures, write_report
from tests.faults.scenarios import Outcome, Scenario, play

LONGEST_LINE = 600
LONGEST_MINUTES = 55.0
"""No scenario is begun after this; what was left out is said, and the run did not hold."""


def chosen(only: str) -> list[Scenario]:
    """Return the scenarios whose names begin with one of these words; all of them for none."""
    words = only.replace(",", " ").split()
    return [one for name, one in SCENARIOS.items() if not words or any(map(name.startswith, words))]


async def main() -> int:
    """Play, report, and return the exit code: 0 only if everything held and was reached."""
    seed = int(os.environ.get("SEED") or time.time_ns() % 1_000_000)
    scenarios = chosen(os.environ.get("ONLY", ""))
    if not scenarios:
        sys.stderr.write(f"ONLY names none of these: {' '.join(SCENARIOS)}\n")
        return 2
    minutes = float(os.environ.get("MINUTES") or LONGEST_MINUTES)
    folder = DATA_FOLDER / "faults" / f"{time.strftime('%Y%m%d-%H%M%S')}-seed-{seed}"
    print(f"{len(scenarios)} scenarios, seed {seed}; history and report in {_shown(folder)}")
    began = time.monotonic()
    outcomes: list[Outcome] = []
    async with open_lab(folder) as lab:
        for one in scenarios:
            if time.monotonic() - began > minutes * 60:
                break
            outcome = await play(lab, one, seed)
            outcomes.append(outcome)
            _tell(outcome)
    left_out = [one.name for one in scenarios[len(outcomes) :]]
    write_report(folder / "report.md", outcomes, seed=seed, left_out=left_out)
    print(figures(outcomes, took_s=time.monotonic() - began, left_out=left_out))
    return 0 if not left_out and all(one.held for one in outcomes) else 1


def _tell(outcome: Outcome) -> None:
    word = "held" if outcome.held else "BROKEN" if outcome.wrong else "NOT REACHED"
    print(f"  {word:11} {outcome.scenario.name:32} {outcome.took_s:6.1f} s", flush=True)
    for line in [*outcome.wrong, *(f"never reached: {name}" for name in outcome.not_reached)]:
        print(f"              {line[:LONGEST_LINE]}", flush=True)


def _shown(folder: Path) -> str:
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
