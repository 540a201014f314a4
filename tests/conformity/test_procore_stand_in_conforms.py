"""The Procore stand-in answers nothing that Procore's contract does not allow."""

from collections import Counter
from pathlib import Path

import pytest

from sandbox.procore.app import build_app
from tests.conformity.asking import ask
from tests.conformity.contracts import contract, operations
from tests.conformity.procore_contract import ready
from tests.conformity.procore_world import Populated

FOR_PEOPLE = "/oauth/authorize"  # pages: tests/sandbox/procore/test_procore_oauth.py asks for them
ASKED = [
    (path, method) for path, method, _ in operations(contract("procore")) if path != FOR_PEOPLE
]


@pytest.mark.parametrize(("path", "method"), ASKED, ids=lambda part: str(part).removeprefix("/"))
def test_it_answers_only_what_the_contract_allows(tmp_path: Path, path: str, method: str) -> None:
    populated = Populated(tmp_path / "procore")
    try:
        answered = ask(
            ready(populated),
            build_app(populated.world),
            path,
            method,
            callers=populated.callers(),
            examples=12 if method == "get" else 20,
        )
    finally:
        populated.world.close()
    assert min(answered) < 300, f"no case got through: {Counter(answered)}"
