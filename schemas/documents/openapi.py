"""Our programs' HTTP as OpenAPI 3.1: the gateway, the internal port, health and metrics.

The pages of the token service are for people and not described here.
"""

from typing import Any

from schemas.connections import (
    AccessToken,
    AccessTokenRequest,
    Authorizations,
    AuthorizationsRequest,
    ConnectionPage,
    GrantProblem,
    Revocation,
    RevocationRequest,
)
from schemas.dispositions import DispositionMap
from schemas.documents.json_schemas import components

JSON, PROBLEM = "application/json", "application/problem+json"
TEXT = {"type": "string"}
WORD_AND_ID = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {"error": TEXT, "request_id": TEXT},
    "additionalProperties": False,
}
HEALTH = {
    "type": "object",
    "required": ["status", "checks"],
    "properties": {
        "status": {"enum": ["alive", "stuck", "ready", "not ready"]},
        "checks": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["ok"],
                "properties": {"ok": {"type": "boolean"}, "reason": TEXT},
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
HOOK_STATE = {
    "type": "object",
    "required": ["state", "detail"],
    "properties": {"state": {"enum": ["ok", "created", "repaired"]}, "detail": TEXT},
    "additionalProperties": False,
}
RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}


def _document(title: str, words: str, paths: dict[str, Any], parts: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": words},
        "paths": paths,
    }
    return found | ({"components": parts} if parts else {})


def _answer(words: str, schema: Any = None, kind: str = JSON, **more: Any) -> dict[str, Any]:
    content = {} if schema is None else {"content": {kind: {"schema": schema}}}
    return {"description": words, **content, **more}


def _refusals(words: dict[int, str]) -> dict[str, Any]:
    found = {str(status): _answer(said, WORD_AND_ID) for status, said in words.items()}
    if "503" in found:
        found["503"]["headers"] = RETRY_AFTER
    return found


def _health_paths() -> dict[str, Any]:
    def path(fine: str, bad: str) -> dict[str, Any]:
        answers = {"200": _answer(fine, HEALTH), "503": _answer(bad, HEALTH)}
        return {"get": {"summary": fine, "responses": answers}}

    return {
        "/livez": path("A restart would not help.", "It is stuck for good: start it again."),
        "/readyz": path("Work can be done now.", "Something it needs is away; says what."),
    }


def gateway() -> dict[str, Any]:
    """Return the public port of the webhook gateway."""
    taken = {
        401: "Not authentic.",
        404: "No such path.",
        408: "The request came too slowly.",
        503: "Not taken: Kafka does not have it. Send it again.",
    }
    probe = {"responses": {"200": _answer("Reachable."), "404": _answer("No such path.")}}
    any_body = {"required": True, "content": {JSON: {"schema": {}}}}
    procore = {
        "parameters": [_path("project_id"), _path("generation")],
        "head": {"summary": "Whether the address answers, as Procore may ask.", **probe},
        "post": {
            "summary": "A delivery of Procore's; its content is no reason to refuse it.",
            "security": [{"hook": []}],
            "requestBody": any_body,
            "responses": {
                "204": _answer("In Kafka, on all in-sync replicas; or told to be ignored."),
                **_refusals(taken),
            },
        },
    }
    part3 = {
        "head": {"summary": "Whether the address answers.", **probe},
        "post": {
            "summary": "A change event of Part3's, signed as Standard Webhooks says.",
            "parameters": [_header(n) for n in ("webhook-id", "webhook-timestamp")]
            + [_header("webhook-signature")],
            "requestBody": any_body,
            "responses": {
                "202": _answer("In Kafka, on all in-sync replicas."),
                **_refusals(taken | {413: "More than 262144 bytes.", 415: "In a content coding."}),
            },
        },
    }
    scheme = {
        "type": "http",
        "scheme": "bearer",
        "description": "The secret that the hook was made with, bound to its path.",
    }
    paths = {"/procore/{project_id}/{generation}": procore, "/part3/events": part3}
    return _document(
        "Webhook gateway",
        "Takes both sides' events onto Kafka. 2xx only once Kafka has them.",
        paths | _health_paths(),
        {"securitySchemes": {"hook": scheme}},
    )


def _path(name: str) -> dict[str, Any]:
    kinds: dict[str, Any] = {
        "generation": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
        "project_id": {"type": "string", "minLength": 1, "maxLength": 200},
    }
    return {"name": name, "in": "path", "required": True, "schema": kinds[name]}


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": True, "schema": TEXT}


def internal() -> dict[str, Any]:
    """Return the internal port of the token service."""
    shapes = (
        AccessToken,
        AccessTokenRequest,
        Authorizations,
        AuthorizationsRequest,
        ConnectionPage,
        DispositionMap,
        GrantProblem,
        Revocation,
        RevocationRequest,
    )
    one = "/internal/connections/{project_id}"
    after = {"name": "updated_after", "in": "query", "schema": {**TEXT, "format": "date-time"}}
    cursor = {"name": "cursor", "in": "query", "schema": TEXT}
    paths = {
        "/internal/access-tokens": _post(
            "One person's access token. Never holds a refresh token.",
            "AccessToken",
            body="AccessTokenRequest",
        ),
        "/internal/authorizations": _post(
            "Which of some people have authorized, oldest first.",
            "Authorizations",
            body="AuthorizationsRequest",
        ),
        "/internal/connections": _get(
            "Connections in the order they changed.", "ConnectionPage", [after, cursor]
        ),
        one: _get("A project's connection.", "Connection", [_path("project_id")]),
        f"{one}/dispositions": _get(
            "What the project's parties agreed on.", "DispositionMap", [_path("project_id")]
        ),
        "/internal/revocations": _post(
            "Revoke people's grants, or count them; for operators alone.",
            "Revocation",
            body="RevocationRequest",
        ),
        f"{one}/hook": _post("Compare the project's hook, and mend it.", HOOK_STATE, path=True),
    }
    scheme = {"type": "http", "scheme": "bearer", "description": "A service token of ours (JWT)."}
    document = _document(
        "Token service, internal port",
        "Access tokens and connections, for our own services alone.",
        paths | _health_paths(),
        {
            "securitySchemes": {"service": scheme},
            "schemas": components(shapes, "#/components/schemas/{name}"),
        },
    )
    return document | {"security": [{"service": []}]}


def _ref(name: str | dict[str, Any]) -> Any:
    return {"$ref": f"#/components/schemas/{name}"} if isinstance(name, str) else name


def _answers(shape: str | dict[str, Any]) -> dict[str, Any]:
    problems = {
        400: "It cannot be read; says what about it.",
        401: "Who calls is not known.",
        403: "Not for this caller: operators with a key of their own get no access token, and "
        "workers revoke nothing.",
        404: "There is none: not_found, not_authorized.",
        409: "A person has to do something first: needs_reauthorization and the like.",
        413: "The request is too long.",
        429: "More than a sane caller asks for.",
        503: "It cannot be done now: says why, and when to ask again.",
    }
    found = {"200": _answer("ok", _ref(shape))}
    for status, words in problems.items():
        found[str(status)] = _answer(words, _ref("GrantProblem"), PROBLEM)
    for later in ("429", "503"):
        found[later]["headers"] = RETRY_AFTER
    return found


def _get(words: str, shape: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"get": {"summary": words, "parameters": parameters, "responses": _answers(shape)}}


def _post(
    words: str, shape: str | dict[str, Any], *, body: str | None = None, path: bool = False
) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": words, "responses": _answers(shape)}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _ref(body)}}}
    if path:
        operation["parameters"] = [_path("project_id")]
    return {"post": operation}


def operations() -> dict[str, Any]:
    """Return the port that orchestrators and Prometheus ask, the same in every program."""
    shown = _answer("In Prometheus's text format.", TEXT, "text/plain")
    metrics = {"get": {"summary": "What it counts and measures.", "responses": {"200": shown}}}
    return _document(
        "Health and metrics",
        "Asked of every program on its METRICS_PORT.",
        _health_paths() | {"/metrics": metrics},
    )
