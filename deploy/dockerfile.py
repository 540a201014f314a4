"""Reads a Dockerfile and its `.dockerignore`, as far as ours go."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: `RUN`, `COPY`, … and the rest of its line, continued lines joined."""

    keyword: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The arguments, of the JSON form or the plain one."""
        if self.rest.startswith("["):
            words: list[str] = json.loads(self.rest)
            return words
        return shlex.split(self.rest)

    @property
    def is_json(self) -> bool:
        """Whether it is of the JSON form, which no shell sees."""
        return self.rest.startswith("[")


@dataclass(slots=True)
class Stage:
    """A stage: its name, what it begins from, and its steps in order."""

    name: str
    base: str
    steps: list[Step] = field(default_factory=list)

    def of(self, keyword: str) -> list[Step]:
        """Return the steps of one keyword."""
        return [step for step in self.steps if step.keyword == keyword]


def read_stages(text: str) -> dict[str, Stage]:
    """Return the stages by name, in order. Raises ValueError when one has no name."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for step in _steps(text):
        if step.keyword == "FROM":
            base, _, name = step.rest.partition(" AS ")
            if not name:
                message = f"a stage without a name: FROM {step.rest}"
                raise ValueError(message)
            stage = stages[name] = Stage(name, base)
        elif stage is not None:
            stage.steps.append(step)
    return stages


def line_of(stages: dict[str, Stage], target: str) -> list[Stage]:
    """Return the stages that `target` is made of, the first one first."""
    line = [stages[target]]
    while line[0].base in stages:
        line.insert(0, stages[line[0].base])
    return line


def _steps(text: str) -> Iterator[Step]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    for line in joined.splitlines():
        if line.strip():
            keyword, _, rest = line.strip().partition(" ")
            yield Step(keyword, rest.strip())


def in_context(ignore: str, path: str) -> bool:
    """Say whether a `.dockerignore` lets a file of that path through; the last rule that fits wins.

    A rule that fits a folder fits what is in it. `**/` stands for any folders, or none.
    """
    through = True
    for rule in filter(None, (line.strip() for line in ignore.splitlines())):
        if not rule.startswith("#") and _fits(rule.removeprefix("!"), path):
            through = rule.startswith("!")
    return through


def _fits(rule: str, path: str) -> bool:
    places = [PurePosixPath(path), *PurePosixPath(path).parents][:-1]
    if rule.startswith("**/"):
        return any(fnmatchcase(place.name, rule[3:]) for place in places)
    depth = len(PurePosixPath(rule).parts)
    return any(len(place.parts) == depth and fnmatchcase(str(place), rule) for place in places)


def context_files(root: Path, ignore: str, source: str) -> list[Path]:
    """Return the files that `COPY source` takes from the context at `root`, relative to it.

    Raises:
        FileNotFoundError: it would take none, so a build would fail.
    """
    here = root / source
    found = sorted(here.rglob("*")) if here.is_dir() else [here]
    files = [path.relative_to(root) for path in found if path.is_file()]
    let_through = [path for path in files if in_context(ignore, path.as_posix())]
    if not let_through:
        message = f"COPY {source}: the context has no such file; see .dockerignore"
        raise FileNotFoundError(message)
    return let_through
