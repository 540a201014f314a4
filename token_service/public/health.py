"""One health word for a connected project, and the next step; decided from counts alone."""

from dataclasses import dataclass

from services.project_health import health_word
from token_service.public.progress import Standing
from token_service.public.wording import counted


@dataclass(frozen=True, slots=True)
class Health:
    """How a connected project is, in a word, a sentence and the one next step."""

    word: str
    tone: str  # good, info, warn
    words: str
    next_step: str = ""
    link: str = ""
    link_words: str = ""


def health_of(standing: Standing, activity_path: str, *, paused: bool = False) -> Health:
    """Say how a connected project is, worst thing first; the word is `connector status`'s too."""
    missing = sum(counts.files_missing for counts in standing.records.values())
    word = health_word(
        state="paused" if paused else "active",
        attention=False,  # what needs attention is shown instead of this
        backfilling=False,  # and so is a backfill
        removals_held=standing.removals_held,
        held=standing.returns_held,
        failing=standing.looks_failing,
        pending=standing.looks_due + missing + standing.returns_waiting,
    )
    shown = word.capitalize()
    if word == "paused":
        return Health(
            shown,
            "warn",
            standing.pauses.effect or "Nothing crosses in either direction for now.",
            standing.pauses.words
            or "Whoever runs the connector resumes it when the reason for the pause is gone.",
        )
    if word == "removals to confirm":
        return Health(
            shown,
            "warn",
            f"{counted(standing.removals_held, 'record')} went to Procore's recycle bin at once. "
            "None was marked as removed in Part3; everything else goes on.",
            "Restore them in Procore, or a General Contractor or the Prime Consultant confirms "
            "that they are meant to be removed.",
            activity_path.removesuffix("activity") + "completeness",
            "Look at the removals",
        )
    if word == "returns held":
        one = standing.returns_held == 1
        return Health(
            shown,
            "warn",
            f"{counted(standing.returns_held, 'return')} {'waits' if one else 'wait'} for a "
            "person. Everything else goes on.",
            standing.oldest_held_message or "See who can mend each one.",
            f"{activity_path}?held=1",
            "See the held return" if one else "See all held returns",
        )
    if standing.looks_failing:
        return Health(
            shown,
            "info",
            f"{counted(standing.looks_failing, 'record')} could not be read yet and "
            f"{'is' if standing.looks_failing == 1 else 'are'} tried again by "
            f"{'itself' if standing.looks_failing == 1 else 'themselves'}. "
            f"{standing.failing_message or ''}".strip(),
        )
    if word == "catching up":
        return Health(shown, "info", "Changes are on their way; nobody has to do anything.")
    return Health(shown, "good", "Both sides hold the same. Nobody has to do anything.")
