"""One health word a project, the same on its page and in `connector status`; worst thing first."""

from typing import Literal

HealthWord = Literal[
    "in step",
    "catching up",
    "backfilling",
    "returns held",
    "removals to confirm",
    "attention",
    "paused",
    "disconnected",
]


def health_word(  # noqa: PLR0911 - a ladder, one rung a word
    *,
    state: str,
    attention: bool,
    backfilling: bool,
    removals_held: int,
    held: int,
    failing: int,
    pending: int,
) -> HealthWord:
    """Say how a project is.

    Args:
        state: of its connection: active, paused or disconnected.
        attention: nothing is read until a person has mended something.
        backfilling: not everything has come over once.
        removals_held: records that went to the recycle bin in a burst that nobody confirmed.
        held: returns that wait for a person.
        failing: reads that failed for now and are tried again.
        pending: looks that are due, records without all files, and returns on their way.
    """
    if state == "disconnected":
        return "disconnected"
    if state == "paused":
        return "paused"
    if attention:
        return "attention"
    if backfilling:
        return "backfilling"
    if removals_held:
        return "removals to confirm"
    if held:
        return "returns held"
    if failing or pending:
        return "catching up"
    return "in step"
