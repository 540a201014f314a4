"""Puts one defect after the other into a copy of the tree, and sees whether its test notices.

    python -m tests.mutants [--only NAME ...] [--why]

Ends with a line of figures, and with 1 unless every defect is caught.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from deploy.local.postgres import start_postgres
from deploy.local.runs import DATA_FOLDER, open_run
from deploy.local.servers import named_database
from tests.mutants import verdicts
from tests.mutants.defect import ROOT, Defect, Stale, names_a_test
from tests.mutants.table import DEFECTS
from tests.mutants.verdicts import ASSERTED, PASSED, Verdict

LONGEST_S = 300.0
"""A test that hangs with a defect in it is ended by its own timeout before this."""

OUTCOMES = ("caught", "missed", "stale", "broken")


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


def tried(tree: Path, tests: Iterable[str], database: str) -> Mapping[str, Verdict]:
    """Run some tests in a tree, and return how each of them ended that came to an end."""
    into = tree / ".data" / "verdicts.jsonl"
    into.unlink(missing_ok=True)
    names = list(tests)
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": database,
        verdicts.INTO: str(into),
    }
    plugins = ("-p", "no:cacheprovider", "-p", verdicts.__name__)
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *plugins, *names],
            cwd=tree,
            env=environment,
            capture_output=True,
            timeout=LONGEST_S * max(1, len(names) // 4),
            check=False,
        )
    return verdicts.read(into)


def outcome(
    tree: Path, defect: Defect, sound: Mapping[str, Verdict], database: str
) -> tuple[str, str]:
    """Return one of `OUTCOMES` for one defect, and why; the tree is left as it was."""
    module = tree / defect.file
    source = module.read_text()
    before = sound.get(defect.test)
    if before is None or before.how != PASSED:
        return "stale", f"without the defect: {before.why if before else 'did not run'}"
    try:
        changed = defect.changed(source)
    except Stale as stale:
        return "stale", str(stale)
    module.write_text(changed)
    try:
        verdict = tried(tree, [defect.test], database).get(defect.test)
    finally:
        module.write_text(source)
    if verdict is None:
        return "broken", "its test was not collected, or came to no end"
    if verdict.how == PASSED:
        return "missed", ""
    return "caught" if verdict.how == ASSERTED else "broken", verdict.why


def play(defects: list[Defect], tree: Path, database: str, *, why: bool) -> int:
    """Try them all, a line each; return the exit code."""
    counts = dict.fromkeys(OUTCOMES, 0)
    # pytest runs nothing where one name is unknown to it
    tests = {defect.test for defect in defects if names_a_test(defect.test)}
    sound = tried(tree, sorted(tests), database)
    for defect in defects:
        word, reason = outcome(tree, defect, sound, database)
        counts[word] += 1
        print(f"{word:7} {defect.name:42} {defect.test.rpartition('::test_')[2]}", flush=True)
        if reason and (why or word != "caught"):
            print(f"        {reason}", flush=True)
    figures = ", ".join(f"{count} {word}" for word, count in counts.items())
    print(f"{len(defects)} defects, {figures}")
    return 0 if counts["caught"] == len(defects) else 1


async def main() -> int:
    """Copy the tree, start what the tests need once, and try the defects."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[])
    parser.add_argument("--why", action="store_true", help="say what each test asserted")
    asked = parser.parse_args()
    unknown = set(asked.only) - {defect.name for defect in DEFECTS}
    if unknown:
        parser.error(f"no such defect: {', '.join(sorted(unknown))}")
    chosen = [defect for defect in DEFECTS if not asked.only or defect.name in asked.only]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = copied(Path(folder))
        if named := named_database():
            return await asyncio.to_thread(play, chosen, tree, named, why=asked.why)
        async with open_run(DATA_FOLDER) as run:
            postgres = await start_postgres(run)
            return await asyncio.to_thread(play, chosen, tree, postgres.url, why=asked.why)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
