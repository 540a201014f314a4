"""Tables of the documentation whose rows name the tests that hold them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEST_NAME = re.compile(r"`(test_[A-Za-z0-9_]+)`")
DEFINED = re.compile(r"^ *(?:async )?def (test_[A-Za-z0-9_]+)\(", re.MULTILINE)


def defined_tests() -> frozenset[str]:
    """Return the name of every test there is."""
    return frozenset(
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in DEFINED.findall(path.read_text(encoding="utf-8"))
    )


def names_in(text: str) -> frozenset[str]:
    """Return the tests that a text names, in backquotes."""
    return frozenset(TEST_NAME.findall(text))


def rows_of(page: str) -> dict[str, list[str]]:
    """Return the numbered rows of a page's tables, each as its cells, by their first cell."""
    rows: dict[str, list[str]] = {}
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("|") and re.fullmatch(r"[A-Z]?\d+", cells[0].strip()):
            rows[cells[0].strip()] = cells
    return rows
