"""What we hand out of our wires: fresh, whole, and true of what our programs really send."""

import asyncio
import json
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from schemas.documents import asyncapi, openapi
from schemas.documents.__main__ import FOLDER
from schemas.documents.writing import documents
from schemas.notices import DEAD_LETTERS, PART3_NOTICES, PROCORE_NOTICES, TOPICS, Outcome
from services.cloudevents import event_headers
from tests.conformity.contracts import contract
from tests.conformity.our_programs import AT, Authentic, gateway
from tests.gateway.stage import V4, FakeKafka

PART3_EVENT = {
    "type": "return.created",
    "timestamp": "2026-11-24T08:15:30Z",
    "data": {"project_id": "p-1", "kind": "rfi", "procore_id": "101", "return_id": "ret_1"},
}


def test_the_committed_documents_equal_fresh_ones() -> None:
    committed = {
        str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8")
        for path in FOLDER.rglob("*")
        if path.is_file()
    }
    assert committed == documents(), "run `make schemas` and commit what it writes"


@pytest.mark.parametrize("path", sorted(documents()))
def test_every_reference_in_a_document_leads_somewhere(path: str) -> None:
    document = yaml.safe_load(documents()[path])
    for ref in _references(document):
        place: Any = document
        for part in ref.removeprefix("#/").split("/"):
            place = place[part.replace("~1", "/")]


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [ref for one in node for ref in _references(one)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [ref for one in node.values() for ref in _references(one)]


def test_every_json_schema_is_one() -> None:
    for path, text in documents().items():
        if path.startswith("json-schema/"):
            jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_the_topics_described_are_the_topics_there_are() -> None:
    channels = asyncapi.asyncapi()["channels"].values()
    assert {channel["address"] for channel in channels} == set(TOPICS)


def message_of(topic: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schemas of a topic's headers and payload, complete in themselves."""
    document = asyncapi.asyncapi()
    [channel] = [c for c in document["channels"].values() if c["address"] == topic]
    [reference] = channel["messages"].values()
    message = document["components"]["messages"][reference["$ref"].rsplit("/", 1)[1]]
    parts = {"components": document["components"]}
    return {**message["headers"], **parts}, {**message["payload"], **parts}


def check(topic: str, headers: dict[str, bytes], value: bytes) -> None:
    of_headers, of_payload = message_of(topic)
    texts = {name: one.decode() for name, one in headers.items()}
    assert set(texts) <= set(of_headers["properties"]), texts
    jsonschema.validate(texts, of_headers)
    if topic != DEAD_LETTERS:
        jsonschema.validate(json.loads(value), of_payload)


@pytest.mark.parametrize(
    ("path", "body", "topic"),
    [
        ("/procore/p-1/3", json.dumps(V4).encode(), PROCORE_NOTICES),
        ("/part3/events", json.dumps(PART3_EVENT).encode(), PART3_NOTICES),
        ("/procore/p-1/3", b"{", DEAD_LETTERS),
    ],
)
def test_what_the_gateway_publishes_is_described(path: str, body: bytes, topic: str) -> None:
    kafka = FakeKafka()
    asyncio.run(_post(kafka, path, body))
    [written] = kafka.written
    assert written.topic == topic
    check(topic, written.headers, written.value)


async def _post(kafka: FakeKafka, path: str, body: bytes) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(b"content-type", b"application/json")],
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(_message: Any) -> None:
        return None

    await Authentic(gateway(kafka), signing=True)(scope, receive, send)


def test_an_outcome_is_described() -> None:
    outcome = Outcome(
        project_id="p-1",
        kind="rfi",
        procore_id="101",
        return_id=None,
        outcome="record.mirrored",
        at=AT,
    )
    headers = event_headers(
        "1", b"/sync_worker", outcome.outcome.encode(), AT.isoformat().encode(), None
    )
    check("mirror.outcomes", dict(headers), msgspec.json.encode(outcome))


def test_the_gateway_describes_part3s_event_as_the_contract_does() -> None:
    theirs = contract("part3")["webhooks"]["event"]["post"]["responses"]
    ours = openapi.gateway()["paths"]["/part3/events"]["post"]["responses"]
    assert set(theirs) <= set(ours)
