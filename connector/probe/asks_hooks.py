"""Unknowns 3, 4, 5 and 8: webhooks, and what their events say."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from connector.probe.events import Watch
from connector.probe.making import made_rfi, removed_rfi
from connector.probe.probing import Probe, of_record
from connector.probe.wire import Faulty, Seen
from schemas.notices import RESOURCE_NAMES
from services.procore.hooks import ACTIONS, PAYLOAD_VERSION, TRIGGERS, offered_in
from services.procore.json_values import time_of

MORE_HOOKS = 3
CREATED, BAD_REQUEST = 201, 400


async def make_the_hook(probe: Probe) -> None:
    """3: make the webhook by which everything else sees events, as the connector's is."""
    hook_id = _known_hook(probe)
    if hook_id is None:
        seen = await _new_hook(probe, probe.namespace, PAYLOAD_VERSION)
        found = f"yes: {seen.status}" if seen.ok else f"no: {seen.status} {seen.words}"
        probe.answers.say("3.user_token", found, as_assumed=seen.ok, evidence=(seen.line,))
        if not seen.ok:
            return
        hook_id = _id_of(probe, seen, probe.namespace)
    path = f"{probe.webhooks}/hooks/{quote(hook_id, safe='')}"
    if len((await probe.first.get(f"{path}/triggers", per_page="100")).items()) < len(TRIGGERS):
        made = await probe.write(
            f"subscribe the webhook to {len(TRIGGERS)} triggers",
            probe.first,
            "POST",
            f"{path}/triggers/bulk",
            json=[{"resource_name": one, "event_type": action} for one, action in sorted(TRIGGERS)],
        )
        if made.status != CREATED:
            raise Faulty(made.line)
    probe.watch = Watch(probe.first, f"{path}/deliveries", probe.poll_s)


def _known_hook(probe: Probe) -> str | None:
    """Return the webhook that this run made before it was interrupted."""
    for one in probe.answers.kept.made:
        if one.what == "hook" and one.words == probe.namespace and one.is_there:
            return one.id
    return None


async def ask_for_names(probe: Probe) -> None:
    """5: the names that payload v4.0 offers, against those of v2.0."""
    offers: dict[str, frozenset[tuple[str, str]]] = {}
    lines: list[str] = []
    for version in ("v2.0", "v4.0"):
        seen = await probe.first.get(f"{probe.webhooks}/resources", payload_version=version)
        lines.append(seen.line)
        offers[version] = offered_in(seen.items())
    lacking = sorted(f"{name} {action}" for name, action in TRIGGERS - offers["v4.0"])
    found = "all are offered" if not lacking else f"v4.0 does not offer {', '.join(lacking)}"
    alike = sorted(
        name
        for name, _ in offers["v4.0"]
        if name.lower() in {one.lower() for one in RESOURCE_NAMES} and name not in RESOURCE_NAMES
    )
    if alike:
        found += f"; it has {', '.join(dict.fromkeys(alike))}"
    only = {name for name, _ in offers["v4.0"]} ^ {name for name, _ in offers["v2.0"]}
    found += f"; v2.0 and v4.0 differ in {', '.join(sorted(only))}" if only else ""
    probe.answers.say("5.names", found, as_assumed=not lacking, evidence=tuple(lines))


async def ask_for_metadata(probe: Probe) -> None:
    """4: what a v2.0 event says of the app and the call that changed something."""
    namespace = f"{probe.namespace}-v2"
    seen = await _new_hook(probe, namespace, "v2.0")
    hook_id = _id_of(probe, seen, namespace)
    path = f"{probe.webhooks}/hooks/{quote(hook_id, safe='')}"
    trigger = {"resource_name": "RFIs", "event_type": "create"}
    (
        await probe.write(
            "subscribe it to new RFIs", probe.first, "POST", f"{path}/triggers", json=trigger
        )
    ).object()
    watch = Watch(probe.first, f"{path}/deliveries", probe.poll_s)
    token = f"probe-{probe.answers.kept.run}-operation"
    rfi = await made_rfi(probe, "metadata of events", headers={"idempotency-token": token})
    await watch.until(of_record(rfi["id"]), probe.event_wait_s, 0)
    payload = next(
        (one for one in watch.seen.values() if str(one.get("resource_id")) == str(rfi["id"])), None
    )
    await removed_rfi(probe, str(rfi["id"]))
    if payload is None:
        raise Faulty("no v2.0 event came for a new RFI")
    metadata = payload.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    application, operation = (
        metadata.get(f"source_{name}_id") for name in ("application", "operation")
    )
    filled = "null" if application is None else "filled with our client id"
    if application is not None and application != probe.app.client_id:
        filled = "filled with something else than our client id"
    evidence = (f"metadata: {sorted(name for name, value in metadata.items() if value)} filled",)
    probe.answers.say("4.application", filled, as_assumed=None, evidence=evidence)
    told = "yes: it is what we sent" if operation == token else f"no: it is {operation!r}"
    probe.answers.say("4.operation", told, as_assumed=operation != token, evidence=evidence)


async def ask_for_limits(probe: Probe) -> None:
    """8: a second hook of one namespace, more hooks, and how old the oldest delivery is."""
    again = await _new_hook(probe, probe.namespace, PAYLOAD_VERSION)
    if again.ok:
        _id_of(probe, again, probe.namespace + " again")
    probe.answers.say(
        "8.duplicate",
        "no: it was made" if again.ok else f"{again.status} {again.words}",
        as_assumed=again.status == BAD_REQUEST,
        evidence=(again.line,),
    )
    await _count_hooks(probe)
    await _oldest_delivery(probe)


async def _count_hooks(probe: Probe) -> None:
    before = len(await probe.first.pages(f"{probe.webhooks}/hooks", {}))
    for number in range(MORE_HOOKS):
        seen = await _new_hook(probe, f"{probe.namespace}-more-{number}", PAYLOAD_VERSION)
        if not seen.ok:
            found = f"no more than {before + number}: {seen.status} {seen.words}"
            enough = before + number > 1
            probe.answers.say("8.limits", found, as_assumed=enough, evidence=(seen.line,))
            return
        _id_of(probe, seen, f"{probe.namespace}-more-{number}")
    found = f"at least {before + MORE_HOOKS}; more were not tried"
    probe.answers.say("8.limits", found, as_assumed=True)


async def _oldest_delivery(probe: Probe) -> None:
    """Look for it at hooks that are older than a day; a new one can tell nothing."""
    hooks = await probe.first.pages(f"{probe.webhooks}/hooks", {})
    now = datetime.now(UTC)
    spans: list[tuple[float, float]] = []
    for hook in hooks:
        made_at = time_of(hook.get("created_at"))
        path = f"{probe.webhooks}/hooks/{quote(str(hook.get('id')), safe='')}/deliveries"
        seen = await probe.first.get(path, page="1", per_page="100")
        if made_at is None or not seen.ok:
            continue
        last = await _last_page(probe, path, seen)
        days = [_days(now, _happened_at(one)) for one in last]
        if known := [one for one in days if one is not None]:
            spans.append((max(known), _days(now, made_at) or 0.0))
    oldest, hook_age = max(spans, default=(0.0, 0.0))
    if hook_age < 2:  # noqa: PLR2004 - days
        why = (
            "no webhook here that is two days old lists a delivery: "
            "--only 8 in a project that is connected for long"
        )
        probe.answers.leave("8.retention", why)
        return
    found = f"the oldest is {oldest:.1f} days old, of a webhook that is {hook_age:.1f} days old"
    probe.answers.say("8.retention", found, as_assumed=oldest >= 1)


async def _last_page(probe: Probe, path: str, first: Seen) -> list[dict[str, Any]]:
    try:
        pages = -(-int(first.headers.get("total", "0")) // int(first.headers.get("per-page", "1")))
    except (ValueError, ZeroDivisionError):
        pages = 1
    if pages <= 1:
        return first.items()
    return (await probe.first.get(path, page=str(pages), per_page="100")).items()


async def ask_about_disabling(probe: Probe) -> None:
    """8: nobody can wait for it here, so it is asked of whoever has seen it."""
    hooks = await probe.first.pages(f"{probe.webhooks}/hooks", {})
    disabled = [one for one in hooks if str(one.get("status")).lower() == "disabled"]
    for one in disabled:
        probe.person.say(f"Webhook {one.get('id')} ({one.get('namespace')}) is disabled.")
    told = await probe.person.ask(
        "Has Procore disabled a failing webhook of yours? After how long, and who was told? "
        "(empty: not known)"
    )
    if told:
        probe.answers.say("8.disabled", f"a person says: {told}", as_assumed=None)
    else:
        seen = f"{len(disabled)} of {len(hooks)} webhooks here are disabled"
        why = f"only a webhook that fails for days could show it; {seen}"
        probe.answers.leave("8.disabled", why)


async def sum_up_reasons(probe: Probe) -> None:
    """5: the reasons that all events of this run gave."""
    if probe.watch is None or not probe.watch.seen:
        raise Faulty("no event was seen in this run")
    reasons = sorted({str(one.get("reason")) for one in probe.watch.seen.values()})
    shape = sorted({field for one in probe.watch.seen.values() for field in one})
    probe.answers.say(
        "5.reasons",
        f"{', '.join(reasons)}, in {len(probe.watch.seen)} events",
        as_assumed=set(reasons) <= set(ACTIONS),
        evidence=(f"fields of an event: {', '.join(shape)}",),
    )


async def _new_hook(probe: Probe, namespace: str, version: str) -> Seen:
    body = {
        "payload_version": version,
        "namespace": namespace,
        "destination_url": probe.hook_url,
        "destination_headers": {"Authorization": f"Bearer {probe.namespace}"},
    }
    return await probe.write(
        f"make a webhook {namespace!r} ({version}) that sends to {probe.hook_url}",
        probe.first,
        "POST",
        f"{probe.webhooks}/hooks",
        json=body,
    )


def _id_of(probe: Probe, seen: Seen, words: str) -> str:
    return probe.made("hook", seen.object()["id"], words)


def _happened_at(delivery: dict[str, Any]) -> datetime | None:
    payload = delivery.get("payload")
    return time_of(payload.get("timestamp")) if isinstance(payload, dict) else None


def _days(now: datetime, at: datetime | None) -> float | None:
    return None if at is None else (now - at).total_seconds() / 86_400
