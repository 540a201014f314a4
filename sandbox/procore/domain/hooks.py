"""Webhook subscriptions: hooks, triggers, deliveries.

Behaviours 11 to 15 and 26 of docs/stand-ins.md.
"""

import re
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from sandbox.procore.domain import directory
from sandbox.procore.domain.hook_model import PAYLOAD_VERSIONS, Hook, Trigger
from sandbox.procore.domain.people import TOOLS, Actor
from sandbox.procore.errors import BadRequest, Forbidden, NotFound
from sandbox.procore.store import stamp
from sandbox.procore.world import World

ACTIONS = ("create", "update", "delete")
PROJECT_RESOURCES: dict[str, tuple[str, str]] = {
    # name: category, tool
    "RFIs": ("Project Management", "RFIs"),
    "RFI Replies": ("Project Management", "RFIs"),
    "Submittals": ("Project Management", "Submittals"),
    "Submittal Packages": ("Project Management", "Submittals"),
    "Specification Sections": ("Project Management", "Specifications"),
    "Project Users": ("Core", "Directory"),
    "Project Vendors": ("Core", "Directory"),
}
COMPANY_RESOURCES: dict[str, tuple[str, str]] = {
    "Projects": ("Core", "Portfolio"),
    "Company Users": ("Core", "Directory"),
    "Company Vendors": ("Core", "Directory"),
}
MOST_TRIGGERS = 500


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A hook belongs to a project, or to a whole company."""

    company_id: int
    project_id: int | None = None

    @property
    def parent(self) -> str:
        return str(self.project_id) if self.project_id else f"company/{self.company_id}"

    @property
    def resources(self) -> dict[str, tuple[str, str]]:
        return PROJECT_RESOURCES if self.project_id else COMPANY_RESOURCES


class HookFields(msgspec.Struct, frozen=True, kw_only=True):
    payload_version: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    destination_url: str | UnsetType = UNSET
    authorization: str | UnsetType | None = UNSET
    status: Literal["active", "disabled"] | UnsetType = UNSET


class TriggerFields(msgspec.Struct, frozen=True, kw_only=True):
    resource_name: str
    event_type: str


def _must_administer(world: World, actor: Actor, scope: Scope) -> None:
    """Whether a user's token may manage hooks is not documented; see the switch."""
    if directory.is_company_admin(world, scope.company_id, actor.user_id):
        return
    if scope.project_id is None or world.switches.hook_permission == "nobody":
        raise Forbidden
    project = directory.project(world, actor, scope.project_id)
    tools = TOOLS if world.switches.hook_permission == "tool_admin" else ("admin",)
    if not any(directory.at_least(world, actor, project, tool, "Admin") for tool in tools):
        raise Forbidden


def listed(world: World, actor: Actor, scope: Scope, namespace: str | None) -> list[Hook]:
    _must_administer(world, actor, scope)
    found = world.store.all(Hook, scope.parent)
    return [h for h in found if namespace is None or h.namespace == namespace]


def show(world: World, actor: Actor, scope: Scope, hook_id: int) -> Hook:
    """Raises NotFound for a hook of another scope."""
    _must_administer(world, actor, scope)
    found = world.store.get(Hook, hook_id)
    if found is None or found.parent != scope.parent:
        raise NotFound
    return found


def create(world: World, actor: Actor, scope: Scope, fields: HookFields) -> Hook:
    """Raises BadRequest for a bad field or a namespace that this scope has already."""
    _must_administer(world, actor, scope)
    for name in ("payload_version", "namespace", "destination_url"):
        if not getattr(fields, name):
            raise BadRequest(fields={name: ["is required"]})
    most = world.switches.hooks_per_project
    if most and len(world.store.all(Hook, scope.parent)) >= most:
        raise BadRequest(fields={"base": ["The maximum number of hooks has been reached"]})
    now = world.now()
    hook = Hook(
        id=world.next_id(directory.company(world, scope.company_id).id_base),
        company_id=scope.company_id,
        project_id=scope.project_id,
        namespace="",
        payload_version="",
        destination_url="",
        authorization=None,
        created_by_id=actor.user_id,
        app=actor.app,
        created_at=now,
        updated_at=now,
    )
    with world.transaction():
        hook = _set(world, hook, fields)
        world.store.put(hook)
        world.note_effect(actor, "hook.created", "hooks", hook.id)
    return hook


def edit(world: World, actor: Actor, scope: Scope, hook_id: int, fields: HookFields) -> Hook:
    """`status: active` revives a disabled hook; nothing is sent again."""
    hook = show(world, actor, scope, hook_id)
    with world.transaction():
        changed = replace(_set(world, hook, fields), updated_at=world.now())
        if hook.status == "disabled" and changed.status == "active":
            world.store.keep_setting(f"endpoint/{changed.destination_url}", "{}")
        world.store.put(changed)
        world.note_effect(actor, "hook.updated", "hooks", hook.id)
    return changed


def _set(world: World, hook: Hook, fields: HookFields) -> Hook:
    given = {
        name: value
        for name in fields.__struct_fields__
        if not isinstance(value := getattr(fields, name), UnsetType)
    }
    changed: Hook = replace(hook, **given)
    if changed.payload_version not in PAYLOAD_VERSIONS:
        raise BadRequest(fields={"payload_version": ["is not a valid payload version"]})
    if not re.fullmatch(r"[a-z0-9-]+", changed.namespace):
        raise BadRequest(fields={"namespace": ["may only contain a-z, digits and dashes"]})
    if not _is_reachable(changed.destination_url):
        raise BadRequest(fields={"destination_url": ["must be a public https address"]})
    same = [h for h in world.store.all(Hook, hook.parent) if h.namespace == changed.namespace]
    if any(h.id != hook.id for h in same):
        raise BadRequest(fields={"namespace": ["has already been taken"]})
    return changed


def _is_reachable(url: str) -> bool:
    """Public https; and plain http on loopback, as this is a stand-in."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")


def delete(world: World, actor: Actor, scope: Scope, hook_id: int) -> None:
    """Gone with its triggers and its queue."""
    hook = show(world, actor, scope, hook_id)
    with world.transaction():
        for trigger in world.store.all(Trigger, hook.id):
            world.store.remove(Trigger, trigger.id)
        world.store.remove(Hook, hook.id)
        world.store.run(
            "UPDATE deliveries SET status = 'discarded' WHERE hook_id = ? "
            "AND status IN ('enqueued', 'retrying')",
            (hook.id,),
        )
        world.note_effect(actor, "hook.deleted", "hooks", hook.id)


def triggers(world: World, actor: Actor, scope: Scope, hook_id: int) -> list[Trigger]:
    return world.store.all(Trigger, show(world, actor, scope, hook_id).id)


def add_trigger(
    world: World, actor: Actor, scope: Scope, hook_id: int, fields: TriggerFields
) -> Trigger:
    """Raises BadRequest for a name or action that this scope does not offer."""
    hook = show(world, actor, scope, hook_id)
    action = fields.event_type.lower()
    if fields.resource_name not in scope.resources:
        raise BadRequest(fields={"resource_name": [f"{fields.resource_name} is not valid"]})
    if action not in ACTIONS:
        raise BadRequest(fields={"event_type": [f"{fields.event_type} is not valid"]})
    for trigger in world.store.all(Trigger, hook.id):
        if (trigger.resource_name, trigger.event_type) == (fields.resource_name, action):
            raise BadRequest(fields={"base": ["Trigger already exists"]})
    with world.transaction():
        trigger = Trigger(
            id=world.next_id(directory.company(world, scope.company_id).id_base),
            hook_id=hook.id,
            resource_name=fields.resource_name,
            event_type=action,
        )
        world.store.put(trigger)
    return trigger


def remove_trigger(world: World, actor: Actor, scope: Scope, hook_id: int, trigger_id: int) -> None:
    hook = show(world, actor, scope, hook_id)
    found = world.store.get(Trigger, trigger_id)
    if found is None or found.hook_id != hook.id:
        raise NotFound
    world.store.remove(Trigger, trigger_id)


def deliveries(
    world: World, actor: Actor, scope: Scope, hook_id: int, wanted: dict[str, str]
) -> list[dict[str, Any]]:
    """Rows of the delivery log, newest first; raises NotFound before the first of a hook."""
    hook = show(world, actor, scope, hook_id)
    rows = world.store.rows(
        "SELECT * FROM deliveries WHERE hook_id = ? ORDER BY id DESC", (hook.id,)
    )
    if not rows:
        raise NotFound
    kept_days = world.switches.deliveries_kept_days
    if kept_days:
        oldest = stamp(world.now() - timedelta(days=kept_days))
        rows = [row for row in rows if row["enqueued_at"] >= oldest]
    status = {"succeeded": "delivered"}.get(wanted.get("status", ""), wanted.get("status"))
    return [
        row
        for row in rows
        if (not status or row["status"] == status)
        and row["resource_name"] == wanted.get("resource_name", row["resource_name"])
        and row["event_type"] == wanted.get("event_type", row["event_type"]).lower()
        and wanted.get("start", "") <= row["enqueued_at"][:10] <= wanted.get("end", "9999")
    ]


def attempts(world: World, delivery_id: int) -> list[dict[str, Any]]:
    return world.store.rows(
        "SELECT * FROM attempts WHERE delivery_id = ? ORDER BY id", (delivery_id,)
    )
