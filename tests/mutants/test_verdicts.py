"""A defect is noticed by what a test asserts, and by nothing else that may end it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.defect import ROOT
from tests.mutants.verdicts import ASSERTED, INTO, PASSED, STUMBLED, Verdict, read

TRIED = """
import time

import pytest

from services.errors import TryLater


def test_passes():
    pass


@pytest.mark.parametrize("number", [1, 2])
def test_asserts(number):
    assert number == 1


def test_expects_an_error():
    with pytest.raises(ValueError):
        pass


def test_does_not_expect_our_error():
    raise TryLater("away", reason="postgres_down")


def test_asserts_in_a_group():
    raise ExceptionGroup("both", [AssertionError("one")])


def test_stumbles_in_a_group():
    raise ExceptionGroup("both", [AssertionError("one"), KeyError("other")])


@pytest.mark.timeout(0.1)
def test_hangs():
    time.sleep(60)


def test_imports():
    import services.none_such


def test_names():
    none_such


@pytest.fixture
def broken():
    assert False


def test_cannot_be_set_up(broken):
    pass


def test_is_skipped():
    pytest.skip()
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    folder = tmp_path_factory.mktemp("tried")
    (folder / "test_tried.py").write_text(TRIED)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutants.verdicts", "test_tried.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), INTO: str(folder / "verdicts")},
        capture_output=True,
        check=False,
    )
    told = read(folder / "verdicts")
    return {name.rpartition("::test_")[2]: verdict for name, verdict in told.items()}


def test_each_end_has_its_verdict(found: dict[str, Verdict]) -> None:
    assert {name: verdict.how for name, verdict in found.items()} == {
        "passes": PASSED,
        "asserts": ASSERTED,
        "expects_an_error": ASSERTED,
        "does_not_expect_our_error": ASSERTED,
        "asserts_in_a_group": ASSERTED,
        "stumbles_in_a_group": STUMBLED,
        "hangs": STUMBLED,
        "imports": STUMBLED,
        "names": STUMBLED,
        "cannot_be_set_up": STUMBLED,
        "is_skipped": STUMBLED,
    }


def test_why_is_the_first_line_of_what_was_raised(found: dict[str, Verdict]) -> None:
    assert found["asserts"].why == "AssertionError: assert 2 == 1"
    assert found["hangs"].why.startswith("Failed: Timeout")


def test_what_wrote_nothing_has_no_verdicts(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == {}
