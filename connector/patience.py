"""How long a command waits before it ends with 1: `--at-most`."""

from collections.abc import Callable
from typing import Any

import click


def at_most(default_s: float, words: str) -> Callable[[Any], Any]:
    """Return the option, given to the command as `at_most_s`, of 0 or more seconds.

    Args:
        default_s: unless it is said.
        words: its help: what is waited for, and what comes when the time is over.
    """
    return click.option(
        "--at-most",
        "at_most_s",
        default=default_s,
        show_default=True,
        type=click.FloatRange(0),
        help=words,
    )
