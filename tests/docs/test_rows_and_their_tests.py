"""Each row of the lists of promises, bad inputs, faults and threats names what holds it.

That is a test, a scenario of the fault laboratory, a make target or a page with rows of its own. A
row without any, or one that holds in part, says **Not held** and why.
"""

import fnmatch
import re
from pathlib import Path

import pytest

from tests.docs.named_tests import ROOT, defined_tests, names_in, rows_of
from tests.faults.catalogue import SCENARIOS

PAGES = {"bad-inputs.md": 97, "threats.md": 28}
PROMISES, FAULTS = 27, 56
ALL_ROWS = {
    **{page: [str(number) for number in range(1, rows + 1)] for page, rows in PAGES.items()},
    "reliability.md": [
        *(f"A{number}" for number in range(1, PROMISES + 1)),
        *(f"C{number}" for number in range(1, FAULTS + 1)),
    ],
}
EACH_ROW = [(page, number) for page, numbers in ALL_ROWS.items() for number in numbers]
DEFINED = defined_tests()
TARGETS = frozenset(
    re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
)
NOT_HELD = re.compile(r"\*\*not held(?: by us)?[:.]?\*\*[^|]{15,}", re.IGNORECASE)
NO_RESULT = "**no passing result** of "


def scenarios_in(text: str) -> frozenset[str]:
    """Return the scenarios that a text names, in backquotes, `…` standing for any rest."""
    found: set[str] = set()
    for name in re.findall(r"`([a-z0-9…-]*[-…][a-z0-9…-]*)`", text):
        matching = fnmatch.filter(SCENARIOS, name.replace("…", "*"))
        assert matching, f"there is no scenario {name}"
        found.update(matching)
    return frozenset(found)


@pytest.mark.parametrize("page", ALL_ROWS)
def test_every_row_is_there_once(page: str) -> None:
    assert list(rows_of(page)) == ALL_ROWS[page]


@pytest.mark.parametrize(("page", "number"), EACH_ROW, ids=str)
def test_a_row_names_what_holds_it_and_that_exists(page: str, number: str) -> None:
    cells = rows_of(page)[number]
    row = " | ".join(cells[1:])
    assert names_in(row) <= DEFINED
    targets = re.findall(r"`make ([a-z-]+)", row)
    assert set(targets) <= TARGETS
    scenarios = scenarios_in(row) if page == "reliability.md" else ()
    if not (names_in(row) or scenarios or targets or ".md)" in row):
        assert NOT_HELD.search(row), f"{page} {number} names nothing that holds it, and no reason"


@pytest.mark.parametrize("page", PAGES)
def test_a_row_names_tests_that_exist(page: str) -> None:
    for number, cells in rows_of(page).items():
        named = names_in(cells[-1])
        assert named, f"row {number} of {page} names no test"
        assert named <= DEFINED, f"row {number} of {page}: {sorted(named - DEFINED)}"


@pytest.mark.parametrize("number", range(1, FAULTS + 1))
def test_a_fault_names_each_scenario_that_plays_it(number: int) -> None:
    own = {one.name for one in SCENARIOS.values() if number in one.rows}
    assert own <= scenarios_in(rows_of("reliability.md")[f"C{number}"][2])


@pytest.mark.parametrize("number", range(1, FAULTS + 1))
def test_a_fault_says_which_of_its_scenarios_have_no_passing_result(number: int) -> None:
    _, _, held_by, result = rows_of("reliability.md")[f"C{number}"]
    figures = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").split("## Figures")[1]
    _, _, unheld = figures.partition("**No passing result is recorded** for ")
    without = scenarios_in(unheld.partition(". ")[0])
    said = scenarios_in(result.split(NO_RESULT)[1]) if NO_RESULT in result else frozenset()
    assert said == scenarios_in(held_by) & without
    assert result.startswith(("held", "in `make test`", "none")) or said


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.name)
def test_no_page_names_a_test_that_is_not_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert names_in(text) <= DEFINED
