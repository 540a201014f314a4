"""The shapes of this package as JSON Schema."""

from collections.abc import Iterable
from typing import Any

import msgspec

from schemas.connections import (
    AccessToken,
    AccessTokenRequest,
    Authorizations,
    AuthorizationsRequest,
    Connection,
    ConnectionPage,
    GrantProblem,
)
from schemas.dispositions import DispositionMap
from schemas.notices import Outcome, Part3Notice, ProcoreNotice
from schemas.records import Record, StoredRecord
from schemas.returns import Delivery, Project, Readiness, Return

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ON_A_WIRE: tuple[type[msgspec.Struct], ...] = (
    AccessToken,
    AccessTokenRequest,
    Authorizations,
    AuthorizationsRequest,
    Connection,
    ConnectionPage,
    Delivery,
    DispositionMap,
    GrantProblem,
    Outcome,
    Part3Notice,
    ProcoreNotice,
    Project,
    Readiness,
    Record,
    Return,
    StoredRecord,
)


def components(shapes: Iterable[type[msgspec.Struct]], ref_template: str) -> dict[str, Any]:
    """Return the schemas of these shapes and of all they are made of, by name."""
    _, found = msgspec.json.schema_components(tuple(shapes), ref_template=ref_template)
    return dict(sorted(found.items()))


def json_schema(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the schema of one shape, complete in itself."""
    return {"$schema": DIALECT, **msgspec.json.schema(shape)}
