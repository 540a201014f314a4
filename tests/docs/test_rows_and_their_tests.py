"""Each row of the lists of bad inputs and threats names a test that exists."""

import re
from pathlib import Path

import pytest

from tests.docs.named_tests import ROOT, defined_tests, names_in, rows_of

PAGES = {"bad-inputs.md": 97, "threats.md": 28}
DEFINED = defined_tests()


@pytest.mark.parametrize(("page", "count"), PAGES.items())
def test_every_row_is_there_once(page: str, count: int) -> None:
    assert list(rows_of(page)) == [str(number) for number in range(1, count + 1)]


@pytest.mark.parametrize("page", PAGES)
def test_a_row_names_tests_that_exist(page: str) -> None:
    for number, cells in rows_of(page).items():
        named = names_in(cells[-1])
        assert named, f"row {number} of {page} names no test"
        assert named <= DEFINED, f"row {number} of {page}: {sorted(named - DEFINED)}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.name)
def test_no_page_names_a_test_that_is_not_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert names_in(text) <= DEFINED


def test_a_test_that_carries_a_rows_number_stands_in_that_row() -> None:
    numbered = defined_tests(but="sandbox")  # whose numbers are those of Procore's behaviours
    for page, letter in (("bad-inputs.md", "b"), ("threats.md", "d")):
        for number, cells in rows_of(page).items():
            wanted = {
                name for name in numbered if re.search(rf"(?:^test|_)_?{letter}{number}_", name)
            }
            ranged = {name for name in wanted if "_to_" in name}
            missing = wanted - ranged - names_in(" ".join(cells))
            assert not missing, f"row {number} of {page}: {sorted(missing)}"
