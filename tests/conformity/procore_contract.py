"""Procore's contract, made ready to be asked: what its prose says beside what its file says."""

import re
from typing import Any

from tests.conformity.contracts import (
    Document,
    also_answering,
    contract,
    knowing,
    knowing_in_bodies,
    operations,
)
from tests.conformity.procore_world import Populated

JSON, FORM = "application/json", "multipart/form-data"
ERRORS = (400, 401, 403, 404, 409, 410, 422, 429)
"""Of each operation the contract describes what was found described of it. Beside that any may
answer the errors that Procore documents for all of them, in one of the shapes all of them use."""
AN_ERROR = {
    "description": "One of the errors that every operation may answer.",
    "content": {JSON: {"schema": {"$ref": "#/components/schemas/AnyError"}}},
}
WRITTEN = re.compile(r"(Create|Write|Common|Update|Distribute|Request)$")


def ready(populated: Populated) -> Document:
    """The contract, its parameters and bodies naming what is in that world."""
    document = also_answering(contract("procore"), ERRORS, AN_ERROR)
    schemas = document["components"]["schemas"]
    known = populated.in_bodies()
    for name, schema in schemas.items():
        if WRITTEN.search(name):
            knowing_in_bodies(schema, known)
    schemas["RfiWriteCommon"]["properties"]["assignee_ids"]["minItems"] = 1
    schemas["RfiCreate"]["required"] = ["assignee_ids"]  # in practice, of one that is no draft
    schemas["RfiWriteCommon"]["properties"]["subject"]["minLength"] = 1
    schemas["SubmittalWrite"]["properties"]["number"]["minLength"] = 1
    schemas["SubmittalWrite"]["required"] = ["number"]  # as the reference says
    question = schemas["RfiCreate"]["allOf"][1]["properties"]["question"]
    question["properties"]["body"]["minLength"] = 1
    for _, _, operation in operations(document):
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            knowing_in_bodies(media["schema"], known)
            _as_the_prose_has_it(schemas, kind, media["schema"])
    return knowing(document, populated.values_of)


def _as_the_prose_has_it(schemas: dict[str, Any], kind: str, schema: dict[str, Any]) -> None:
    """A wrapper has to be there; in a form its fields are named in brackets, as in Rails."""
    wrappers = {
        name: inner["$ref"].rsplit("/", 1)[1]
        for name, inner in schema.get("properties", {}).items()
        if "$ref" in inner and WRITTEN.search(inner["$ref"])
    }
    if not wrappers:
        return
    schema["required"] = list(wrappers)
    for name, written in wrappers.items():
        fields, required = _fields(schemas, schemas[written])
        if kind == FORM:
            _bracketed(schema, name, fields, required)
        else:
            fields = {k: v for k, v in fields.items() if "multipart only" not in str(v)}
            inner = {"type": "object", "required": required, "properties": fields}
            schema["properties"][name] = inner


def _bracketed(
    schema: dict[str, Any], name: str, fields: dict[str, Any], required: list[str]
) -> None:
    """One level of `wrapper[field]`: plain values and lists of them, files as files."""
    flat: dict[str, Any] = {}
    for field, inner in fields.items():
        if inner.get("contentMediaType") or "contentMediaType" in str(inner.get("items")):
            flat[f"{name}[{field}][]"] = {"type": "string", "format": "binary"}
        elif inner.get("type") == "array" and "properties" not in str(inner):
            flat[f"{name}[{field}][]"] = inner
        elif inner.get("type") not in ("array", "object"):
            flat[f"{name}[{field}]"] = inner
        elif field == "question":
            flat[f"{name}[question][body]"] = {"type": "string", "minLength": 1}
    del schema["properties"][name]
    schema["properties"] |= flat
    wanted = [f"{name}[{field}]" for field in required]
    schema["required"] = [one for one in (*wanted, f"{name}[question][body]") if one in flat]


def _fields(schemas: dict[str, Any], schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Properties and required ones, those of what it is composed of included."""
    fields, required = dict(schema.get("properties", {})), list(schema.get("required", []))
    for part in schema.get("allOf", []):
        of_part = schemas[part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        more, also = _fields(schemas, of_part)
        fields |= more
        required += also
    return fields, required
