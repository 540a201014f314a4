"""How tests are shared out among processes."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.sharing_out import OF_THEIR_OWN, group_of, spread


def test_users_of_a_system_of_the_session_stay_together_whatever_their_file() -> None:
    one = "tests/stack/test_article_in_browser.py::test_a"
    assert group_of(one) == group_of("tests/stack/test_faults_grants.py::test_b[x::y]")


def test_other_tests_stay_with_their_file() -> None:
    assert group_of("tests/a.py::test_a[1]") == "tests/a.py"
    own = "tests/stack/test_faults_outages.py"
    assert group_of(f"{own}::test_a") == own


def test_what_waits_is_spread_among_what_computes() -> None:
    queue = spread({"a": False, "b": False, "c": False, "d": False, "X": True, "Y": True})
    assert queue == ["X", "a", "b", "Y", "c", "d"]


@given(st.dictionaries(st.text(), st.booleans()))
def test_every_group_stands_in_the_queue_once(groups: dict[str, bool]) -> None:
    assert sorted(spread(groups)) == sorted(groups)


def test_files_with_systems_of_their_own_exist() -> None:
    folder = Path(__file__).parent / "stack"
    assert all((folder / f"{name}.py").is_file() for name in OF_THEIR_OWN)
