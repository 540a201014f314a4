"""The contracts as documents that cases can be made of."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "schemas" / "contracts"
METHODS = ("get", "put", "post", "delete", "patch", "head")

Document = dict[str, Any]


def contract(name: str) -> Document:
    """Read `schemas/contracts/{name}.openapi.yaml`; each caller gets a copy of its own.

    Without its servers: they are the real ones, and nothing here is sent anywhere.
    """
    document: Document = json.loads(_as_json(CONTRACTS / f"{name}.openapi.yaml"))
    for place in (document, *document["paths"].values()):
        place.pop("servers", None)
    return document


@cache
def _as_json(path: Path) -> str:
    return json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")))


def operations(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method in lower case, and the operation."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def also_answering(document: Document, statuses: Iterable[int], response: Any) -> Document:
    """Every operation may answer these as well, where it does not describe them itself."""
    for _, _, operation in operations(document):
        for status in statuses:
            operation["responses"].setdefault(str(status), response)
    return document


def knowing(document: Document, values_of: Callable[[str, str], list[Any] | None]) -> Document:
    """Parameters take the values that `values_of(path, name)` knows: things that are there.

    Without it every case would be about things that are not.
    """
    shared = document.get("components", {}).get("parameters", {})
    for path, method, operation in operations(document):
        item = document["paths"][path]
        listed = [*item.get("parameters", []), *operation.get("parameters", [])]
        resolved = [shared[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p for p in listed]
        item[method]["parameters"] = [_known(p, values_of(path, p["name"])) for p in resolved]
    for item in document["paths"].values():
        item.pop("parameters", None)
    return document


def _known(parameter: dict[str, Any], values: list[Any] | None) -> dict[str, Any]:
    if values is None:
        return parameter
    schema: dict[str, Any] = {"enum": values}
    if parameter["schema"].get("type") == "array":
        schema = {"type": "array", "items": schema}
    return {**parameter, "schema": schema}


def knowing_in_bodies(schema: Any, known: dict[str, list[Any]]) -> None:
    """The same for what a body names: properties, and the items of a list."""
    if isinstance(schema, list):
        for one in schema:
            knowing_in_bodies(one, known)
    if not isinstance(schema, dict):
        return
    for name, inner in schema.get("properties", {}).items():
        if name not in known:
            knowing_in_bodies(inner, known)
        elif inner.get("type") == "array":
            inner["items"] = {"enum": known[name]}
        else:
            schema["properties"][name] = {"enum": known[name]}
    for part in ("allOf", "anyOf", "oneOf", "items"):
        knowing_in_bodies(schema.get(part), known)
