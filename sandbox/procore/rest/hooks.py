"""Webhook management, v2.0: envelopes, ids as text.

Behaviours 11 to 15 and 26 of docs/stand-ins.md.
"""

import json
from typing import Any

from msgspec import UNSET
from starlette.responses import Response

from sandbox.procore.domain import hooks
from sandbox.procore.domain.hook_model import PAYLOAD_VERSIONS, Hook, Trigger
from sandbox.procore.domain.hooks import HookFields, Scope, TriggerFields
from sandbox.procore.errors import BadRequest, Forbidden, Refusal
from sandbox.procore.rest.answers import json_response, no_content, page
from sandbox.procore.rest.call import Call

SHOWN_OF_SECRET = 5


def _scope(call: Call) -> Scope:
    """Of the path; raises Forbidden or NotFound where the person has no part in it."""
    company_id = call.id("company_id")
    if call.company_id not in (None, company_id):
        raise Forbidden
    if "project_id" not in call.request.path_params:
        return Scope(company_id=company_id)
    project = call.project(call.project_id())
    if project.company_id != company_id:
        raise Forbidden
    return Scope(company_id=company_id, project_id=project.id)


def _hook_body(call: Call, hook: Hook) -> dict[str, Any]:
    return {
        "id": str(hook.id),
        "status": hook.status,
        "payload_version": hook.payload_version,
        "namespace": hook.namespace,
        "destination_url": hook.destination_url,
        "destination_headers": {"Authorization": masked(hook.authorization)}
        if hook.authorization
        else {},
        "trigger_count": len(call.world.store.all(Trigger, hook.id)),
        "company_id": str(hook.company_id),
        "project_id": str(hook.project_id) if hook.project_id else None,
        "hook_type": "classic",
        "created_at": hook.created_at,
        "updated_at": hook.updated_at,
    }


def masked(secret: str) -> str:
    """All but the last five characters."""
    return "*" * max(0, len(secret) - SHOWN_OF_SECRET) + secret[-SHOWN_OF_SECRET:]


def _trigger_body(scope: Scope, trigger: Trigger) -> dict[str, Any]:
    return {
        "id": str(trigger.id),
        "webhook_hook_id": str(trigger.hook_id),
        "resource_name": trigger.resource_name,
        "event_type": trigger.event_type.upper(),
        "company_id": str(scope.company_id),
        "project_id": str(scope.project_id) if scope.project_id else None,
    }


def resources(call: Call) -> Response:
    """What can be subscribed at this scope; no RFI or submittal name at a company's."""
    scope = _scope(call)
    version = call.query.get("payload_version", "v2.0")
    if version not in PAYLOAD_VERSIONS:
        raise BadRequest(fields={"payload_version": ["is not a valid payload version"]})
    lower = version == "v4.0" and call.world.switches.v4_resource_names == "lower"
    listed = [
        {
            "category": category,
            "tool": tool,
            "name": name.lower() if lower else name,
            "payload_version": version,
            "actions": list(hooks.ACTIONS),
        }
        for name, (category, tool) in scope.resources.items()
    ]
    query = {"per_page": "100", **call.query}
    return page(_with_query(call, query), listed, lambda r: r, v2=True)


def _with_query(call: Call, query: dict[str, Any]) -> Call:
    return Call(**{**{f: getattr(call, f) for f in call.__struct_fields__}, "query": query})


def listing(call: Call) -> Response:
    scope = _scope(call)
    namespace = call.query.get("namespace")
    if scope.project_id is None and namespace is None:
        raise BadRequest(fields={"namespace": ["is required"]})
    found = hooks.listed(call.world, call.actor, scope, namespace)
    version = call.query.get("payload_version")
    found = [h for h in found if version is None or h.payload_version == version]
    return page(call, found, lambda h: _hook_body(call, h), v2=True)


def show(call: Call) -> Response:
    hook = hooks.show(call.world, call.actor, _scope(call), call.id("hook_id"))
    return json_response({"data": _hook_body(call, hook)})


def create(call: Call) -> Response:
    hook = hooks.create(call.world, call.actor, _scope(call), _fields(call.body))
    return json_response({"data": _hook_body(call, hook)}, 201)


def update(call: Call) -> Response:
    fields = _fields(call.body)
    hook = hooks.edit(call.world, call.actor, _scope(call), call.id("hook_id"), fields)
    return json_response({"data": _hook_body(call, hook)})


def _fields(given: dict[str, Any]) -> HookFields:
    headers = given.get("destination_headers", UNSET)
    if headers is None:
        headers = {}
    if headers is not UNSET and not isinstance(headers, dict):
        raise BadRequest(fields={"destination_headers": ["is not an object"]})
    status = given.get("status", UNSET)
    if status not in (UNSET, "active", "disabled"):
        raise BadRequest(fields={"status": ["is not included in the list"]})
    texts = {
        name: str(given[name])
        for name in ("payload_version", "namespace", "destination_url")
        if given.get(name) is not None
    }
    return HookFields(
        **texts,
        authorization=UNSET if headers is UNSET else headers.get("Authorization"),
        status=status,
    )


def delete(call: Call) -> Response:
    hooks.delete(call.world, call.actor, _scope(call), call.id("hook_id"))
    return no_content()


def triggers(call: Call) -> Response:
    scope = _scope(call)
    found = hooks.triggers(call.world, call.actor, scope, call.id("hook_id"))
    return page(call, found, lambda t: _trigger_body(scope, t), v2=True)


def add_trigger(call: Call) -> Response:
    scope = _scope(call)
    fields = _trigger_fields(call.body)
    made = hooks.add_trigger(call.world, call.actor, scope, call.id("hook_id"), fields)
    return json_response({"data": _trigger_body(scope, made)}, 201)


def _trigger_fields(given: Any) -> TriggerFields:
    if not isinstance(given, dict) or not given.get("resource_name") or not given.get("event_type"):
        raise BadRequest(fields={"resource_name": ["and event_type are required"]})
    return TriggerFields(
        resource_name=str(given["resource_name"]), event_type=str(given["event_type"])
    )


def bulk_add(call: Call) -> Response:
    """201, 207 when only some were created, 413 for more than 500."""
    scope, hook_id = _scope(call), call.id("hook_id")
    if call.items is None:
        raise BadRequest("Expected an array of triggers.")
    if len(call.items) > hooks.MOST_TRIGGERS:
        return json_response({"errors": ["Too many triggers; the most is 500."]}, 413)
    made: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for item in call.items:
        try:
            fields = _trigger_fields(item)
            trigger = hooks.add_trigger(call.world, call.actor, scope, hook_id, fields)
            made.append(_trigger_body(scope, trigger))
        except BadRequest as refusal:
            given = item if isinstance(item, dict) else {"value": item}
            failed.append({**given, "errors": refusal.words})
    if not failed:
        return json_response({"data": made}, 201)
    if not made:
        raise BadRequest(*(word for one in failed for word in one["errors"]))
    return json_response({"data": {"succeeded": made, "failed": failed}}, 207)


def bulk_remove(call: Call) -> Response:
    scope, hook_id = _scope(call), call.id("hook_id")
    if call.items is None:
        raise BadRequest("Expected an array of trigger ids.")
    succeeded, failed = [], []
    for item in call.items:
        try:
            hooks.remove_trigger(call.world, call.actor, scope, hook_id, int(str(item)))
            succeeded.append(str(item))
        except (Refusal, ValueError):
            failed.append(str(item))
    if failed:
        return json_response({"data": {"succeeded": succeeded, "failed": failed}}, 207)
    return json_response({"data": {"succeeded": succeeded}})


def remove_trigger(call: Call) -> Response:
    hooks.remove_trigger(
        call.world, call.actor, _scope(call), call.id("hook_id"), call.id("trigger_id")
    )
    return no_content()


def deliveries(call: Call) -> Response:
    wanted = call.query.get("filter", {})
    wanted = wanted if isinstance(wanted, dict) else {}
    found = hooks.deliveries(call.world, call.actor, _scope(call), call.id("hook_id"), wanted)
    return page(call, found, lambda row: _delivery_body(call, row), v2=True)


def _delivery_body(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["event_key"],
        "status": row["status"],
        "payload": json.loads(row["payload"]),
        "delivery_attempts": [
            {
                "id": str(a["id"]),
                "success": bool(a["success"]),
                "response_status": a["response_status"],
                "response_headers": json.loads(a["response_headers"] or "{}"),
                "response_body": a["response_body"],
                "started_at": a["started_at"],
                "completed_at": a["completed_at"],
            }
            for a in hooks.attempts(call.world, row["id"])
        ],
    }
