"""Many seeds on all cores, and what they came to."""

import gc
import logging
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from simulation.counting import RARE
from simulation.world import run

SEEDS_A_TASK = 25
MOST_SHOWN = 10
ENOUGH_SEEDS = 10_000
"""So many histories take every rare branch; fewer may miss one by chance."""


@dataclass(frozen=True)
class Took:
    """What a batch took.

    Attributes:
        passed_s: by the clock on the wall.
        computed_s: of all processors together. Two that have nothing else to do need half of it.
    """

    passed_s: float
    computed_s: float


@dataclass
class Totals:
    """What a batch came to."""

    seeds: int = 0
    operations: int = 0
    effects: int = 0
    ambiguous: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)  # seed, what does not hold

    def add(self, other: "Totals") -> None:
        """Take another batch in."""
        self.seeds += other.seeds
        self.operations += other.operations
        self.effects += other.effects
        self.ambiguous += other.ambiguous
        self.counts.update(other.counts)
        self.broken += other.broken

    @property
    def never(self) -> list[str]:
        """Return the rare branches that no history took."""
        return [what for what in RARE if not self.counts[what]]

    def broken_by(self, name: str) -> int:
        """Return how many seeds broke an invariant."""
        return len({seed for seed, what in self.broken if what.startswith(name)})

    def words(self, took: Took) -> str:
        """Return the line of figures; on a busy machine, its processor seconds are what counts."""
        lost = self.broken_by("I1") + self.broken_by("I7")
        return (
            f"{self.seeds} seeds, {self.operations} operations, {self.effects} effects, "
            f"{self.ambiguous} ambiguous calls, lost {lost}, "
            f"doubled {self.broken_by('I2')}, other {self.others()}, {took.passed_s:.1f} s, "
            f"{self.seeds / max(took.passed_s, 0.001):.0f} seeds/s, "
            f"{took.computed_s:.0f} processor seconds"
        )

    def others(self) -> int:
        """Return how many seeds broke something else."""
        return len({seed for seed, what in self.broken if what[:2] not in ("I1", "I2", "I7")})


def quieten() -> None:
    """Keep the programs' logs out: a history tells its own story."""
    gc.disable()  # a history leaves cycles behind, which are collected between two of them
    gc.freeze()  # and what was imported is not looked through each time
    structlog.configure(
        processors=[_nowhere],
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        cache_logger_on_first_use=True,
    )


def _nowhere(_logger: Any, _method: str, _event: Any) -> Any:
    raise structlog.DropEvent


def run_some(seeds: Sequence[int]) -> Totals:
    """Run histories one after the other."""
    totals = Totals()
    for seed in seeds:
        if seed % 32 == 0:
            gc.collect()
        try:
            outcome = run(seed)
        except Exception as error:  # noqa: BLE001 - the seed must be told, whatever broke
            totals.seeds += 1
            totals.broken.append((seed, f"crash: {type(error).__name__}: {error}"))
            continue
        totals.seeds += 1
        totals.operations += outcome.operations
        totals.effects += outcome.effects
        totals.ambiguous += outcome.ambiguous
        totals.counts.update(outcome.history.counts)
        totals.counts[f"profile {outcome.profile}"] += 1
        totals.broken += [(seed, str(one)) for one in outcome.history.violations]
    return totals


def run_many(first: int, count: int, processes: int) -> Iterator[Totals]:
    """Run seeds on several cores; yield what each portion came to."""
    seeds = range(first, first + count)
    portions = [seeds[at : at + SEEDS_A_TASK] for at in range(0, count, SEEDS_A_TASK)]
    if processes == 1:
        quieten()
        yield from map(run_some, portions)
        return
    with multiprocessing.get_context("spawn").Pool(processes, initializer=quieten) as pool:
        yield from pool.imap(run_some, portions)


def totals_of(first: int, count: int, processes: int) -> tuple[Totals, Took]:
    """Run seeds and add them up; return what it took too."""
    began, before = time.monotonic(), _computed_s()
    totals = Totals()
    for portion in run_many(first, count, processes):
        totals.add(portion)
    return totals, Took(time.monotonic() - began, _computed_s() - before)


def _computed_s() -> float:
    """Return the processor seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])
