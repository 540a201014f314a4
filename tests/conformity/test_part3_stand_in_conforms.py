"""The Part3 stand-in answers nothing that Part3's contract does not allow.

The contract says of all errors that they are RFC 9457 problem details; so beside what it names of
an operation, any may answer the errors of HTTP itself in that shape.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from sandbox.part3.app import build_app
from sandbox.part3.authoring import one_chunk
from sandbox.part3.house import House
from sandbox.part3.seeding import Seed, seed
from sandbox.part3.wire import Record
from tests.conformity.asking import ask
from tests.conformity.contracts import (
    Document,
    also_answering,
    contract,
    knowing,
    knowing_in_bodies,
    operations,
)
from tests.sandbox.part3.conftest import MAYA, PROJECT, TOKEN, a_record, a_settings, events_of

ERRORS = (400, 401, 404, 409, 412, 413, 415, 422)
CONTENT = b"a plan"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CALLERS = [{"Authorization": f"Bearer {token}"} for token in (TOKEN, TOKEN, "made-up")]
ASKED = [(path, method) for path, method, _ in operations(contract("part3"))]
Furnished = tuple[Any, str]


@pytest.fixture
def part3(tmp_path: Path) -> Iterator[Furnished]:
    """The stand-in with a record, a file and a return in it, and that return's id."""
    app, house = build_app(a_settings(tmp_path))
    seed(house, Seed())
    try:
        yield app, asyncio.run(furnish(house))
    finally:
        house.store.close()


async def furnish(house: House) -> str:
    blob = await house.files.receive(one_chunk(CONTENT))
    _ = house.files.keep(PROJECT, blob, name="plan.pdf", by="api")
    for kind in ("rfi", "submittal"):
        _ = house.records.put(PROJECT, msgspec.convert(a_record(kind), Record))
    author = house.people.member(PROJECT, MAYA)
    assert author is not None
    made = house.returns.create(
        project_id=PROJECT,
        kind="rfi",
        procore_id="101",
        author=author,
        seen_content_version="cv-1",
        text="Use M20 anchors.",
        disposition=None,
        stamp=None,
        files=[],
        cover_page=None,
    )
    return made.id


def ready(return_id: str) -> Document:
    """The contract, naming what is in that stand-in."""
    document = contract("part3")
    problem = {"$ref": "#/components/responses/Problem"}
    _ = also_answering(document, ERRORS, problem)
    names = {
        "project_id": [PROJECT],
        "procore_id": ["101"],
        "return_id": [return_id],
        "sha256": [SHA256],
        "updated_after": ["2026-01-01T00:00:00Z", "2026-11-24T10:00:00+01:00"],
    }
    schemas = document["components"]["schemas"]
    knowing_in_bodies(schemas["File"], {"sha256": [SHA256]})
    schemas["Record"]["properties"]["procore_id"] = {"enum": ["101"]}
    one_file = document["paths"]["/v1/projects/{project_id}/files/{sha256}"]["put"]
    one_file["requestBody"]["content"] = {
        "application/octet-stream": {"schema": {"enum": [CONTENT.decode()]}}
    }
    batch = document["paths"]["/v1/projects/{project_id}/records:batch"]["post"]["requestBody"]
    batch["content"]["application/json"]["schema"]["properties"]["records"]["maxItems"] = 3
    return knowing(document, lambda _, name: names.get(name))


@pytest.mark.parametrize(("path", "method"), ASKED, ids=lambda part: str(part).removeprefix("/"))
def test_it_answers_only_what_the_contract_allows(part3: Furnished, path: str, method: str) -> None:
    app, return_id = part3
    answered = ask(ready(return_id), app, path, method, callers=CALLERS)
    assert min(answered) < 300, f"no case got through: {Counter(answered)}"


def test_its_events_are_as_the_contract_has_them(tmp_path: Path) -> None:
    _, house = build_app(a_settings(tmp_path))
    seed(house, Seed())
    try:
        return_id = asyncio.run(furnish(house))
        house.returns.withdraw(PROJECT, return_id)
        events = events_of(house)
    finally:
        house.store.close()
    assert {"return.created", "return.withdrawn"} <= {event["type"] for event in events}
    document = contract("part3")
    body = document["webhooks"]["event"]["post"]["requestBody"]["content"]["application/json"]
    for event in events:
        jsonschema.validate(event, {**body["schema"], "components": document["components"]})
