"""How tests are shared out among processes."""

from hypothesis import given
from hypothesis import strategies as st

from tests.sharing_out import group_of, spread


def test_users_of_one_system_stay_together_whatever_their_file() -> None:
    assert group_of("tests/a.py", ["site", "fault_site"]) == group_of("tests/b.py", ["fault_site"])


def test_other_tests_stay_with_their_file() -> None:
    assert group_of("tests/a.py", ["database"]) == "tests/a.py"


def test_what_waits_is_spread_among_what_computes() -> None:
    queue = spread({"a": False, "b": False, "c": False, "d": False, "X": True, "Y": True})
    assert queue == ["X", "a", "b", "Y", "c", "d"]


@given(st.dictionaries(st.text(), st.booleans()))
def test_every_group_stands_in_the_queue_once(groups: dict[str, bool]) -> None:
    assert sorted(spread(groups)) == sorted(groups)
