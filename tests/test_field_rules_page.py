"""`docs/field-rules.md` names for each rule tests that are there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "field-rules.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
RULES = 17


def rows_of(heading: str) -> dict[int, str]:
    """The last cell of each numbered row below a heading, by its number."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return {int(number): held_by for number, _, held_by in ROW.findall(section)}


def names_in(path: str) -> set[str]:
    """The names of a module's tests, read from its source."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_test_that_the_page_names_is_there() -> None:
    named = NAMED.findall(PAGE)
    assert len(named) > RULES
    missing = [f"{path}::{name}" for path, name in named if name not in names_in(path)]
    assert not missing, "renamed or gone; name what holds the line now"


def test_no_line_is_without_a_test() -> None:
    rows = rows_of("Rules of the field")
    assert list(rows) == list(range(1, RULES + 1))
    assert [number for number, held_by in rows.items() if not NAMED.search(held_by)] == []
