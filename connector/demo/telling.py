"""How the story is told on the terminal: what happened, where to look, how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(slots=True)
class Step:
    """One step of the story, filled while it is played."""

    title: str
    happened: str = ""
    where: str = ""
    took_s: float = 0.0


@dataclass(slots=True)
class Teller:
    """Prints each step as it ends and all of them as a table."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Time a step; print it with what its body filled in."""
        step = Step(title)
        number = len(self.steps) + 1
        self.console.print(f"\n[bold]{number}. {title}[/]")
        began = time.monotonic()
        yield step
        step.took_s = time.monotonic() - began
        self.steps.append(step)
        self.console.print(f"   {step.happened}", markup=False)
        if step.where:
            self.console.print(f"   [dim]look at[/] [link={step.where}]{step.where}[/link]")
        self.console.print(f"   [dim]took {step.took_s:.1f} s[/]")

    def say(self, words: str) -> None:
        """Print a line between the steps."""
        self.console.print(words, markup=False)

    def table(self) -> None:
        """Print every step in one table."""
        table = Table(title="What happened", title_justify="left")
        table.add_column("step")
        table.add_column("what happened", overflow="fold")
        table.add_column("took", justify="right", no_wrap=True)
        for step in self.steps:
            table.add_row(step.title, step.happened, f"{step.took_s:.1f} s")
        self.console.print()
        self.console.print(table)
