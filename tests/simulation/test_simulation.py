"""Histories of faults from seeds: every invariant holds in each, and a seed is one history."""

import asyncio
import os
import subprocess
import sys

import pytest

from simulation.batch import run_some
from simulation.faults import PROFILES
from simulation.loop import TimeStandsStill, VirtualLoop
from simulation.world import run

ONCE_BROKEN = (10, 34, 42, 86, 153, 194, 240, 256, 339, 9_044)
"""Seeds that showed a fault once, in a program or in the simulation itself."""


def test_no_invariant_breaks_in_any_of_some_histories() -> None:
    totals = run_some(range(1, 121))
    assert totals.broken == []
    assert totals.effects > 50
    assert totals.ambiguous > 20


@pytest.mark.parametrize("seed", ONCE_BROKEN)
def test_a_seed_that_was_broken_once_holds(seed: int) -> None:
    assert run(seed).history.violations == []


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_kind_of_trouble_has_histories_of_its_own(profile: str) -> None:
    outcome = run(7, profile=profile)
    assert outcome.profile == profile
    assert outcome.history.violations == []


def test_a_seed_is_one_history_to_the_last_line_whatever_the_hashes_of_texts() -> None:
    def told(hash_seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "simulation", "--seed", "3", "--profile", "everything"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        )
        return done.stdout

    first = told("1")
    assert "worker" in first
    assert first == told("2")


def test_the_shortest_wait_takes_time() -> None:
    async def wait_at_40s() -> float:
        await asyncio.sleep(40.02)
        await asyncio.sleep(1e-15)  # 40.02 s and this are 40.02 s
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(wait_at_40s()) > 40.02


def test_a_program_that_never_waits_ends_its_history() -> None:
    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        spinning = runner.get_loop().create_task(spin())
        with pytest.raises(TimeStandsStill):
            runner.get_loop().run_forever()
        assert not spinning.done()
