"""The documents as files: YAML where people read them, JSON where tools do."""

import json
from typing import Any

import yaml

from schemas.documents import asyncapi, json_schemas, openapi

HEAD = "# Generated from the types in schemas/ by `make schemas`; change those instead.\n"


class _Plain(yaml.SafeDumper):  # type: ignore[misc] # the library ships no types
    """Writes out what is used twice, so that no alias has to be followed by eye."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - named by the library
        """Tell that nothing is to be written as an alias."""
        return True


def documents() -> dict[str, str]:
    """Return the text of every file, by its path in `schemas/generated/`."""
    written: dict[str, Any] = {
        "openapi/webhook-gateway.yaml": openapi.gateway(),
        "openapi/token-service-internal.yaml": openapi.internal(),
        "openapi/health-and-metrics.yaml": openapi.operations(),
        "asyncapi.yaml": asyncapi.asyncapi(),
    }
    found = {path: HEAD + _yaml(document) for path, document in written.items()}
    for shape in json_schemas.ON_A_WIRE:
        text = json.dumps(json_schemas.json_schema(shape), indent=2, ensure_ascii=False)
        found[f"json-schema/{shape.__name__}.json"] = text + "\n"
    return found


def _yaml(document: dict[str, Any]) -> str:
    text: str = yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
    return text
