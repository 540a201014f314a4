"""What our webhook in Procore consists of, and how Procore shows it.

For whoever makes and mends it, looks at it or tries one out. The listings hold what stands under
`data`. Source: Procore's reference, hooks, triggers and deliveries.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.notices import RESOURCE_NAMES

HOOK_NAMESPACE = "part3-connector"
"""By which Procore tells our webhooks from other apps', the same everywhere: a-z, 0-9, dashes."""
PAYLOAD_VERSION = "v4.0"
ACTIONS = ("create", "update", "delete")
TRIGGERS = frozenset((resource, action) for resource in RESOURCE_NAMES for action in ACTIONS)
"""What it subscribes to, each a resource by Procore's name and what happens to one."""
SHOWN_CHARACTERS = 5
"""How much of the end of a secret Procore lets us read: enough to see that it is another one."""


def our_hook(listed: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return our webhook of a project's, None when there is none."""
    return next((hook for hook in listed if hook.get("namespace") == HOOK_NAMESPACE), None)


def is_active(hook: Mapping[str, Any]) -> bool:
    """Tell whether Procore sends what happens; one that does not say so is taken as active."""
    return str(hook.get("status", "active")).lower() == "active"


def end_of_secret(hook: Mapping[str, Any]) -> str:
    """Return the last characters of a webhook's `Authorization`, empty when none is shown."""
    headers = hook.get("destination_headers")
    shown = str(headers.get("Authorization") or "") if isinstance(headers, dict) else ""
    return shown[-SHOWN_CHARACTERS:]


def triggers_in(listed: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Return what a webhook subscribes to, as TRIGGERS has it, of the listing of its triggers."""
    return frozenset(
        (str(one.get("resource_name")), action_of(str(one.get("event_type")))) for one in listed
    )


def offered_in(listed: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Return what could be subscribed to, as TRIGGERS has it, of the listing of `resources`."""
    return frozenset(
        (str(one.get("name")), action_of(str(action)))
        for one in listed
        for action in one.get("actions") or ()
    )


def action_of(event_type: str) -> str:
    """Return create, update or delete, however Procore writes it: `UPDATE`, `CREATED`."""
    word = event_type.strip().lower()
    return next((action for action in ACTIONS if word in (action, f"{action}d")), word)
