"""One health word a project, and the one next step; decided from counts alone."""

from dataclasses import dataclass
from datetime import datetime

from services.pauses import Pauses
from services.project_health import HealthWord, health_word


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
    removals_held: int
    returns_held: int
    returns_waiting: int
    returns_delivered: int
    oldest_held_words: str | None
    last_sweep_at: datetime | None
    pauses: Pauses
    hook_fault: str | None
    markers_wrong: int
    marker_words: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """A word for the table, and what to do next (empty: nothing)."""

    word: HealthWord
    next_step: str


def health_of(project: ProjectFigures) -> Health:
    """Say how a project is, in the words of its page, and what to do next."""
    failing = project.looks_failing + project.sweeps_failing
    word = health_word(
        state="paused" if _paused(project) else project.state,
        attention=bool(project.attention_message),
        backfilling=bool(project.backfills_open),
        removals_held=project.removals_held,
        held=project.returns_held,
        failing=failing,
        pending=project.looks_due + project.records_with_files_pending + project.returns_waiting,
    )
    steps = (_next_step(word, project, failing), *faults_of(project))
    return Health(word, " ".join(step for step in steps if step))


def faults_of(project: ProjectFigures) -> tuple[str, ...]:
    """Say what of a project's is broken beside its health: its hook, and returns in Procore."""
    if project.state != "active":
        return ()
    faults = []
    if project.hook_fault is not None:
        faults.append(f"Its webhook could not be compared or mended: {project.hook_fault}")
    if project.markers_wrong:
        faults.append(
            project.marker_words
            or f"{project.markers_wrong} returns do not stand in Procore exactly once."
        )
    return tuple(faults)


def _paused(project: ProjectFigures) -> bool:
    return project.state == "active" and project.pauses.first is not None


def _next_step(word: HealthWord, project: ProjectFigures, failing: int) -> str:
    if word == "paused":
        return project.pauses.sentence or "Resume it when the reason for the pause is gone."
    if word == "attention":
        return project.attention_message or ""
    if word == "removals to confirm":
        return (
            "A General Contractor or the Prime Consultant confirms them on the Completeness page."
        )
    if word == "returns held":
        return project.oldest_held_words or "See the activity page."
    if failing and word in ("backfilling", "catching up"):
        return "Retried by itself; `connector doctor` names what is down."
    return ""
