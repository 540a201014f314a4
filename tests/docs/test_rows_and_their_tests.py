"""Each row of the lists of bad inputs and threats names a test that exists."""

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
