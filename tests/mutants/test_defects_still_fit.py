"""No defect runs here; `make mutants` runs them."""

import ast

from tests.mutants.defect import ROOT, names_a_test
from tests.mutants.table import DEFECTS


def test_each_defects_text_stands_once_in_its_module() -> None:
    for defect in DEFECTS:
        ast.parse(defect.changed((ROOT / defect.file).read_text()))


def test_each_defect_names_a_test_that_is_there() -> None:
    tests = {defect.test for defect in DEFECTS}
    assert [test for test in sorted(tests) if not names_a_test(test)] == []
    assert not names_a_test("tests/mutants/test_defects_still_fit.py::test_none_such")


def test_each_defect_stands_in_the_page_beside_what_notices_it() -> None:
    rows = {
        f"| `{defect.name}` | `{defect.file}` | {words_of(defect.test)} |" for defect in DEFECTS
    }
    page = (ROOT / "docs/mutants.md").read_text()
    assert {line for line in page.splitlines() if line.startswith("| `")} == rows


def words_of(test: str) -> str:
    return test.rpartition("::test_")[2].replace("_", " ")


def test_each_defect_has_a_name_of_its_own() -> None:
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) >= 30
