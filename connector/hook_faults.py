"""What is wrong with a project's webhook, from how Procore shows it. Decides; asks nobody.

The token service's audit finds and mends the same (`token_service/connections/hooks.py`); this
only says it, with what a person can do, and adds how its deliveries fare.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.hook_secrets import hook_secret, hook_url
from services.procore.hooks import (
    PAYLOAD_VERSION,
    SHOWN_CHARACTERS,
    TRIGGERS,
    end_of_secret,
    is_active,
    triggers_in,
)
from services.settings import KeyRing

MEND = "It is mended within HOOK_AUDIT_S, or now by `connector rotate hooks --project {}`."


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSeen:
    """One project's webhook in Procore.

    Attributes:
        hook: as listed, None when there is none of our namespace.
        triggers: what it subscribes to, as listed.
        deliveries: those of the last day that were not delivered, as listed, newest first.
    """

    project_id: str
    hook: Mapping[str, Any] | None
    triggers: Sequence[Mapping[str, Any]] = ()
    deliveries: Sequence[Mapping[str, Any]] = ()


def faults_of(seen: HookSeen, *, gateway_url: str, keys: KeyRing) -> list[tuple[str, str]]:
    """Return each fault in words with its remedy.

    Args:
        seen: the webhook.
        gateway_url: GATEWAY_PUBLIC_URL.
        keys: WEBHOOK_SECRET_KEYS.
    """
    mend = MEND.format(seen.project_id)
    if seen.hook is None:
        return [("there is none in Procore: nobody tells us of changes there", mend)]
    found = [
        (words, mend)
        for words in (*_wrong_parts(seen, gateway_url, keys), *_missing(seen.triggers))
    ]
    return found + _failing(seen.deliveries)


def _wrong_parts(seen: HookSeen, gateway_url: str, keys: KeyRing) -> Iterable[str]:
    hook = seen.hook or {}
    if not is_active(hook):
        yield "it is disabled: Procore sends nothing, and will not send later what it left out"
    if (version := hook.get("payload_version")) != PAYLOAD_VERSION:
        yield f"it sends payloads of version {version} instead of {PAYLOAD_VERSION}"
    address = str(hook.get("destination_url") or "")
    generation = _generation(address, gateway_url, seen.project_id)
    if generation is None:
        wanted = hook_url(gateway_url, seen.project_id, 1).rpartition("/")[0]
        yield f"it leads to {address or 'nowhere'} instead of {wanted}/…"
        return
    ends = [
        hook_secret(key.secret, seen.project_id, generation)[-SHOWN_CHARACTERS:]
        for key in keys.keys
    ]
    if end_of_secret(hook) not in ends:
        yield "its secret is of none of WEBHOOK_SECRET_KEYS: the gateway refuses its deliveries"


def _generation(address: str, gateway_url: str, project_id: str) -> int | None:
    """Return the generation that an address of ours ends with, None when it is not ours."""
    tail = address.rpartition("/")[2]
    if not (tail.isdecimal() and tail.isascii()):
        return None
    return int(tail) if address == hook_url(gateway_url, project_id, int(tail)) else None


def _missing(triggers: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    if lacks := sorted(TRIGGERS - triggers_in(triggers)):
        words = ", ".join(f"{resource} {action}" for resource, action in lacks)
        yield f"it does not subscribe to {words}"


def _failing(deliveries: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Say what fails; Procore holds back all that is behind a delivery that does."""
    if not deliveries:
        return []
    counts: dict[str, int] = {}
    for one in deliveries:
        status = str(one.get("status"))
        counts[status] = counts.get(status, 0) + 1
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    remedy = (
        "Look at the gateway's log and at what stands in front of it: its address must answer "
        "Procore within 5 s. What was discarded is listed anew by the worker's audit."
    )
    return [(f"deliveries since yesterday: {said}; {_last_attempt(deliveries)}", remedy)]


def _last_attempt(deliveries: Sequence[Mapping[str, Any]]) -> str:
    attempts = [
        attempt
        for one in deliveries
        for attempt in one.get("delivery_attempts") or ()
        if isinstance(attempt, dict)
    ]
    if not attempts:
        return "no attempt was made yet"
    last = max(attempts, key=lambda attempt: str(attempt.get("started_at") or ""))
    status = last.get("response_status")
    return f"the last attempt got {f'status {status}' if status else 'no answer'}"
