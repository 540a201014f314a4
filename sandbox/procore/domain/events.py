"""What changed, for the hooks: every change raises an event, each matching trigger a delivery."""

import secrets
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from sandbox.procore.domain.hook_model import Hook, Trigger
from sandbox.procore.domain.people import Actor
from sandbox.procore.store import stamp
from sandbox.procore.world import World

Reason = Literal["create", "update", "delete"]

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FIRST_EVENT_ID = 31_000_001
REPEATS_WITHIN_S = 7.0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    ulid: str
    at: datetime
    resource_name: str
    reason: Reason
    resource_id: int
    company_id: int
    project_id: int | None
    user_id: int | None
    app: str | None
    operation: str | None = None  # what the call said of itself; not in the ledger of events


def raise_event(
    world: World,
    actor: Actor,
    resource_name: str,
    reason: Reason,
    resource_id: int,
    *,
    company_id: int,
    project_id: int,
) -> None:
    """Note an event in the ledger and put a delivery into every queue that wants it."""
    event = Event(
        id=world.store.next_id("events", FIRST_EVENT_ID),
        ulid=ulid(world.now()),
        at=world.now(),
        resource_name=resource_name,
        reason=reason,
        resource_id=resource_id,
        company_id=company_id,
        project_id=project_id,
        user_id=actor.user_id,
        app=actor.app,
        operation=actor.operation,
    )
    row = {n: getattr(event, n) for n in event.__struct_fields__ if n != "operation"}
    world.store.insert("events", **{**row, "at": stamp(event.at)})
    world.note_effect(actor, f"{resource_name}/{reason}", resource_name, resource_id)
    for hook in world.store.all(Hook, project_id):
        if hook.status == "active" and _wanted(world, hook, event):
            _enqueue(world, hook, event)


def _wanted(world: World, hook: Hook, event: Event) -> bool:
    return any(
        t.resource_name == event.resource_name and t.event_type == event.reason
        for t in world.store.all(Trigger, hook.id)
    )


def _enqueue(world: World, hook: Hook, event: Event) -> None:
    plan = world.faults.of_event(event.resource_name, event.reason)
    if plan.dropped:
        world.note_effect(None, "event.dropped", event.resource_name, event.resource_id)
        return
    copies = max(plan.copies, world.switches.event_repeats)
    differ = plan.different_ids or world.switches.event_repeat_ids == "different"
    for copy in range(copies):
        sent = event
        if copy and differ:
            sent = msgspec.structs.replace(
                event, id=world.store.next_id("events", FIRST_EVENT_ID), ulid=ulid(world.now())
            )
        late_s = plan.delay_s + (world.random.uniform(0, REPEATS_WITHIN_S) if copy else 0.0)
        _insert(world, hook, sent, event.at + timedelta(seconds=late_s))


def _insert(world: World, hook: Hook, event: Event, not_before: datetime) -> None:
    payload = payload_of(world, event, hook.payload_version)
    world.store.insert(
        "deliveries",
        event_key=str(payload.get("ulid") or payload["id"]),
        hook_id=hook.id,
        endpoint=hook.destination_url,
        status="enqueued",
        not_before=stamp(not_before),
        resource_name=event.resource_name,
        event_type=event.reason,
        enqueued_at=stamp(world.now()),
        payload=msgspec.json.encode(payload).decode(),
    )


def payload_of(world: World, event: Event, version: str) -> dict[str, Any]:
    """The body that a hook of that payload version gets."""
    at = event.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if version == "v4.0":
        return _payload_v4(world, event, at)
    body: dict[str, Any] = {
        "id": event.id,
        "ulid": event.ulid,
        "timestamp": at,
        "metadata": _metadata(world, event),
        "user_id": event.user_id,
        "company_id": event.company_id,
        "project_id": event.project_id,
        "api_version": version,
        "event_type": event.reason,
        "resource_name": event.resource_name,
        "resource_id": event.resource_id,
    }
    if version == "v3.0":
        body["related_resources"] = []
    return body


def _payload_v4(world: World, event: Event, at: str) -> dict[str, Any]:
    reason: str = event.reason
    if reason == "update" and world.switches.event_reason:
        reason = world.switches.event_reason
    body: dict[str, Any] = {
        "id": event.ulid,
        "timestamp": at,
        "reason": reason,
        "company_id": str(event.company_id),
        "project_id": str(event.project_id),
        "user_id": str(event.user_id),
        "resource_type": event.resource_name,
        "resource_id": str(event.resource_id),
    }
    if world.switches.event_data:
        body["data"] = {"attributes_changed": ["status"]}
    return body


def _metadata(world: World, event: Event) -> dict[str, Any]:
    source = world.switches.event_source
    told = world.switches.event_operation == "idempotency_token"
    filled = source == "filled" or (source == "mixed" and world.random.random() < 0.5)
    return {
        "source_user_id": event.user_id if filled else None,
        "source_project_id": event.project_id,
        "source_operation_id": event.operation if told else None,
        "source_company_id": event.company_id,
        "source_application_id": event.app if filled else None,
    }


def ulid(at: datetime) -> str:
    """A ULID: 48 bits of milliseconds, 80 of chance."""
    number = (int(at.timestamp() * 1000) << 80) | secrets.randbits(80)
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
