"""Which faults a history has, how often, and what becomes of one call."""

import random
from dataclasses import dataclass, fields, replace
from typing import Literal

Fate = Literal[
    "good", "slow", "refused", "lost", "late", "answer_lost", "half", "die_before", "die_after",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rates:
    """Chances from 0 to 1, for each call unless the name says otherwise."""

    slow: float = 0.05
    refused: float = 0.01
    lost: float = 0.01
    late: float = 0.01
    answer_lost: float = 0.01
    half: float = 0.005
    die: float = 0.0
    stale: float = 0.05  # of reads
    statement_lost: float = 0.0  # Postgres answers nothing, and has done nothing
    commit_lost: float = 0.0  # Postgres answers nothing, and has committed
    statement_die: float = 0.0
    statement_slow: float = 0.02
    statement_pause: float = 0.0  # the process stands still there, perhaps beyond its leases
    notice_lost: float = 0.05
    notice_doubled: float = 0.1
    restarts: float = 0.0  # of Postgres, in a whole history
    pauses: float = 0.0  # of workers, in a whole history
    refresh_trouble: float = 0.02


CALM = Rates(slow=0.0, refused=0.0, lost=0.0, late=0.0, answer_lost=0.0, half=0.0, stale=0.0)
PROFILES: dict[str, Rates] = {
    "mild": Rates(),
    "calls": Rates(
        slow=0.1, refused=0.05, lost=0.2, late=0.12, answer_lost=0.08, half=0.04,
    ),
    "stale": Rates(slow=0.2, stale=0.5, late=0.05),
    "crashes": Rates(die=0.02, statement_die=0.006, late=0.03),
    "postgres": Rates(statement_lost=0.01, commit_lost=0.01, statement_die=0.003, restarts=2.0),
    "overlap": Rates(
        pauses=3.0, slow=0.3, late=0.1, statement_slow=0.2, statement_die=0.001,
        statement_pause=0.012,
    ),
    "sleepers": Rates(slow=0.2, statement_slow=0.1, statement_pause=0.04, notice_doubled=0.3),
    "unheard": Rates(stale=0.5, answer_lost=0.12, half=0.08, late=0.08),
    "notices": Rates(notice_lost=0.5, notice_doubled=0.4, slow=0.1),
    "tokens": Rates(
        refresh_trouble=0.35, die=0.004, commit_lost=0.01, statement_lost=0.01,
        statement_die=0.008, restarts=2.0,
    ),
    "everything": Rates(
        slow=0.1, refused=0.03, lost=0.04, late=0.06, answer_lost=0.04, half=0.02, die=0.006,
        stale=0.2, statement_lost=0.004, commit_lost=0.004, statement_die=0.002,
        statement_slow=0.05, statement_pause=0.001, notice_lost=0.2, notice_doubled=0.2,
        restarts=1.0, pauses=1.5,
        refresh_trouble=0.15,
    ),
}  # fmt: skip


class Faults:
    """The dice of one history: all that is drawn comes from its seed, in the history's order."""

    def __init__(self, seed: int, profile: str | None = None) -> None:
        self.random = random.Random(seed)
        self.profile = profile or self.random.choice(sorted(PROFILES))
        self.rates = self._around(PROFILES[self.profile])
        self.over = False
        self._set_limits()

    def _around(self, rates: Rates) -> Rates:
        """Vary each rate, and leave some faults out: what is rare hides behind what is frequent."""
        varied = {
            one.name: getattr(rates, one.name) * self.random.choice((0.0, 0.5, 1.0, 1.0, 1.5))
            for one in fields(rates)
        }
        return replace(rates, **varied)

    def end(self) -> None:
        """From now on everything works."""
        self.over = True
        self.rates = replace(CALM, statement_slow=0.0, notice_lost=0.0, notice_doubled=0.0)
        self.rates = replace(self.rates, refresh_trouble=0.0)
        self._set_limits()

    def _set_limits(self) -> None:
        rates, fates = self.rates, []
        chances: tuple[tuple[Fate, float], ...] = (
            ("slow", rates.slow),
            ("refused", rates.refused),
            ("lost", rates.lost),
            ("late", rates.late),
            ("answer_lost", rates.answer_lost),
            ("half", rates.half),
            ("die_before", rates.die / 2),
            ("die_after", rates.die / 2),
        )
        limit = 0.0
        for fate, chance in chances:
            limit += chance
            fates.append((limit, fate))
        self._fates = fates
        self._any_call = limit
        self.any_statement = (
            rates.statement_lost
            + rates.commit_lost
            + rates.statement_die
            + rates.statement_slow
            + rates.statement_pause
        )

    def fate(self) -> Fate:
        """Return what becomes of one call."""
        if not self._any_call:
            return "good"
        roll = self.random.random()
        if roll >= self._any_call:
            return "good"
        return next(fate for limit, fate in self._fates if roll < limit)

    def chance(self, rate: float) -> bool:
        """Throw once."""
        return rate > 0 and self.random.random() < rate

    def between(self, low: float, high: float) -> float:
        """Return something in between."""
        return self.random.uniform(low, high)
