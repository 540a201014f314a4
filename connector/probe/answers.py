"""What was found so far, kept in a file after each answer so that a run can be resumed."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from connector.probe.unknowns import PARTS

Verdict = Literal["as_assumed", "different", "found", "unanswered"]
"""`found`: nothing definite was assumed. `unanswered`: `found` says why."""

STUCK = "not removed"
DELETED = "deleted"
ANSWERED = ("as_assumed", "different", "found")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one part, and the calls that showed it."""

    verdict: Verdict
    found: str
    evidence: tuple[str, ...] = ()


class Made(msgspec.Struct, kw_only=True):
    """Something that the probe made in Procore.

    Attributes:
        what: hook, rfi, submittal or upload.
        left: what became of it, empty while it is still to be removed.
    """

    what: str
    id: str
    words: str
    left: str = ""

    @property
    def is_stuck(self) -> bool:
        """Whether it should have been removed and could not be."""
        return self.left.startswith(STUCK)

    @property
    def is_there(self) -> bool:
        """Whether it is still to be removed."""
        return not self.left or self.is_stuck

    @property
    def is_deleted(self) -> bool:
        """Whether nothing of it remains, not even in a recycle bin."""
        return self.left == DELETED


class Kept(msgspec.Struct, kw_only=True):
    """The file of a run."""

    run: str
    company_id: str = ""
    company: str = ""
    project_id: str = ""
    project: str = ""
    began_at: str = ""
    answers: dict[str, Answer] = msgspec.field(default_factory=dict)
    made: list[Made] = msgspec.field(default_factory=list)
    writes: list[str] = msgspec.field(default_factory=list)


@dataclass
class Answers:
    """A run's answers, in memory and on disk. Holds no token and no secret."""

    path: Path
    kept: Kept

    def say(
        self,
        key: str,
        found: str,
        *,
        as_assumed: bool | None,
        evidence: tuple[str, ...] = (),
    ) -> None:
        """Note an answer; `as_assumed` None where nothing definite was assumed."""
        verdict: Verdict = (
            "found" if as_assumed is None else ("as_assumed" if as_assumed else "different")
        )
        self._note(key, Answer(verdict=verdict, found=found, evidence=evidence))

    def leave(self, key: str, why: str) -> None:
        """Note that a part could not be answered; an earlier answer stays."""
        if not self.has(key):
            self._note(key, Answer(verdict="unanswered", found=why))

    def forget_unanswered(self, keys: Iterable[str]) -> None:
        """Ask again what an earlier run left open."""
        for key in keys:
            if not self.has(key):
                self.kept.answers.pop(key, None)

    def has(self, key: str) -> bool:
        """Tell whether a part is answered."""
        known = self.kept.answers.get(key)
        return known is not None and known.verdict in ANSWERED

    def _note(self, key: str, answer: Answer) -> None:
        if key not in PARTS:
            raise KeyError(key)
        self.kept.answers[key] = answer
        self.save()

    def save(self) -> None:
        """Write the file whole or not at all, for nobody else's eyes."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self.kept)))
        beside.replace(self.path)


def read_answers(path: Path, *, run: str) -> Answers:
    """Read a run's file, or begin one.

    Raises:
        ValueError: the file is none of ours.
    """
    if not path.exists():
        return Answers(path, Kept(run=run))
    try:
        return Answers(path, msgspec.json.decode(path.read_bytes(), type=Kept))
    except msgspec.MsgspecError as error:
        message = f"{path} does not hold the answers of a probe ({error})"
        raise ValueError(message) from error
