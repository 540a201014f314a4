"""One health word a project, and the one next step; decided from counts alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Word = Literal[
    "in step", "catching up", "backfilling", "returns held", "attention", "paused", "disconnected"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFigures:
    """What the worker's tables say of one project. Counts are of rows, times aware UTC."""

    project_id: str
    state: str
    attention_message: str | None
    backfills_open: int
    sweeps_failing: int
    looks_due: int
    looks_failing: int
    failing_words: str | None
    records: int
    records_with_files_pending: int
    returns_held: int
    returns_waiting: int
    returns_delivered: int
    oldest_held_words: str | None
    last_sweep_at: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    """A word for the table, and what to do next (empty: nothing)."""

    word: Word
    next_step: str


def health_of(project: ProjectFigures) -> Health:  # noqa: PLR0911 - a ladder, one rung a word
    """Say how a project is, worst thing first."""
    if project.state == "disconnected":
        return Health("disconnected", "")
    if project.state == "paused":
        return Health("paused", "Resume it when the reason for the pause is gone.")
    if project.attention_message:
        return Health("attention", project.attention_message)
    failing = project.looks_failing or project.sweeps_failing
    retried = "Retried by itself; `connector doctor` names what is down." if failing else ""
    if project.backfills_open:
        return Health("backfilling", retried)
    if project.returns_held:
        return Health("returns held", project.oldest_held_words or "See the activity page.")
    if failing:
        return Health("catching up", retried)
    if project.looks_due or project.records_with_files_pending or project.returns_waiting:
        return Health("catching up", "")
    return Health("in step", "")
