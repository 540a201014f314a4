"""The Procore stand-in answers nothing that Procore's contract does not allow."""

from collections import Counter
from pathlib import Path

import jsonschema
import msgspec
import pytest

from sandbox.procore.app import build_app
from sandbox.procore.domain.events import Event, payload_of
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


@pytest.mark.parametrize(("version", "shape"), [("v2.0", "2"), ("v3.0", "3"), ("v4.0", "4")])
def test_every_event_has_the_shape_of_its_payload_version(
    tmp_path: Path, version: str, shape: str
) -> None:
    populated = Populated(tmp_path / "procore")
    try:
        rows = populated.world.store.rows("SELECT * FROM events")
        events = [msgspec.convert(row, Event, strict=False) for row in rows]
        payloads = [payload_of(populated.world, event, version) for event in events]
    finally:
        populated.world.close()
    assert {event.resource_name for event in events} == {"RFIs", "RFI Replies", "Submittals"}
    document = contract("procore")
    described = {"$ref": f"#/components/schemas/EventV{shape}", **document}
    for payload in payloads:
        jsonschema.validate(msgspec.to_builtins(payload), described)
