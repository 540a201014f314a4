"""Whoever sits at the terminal: is told, asked and has to agree to each write."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click


class Declined(Exception):  # noqa: N818 - says what happened
    """A write was not agreed to."""


class Person(Protocol):
    """Somebody who can be asked. The terminal is one; tests have another."""

    def say(self, words: str) -> None:
        """Show a line."""

    async def ask(self, question: str) -> str:
        """Return what is answered; empty when nobody answers."""

    async def choose(self, question: str, options: list[tuple[str, str]]) -> str:
        """Return the id of one of (id, name)."""

    async def agree(self, write: str) -> bool:
        """Tell whether a write may be made."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end a prompt: asyncio's own handler would only be heard once it is answered."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Terminal:
    """The person at the terminal.

    Args:
        yes_to_writes: every write is shown and made without a question.
        asks: whether there is somebody to ask; else questions stay unanswered.
    """

    def __init__(self, *, yes_to_writes: bool, asks: bool) -> None:
        self._yes_to_writes = yes_to_writes
        self._asks = asks
        self._for_all = False

    def say(self, words: str) -> None:
        """Show a line."""
        click.echo(words)

    async def ask(self, question: str) -> str:
        """Return what is typed; empty when there is nobody to ask."""
        if not self._asks:
            return ""
        with interruptible():
            told = click.prompt(question, default="", show_default=False, prompt_suffix=" ")
        return str(told).strip()

    async def choose(self, question: str, options: list[tuple[str, str]]) -> str:
        """Show numbered options and return the chosen one's id.

        Raises:
            click.ClickException: there are none, or several and nobody to choose.
        """
        if not options:
            raise click.ClickException(f"{question}: there is nothing to choose from")
        if not self._asks and len(options) > 1:
            listed = ", ".join(f"{name} ({one_id})" for one_id, name in options)
            raise click.ClickException(f"{question}: name one by its option, of {listed}")
        if not self._asks:
            return options[0][0]
        for number, (one_id, name) in enumerate(options, start=1):
            click.echo(f"  {number}  {name} ({one_id})")
        with interruptible():
            chosen = click.prompt(question, type=click.IntRange(1, len(options)), prompt_suffix=" ")
        return options[chosen - 1][0]

    async def agree(self, write: str) -> bool:
        """Show a write and ask for it: yes, no, or all that follow."""
        click.echo(f"WRITE  {write}")
        if self._yes_to_writes or self._for_all:
            return True
        if not self._asks:
            return False
        with interruptible():
            answer = click.prompt(
                "       make it?", type=click.Choice(["y", "n", "all"]), default="n"
            )
        self._for_all = answer == "all"
        return bool(answer != "n")
