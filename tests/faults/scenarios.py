"""What a scenario is, how one is played, and which there are."""

import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from tests.faults.checker import check, until_quiet
from tests.faults.lab import Lab
from tests.faults.offsets import Offsets
from tests.faults.workload import Work

Play = Callable[[Work], Awaitable[None]]

ORDERED = "a test ordered a fault"
"""Stands in the log line of each fault that a fail point raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Something that goes wrong, and what must have happened for it to count.

    Attributes:
        name: what it is chosen by.
        rows: of the fault matrix, in docs/reliability.md.
        play: does it; what it leaves broken is mended afterwards.
        must: counters that have to grow, else the rare branch was not reached.
        allows: parts of log lines that are no faults of ours here.
        short: whether `make test` plays it too.
    """

    name: str
    rows: tuple[int, ...]
    play: Play
    must: tuple[str, ...] = ()
    allows: tuple[str, ...] = ()
    short: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a scenario went."""

    scenario: Scenario
    took_s: float
    wrong: list[str] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)
    reached: dict[str, int] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    records: int = 0
    returns: int = 0

    @property
    def held(self) -> bool:
        """Whether it counts and every invariant held."""
        return not self.wrong and not self.not_reached


SCENARIOS: dict[str, Scenario] = {}


def add(scenario: Scenario) -> None:
    """Put a scenario on the list."""
    if scenario.name in SCENARIOS:
        raise ValueError(f"there are two scenarios called {scenario.name}")
    SCENARIOS[scenario.name] = scenario


def scenario(
    *rows: int, must: Iterable[str] = (), allows: Iterable[str] = (), short: bool = False
) -> Callable[[Play], Play]:
    """Put a function on the list under its own name; see `Scenario` for the arguments."""

    def decorate(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        add(
            Scenario(
                name=name, rows=rows, play=play, must=tuple(must), allows=tuple(allows), short=short
            )
        )
        return play

    return decorate


async def play(lab: Lab, one: Scenario, seed: int) -> Outcome:
    """Play a scenario and check everything; whatever happens, the lab is whole afterwards."""
    began = time.monotonic()
    before = lab.reached.copy()
    offsets = Offsets(lab)
    work = Work(lab, random.Random(f"{seed} {one.name}"), offsets)
    lab.history.note("scenario", one.name, seed=seed, rows=one.rows)
    wrong: list[str] = []
    async with offsets.watched():
        try:
            await one.play(work)
        except Exception as error:  # noqa: BLE001 - the others are played all the same
            wrong.append(f"{type(error).__name__}: {error}")
        try:
            await lab.mend()
            await work.settled()
            await until_quiet(lab, offsets)
            wrong += await check(work, offsets)
        except Exception as error:  # noqa: BLE001
            wrong.append(f"{type(error).__name__}: {error}")
    for program in lab.stack.run.programs:
        _ = lab.struck_now(program)
    allowed = (ORDERED, *one.allows)
    wrong += [
        f"a fault of ours: {line}"
        for line in lab.count_logs()
        if not any(part in line for part in allowed)
    ]
    reached = {name: n - before[name] for name, n in lab.reached.items() if n > before[name]}
    outcome = Outcome(
        scenario=one,
        took_s=time.monotonic() - began,
        wrong=wrong,
        not_reached=[name for name in one.must if not reached.get(name)],
        reached=reached,
        figures=work.figures,
        records=len(work.items),
        returns=len(work.answers),
    )
    lab.history.note(
        "check", one.name, held=outcome.held, wrong=wrong, not_reached=outcome.not_reached
    )
    return outcome
