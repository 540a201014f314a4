"""How the story is told on the terminal: what happened, where to look, how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


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
        self.console.print(Padding(Text(step.happened), (0, 0, 0, 3)))
        if step.where:
            # never broken into two lines: it is there to be clicked or copied
            self.console.print(
                f"   [dim]look at[/] [link={step.where}]{step.where}[/link]", soft_wrap=True
            )
        self.console.print(f"   [dim]took {step.took_s:.1f} s[/]")

    def say(self, words: str) -> None:
        """Print a line between the steps."""
        self.console.print(words, markup=False, soft_wrap=True)

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

    def places(self, heading: str, places: dict[str, str]) -> None:
        """Print addresses by what is there, one a line, never broken into two."""
        self.console.print(f"\n{heading}", style="italic")
        width = max(map(len, places)) + 2
        for what, url in places.items():
            self.console.print(f"  {what:{width}}[link={url}]{url}[/link]", soft_wrap=True)

    def people(self, heading: str, people: list[tuple[str, str, str]]) -> None:
        """Print who can log in: name, e-mail address (whole, to be copied) and who it is."""
        table = Table(title=heading, title_justify="left")
        table.add_column("name", no_wrap=True)
        table.add_column("e-mail", no_wrap=True)
        table.add_column("who")
        for person in people:
            table.add_row(*person)
        self.console.print()
        self.console.print(table)
