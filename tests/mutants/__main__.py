"""Puts one defect after the other into a copy of the tree, and sees whether its test notices.

    python -m tests.mutants [--only NAME ...]

Ends with a line of figures, and with 1 unless every defect is caught.
"""

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.postgres import start_postgres
from deploy.local.runs import DATA_FOLDER, open_run
from deploy.local.servers import named_database
from tests.mutants.defect import ROOT, Defect, Stale, names_a_test
from tests.mutants.table import DEFECTS

LONGEST_S = 150.0
"""A defect may also show by a test that hangs; that one is ended by its own timeout first."""

BROKEN = re.compile(r"^(?:E\s+)?(ImportError|ModuleNotFoundError|SyntaxError|NameError)\b")


@dataclass(frozen=True, slots=True)
class Tried:
    """What a run of tests said: names that passed, and those that failed for a reason."""

    passed: frozenset[str]
    failed: dict[str, str]


def copied(into: Path) -> Path:
    """Copy what git knows or would know; what was downloaded is shared."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    (into / ".data").mkdir()
    (into / ".data/cache").symlink_to(DATA_FOLDER / "cache")
    return into


def tried(tree: Path, tests: Iterable[str], database: str) -> Tried:
    """Run some tests in a tree."""
    report = tree / ".data" / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": database,
    }
    names = list(tests)
    try:
        subprocess.run(
            [*command, f"--junitxml={report}", *names],
            cwd=tree,
            env=environment,
            capture_output=True,
            timeout=LONGEST_S * max(1, len(names) // 4),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Tried(frozenset(), dict.fromkeys((name_of(test) for test in names), "hangs"))
    return read(report) if report.exists() else Tried(frozenset(), {})


def read(report: Path) -> Tried:
    """Read pytest's report; a test with parameters passes if all of it does."""
    passed, failed, other = set(), {}, set()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it for us
        name = f"{case.get('classname')}::{str(case.get('name')).split('[')[0]}"
        failure = case.find("failure")
        if failure is not None:
            message = failure.get("message") or ""
            if BROKEN.match(message):
                other.add(name)
            else:
                failed[name] = message
        elif case.find("error") is not None or case.find("skipped") is not None:
            other.add(name)
        else:
            passed.add(name)
    return Tried(frozenset(passed - failed.keys() - other), failed)


def name_of(test: str) -> str:
    """Return `file::test` as pytest's report calls it."""
    file, *within, name = test.split("::")
    return f"{'.'.join((file.removesuffix('.py').replace('/', '.'), *within))}::{name}"


def outcome(tree: Path, defect: Defect, sound: Tried, database: str) -> str:
    """Return caught, missed or stale for one defect; the tree is left as it was."""
    module = tree / defect.file
    source = module.read_text()
    test = name_of(defect.test)
    try:
        changed = defect.changed(source)
    except Stale:
        return "stale"
    if test not in sound.passed:
        return "stale"
    module.write_text(changed)
    try:
        return "caught" if test in tried(tree, [defect.test], database).failed else "missed"
    finally:
        module.write_text(source)


def play(defects: list[Defect], tree: Path, database: str) -> int:
    """Try them all, a line each; return the exit code."""
    counts = {"caught": 0, "missed": 0, "stale": 0}
    # pytest runs nothing where one name is unknown to it
    tests = {defect.test for defect in defects if names_a_test(defect.test)}
    sound = tried(tree, sorted(tests), database)
    for defect in defects:
        word = outcome(tree, defect, sound, database)
        counts[word] += 1
        print(f"{word:7} {defect.name:42} {defect.test.rpartition('::test_')[2]}", flush=True)
    figures = ", ".join(f"{count} {word}" for word, count in counts.items())
    print(f"{len(defects)} defects, {figures}")
    return 0 if counts["caught"] == len(defects) else 1


async def main() -> int:
    """Copy the tree, start what the tests need once, and try the defects."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[])
    only = parser.parse_args().only
    unknown = set(only) - {defect.name for defect in DEFECTS}
    if unknown:
        parser.error(f"no such defect: {', '.join(sorted(unknown))}")
    chosen = [defect for defect in DEFECTS if not only or defect.name in only]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = copied(Path(folder))
        if named := named_database():
            return await asyncio.to_thread(play, chosen, tree, named)
        async with open_run(DATA_FOLDER) as run:
            postgres = await start_postgres(run)
            return await asyncio.to_thread(play, chosen, tree, postgres.url)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
