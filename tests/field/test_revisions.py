"""Revisions: which record each one supersedes. A record of its own each, never merged."""

from typing import Any

import pytest

from services.procore.reading import read_rfi, read_submittal
from sync_worker.inbound.revisions import Sibling, chain_of, misled, previous_of
from tests.field.sides import is_submittal, rfi, submittal

REV: dict[str, Any] = {"source_rfi_header_id": 1}

CASES: list[tuple[str, dict[str, Any], list[tuple[str, str]], str | None]] = [
    # what it is, in Procore, its chain as mirrored (id, revision), what it supersedes
    ("an RFI that is no revision", rfi(id=1, revision="0"), [("1", "0")], None),
    ("the first revision", rfi(id=2, revision="1", **REV), [("1", "0")], "1"),
    ("the second names the first of all", rfi(id=3, revision="2", **REV),
     [("1", "0"), ("2", "1")], "2"),
    ("the one between is not mirrored", rfi(id=3, revision="2", **REV), [("1", "0")], "1"),
    ("none before it is mirrored, it is the first", rfi(id=2, revision="1", **REV), [], "1"),
    ("none before it is mirrored, it is a later one", rfi(id=3, revision="2", **REV), [], None),
    ("a later one is not before it", rfi(id=2, revision="1", **REV),
     [("1", "0"), ("3", "2")], "1"),
    ("a submittal's revision", submittal(id=8, revision="1"), [("7", "0")], "7"),
    ("its third", submittal(id=9, revision="2"), [("7", "0"), ("8", "1")], "8"),
    ("Procore says so itself", submittal(id=9, revision="2", source_submittal_log_id=5),
     [("7", "0")], "5"),
    ("a copy by hand breaks the chain", submittal(id=9, revision="1"),
     [("7", "0"), ("8", "0")], None),
    ("a revision by letter is linked to nothing", submittal(id=9, revision="B"),
     [("7", "0")], None),
]  # fmt: skip


@pytest.mark.parametrize(("case", "procore", "chain", "previous"), CASES)
def test_a_revision_supersedes_the_one_before(
    case: str, procore: dict[str, Any], chain: list[tuple[str, str]], previous: str | None
) -> None:
    source = read_submittal(procore) if is_submittal(procore) else read_rfi(procore, full=True)
    assert previous_of(source, [Sibling(*one) for one in chain]) == previous, case


def test_the_same_number_in_another_section_is_another_chain() -> None:
    steel = read_submittal(submittal(specification_section={"label": "05 12 00"}))
    wood = read_submittal(submittal(specification_section={"label": "06 40 00"}))
    assert chain_of(steel) != chain_of(wood)
    assert chain_of(read_submittal(submittal(number="", formatted_number=""))) is None


def test_one_that_comes_late_is_named_by_the_next_from_then_on() -> None:
    chain = [Sibling("1", "0"), Sibling("3", "2", "1"), Sibling("4", "3", "3")]
    assert misled(Sibling("2", "1"), chain) == ("3",)
    assert misled(Sibling("5", "4"), chain) == ()
