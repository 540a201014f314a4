"""Removing what the probe made; what cannot be removed is named."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from connector.probe.answers import DELETED, STUCK, Made
from connector.probe.making import note_left, removed_rfi, removed_submittal
from connector.probe.probing import Probe
from connector.probe.wire import Faulty, Seen

GONE = (204, 200, 404)
FAR_AWAY = "2100-01-01T00:00:00Z"


async def clean_up(probe: Probe) -> list[Made]:
    """Remove all that is still there; return what is left behind with the reason."""
    await _note_lost(probe)
    for one in probe.answers.kept.made:
        if one.is_there:
            one.left = ""
            await _remove(probe, one)
    return [one for one in probe.answers.kept.made if not one.is_deleted]


async def _note_lost(probe: Probe) -> None:
    """Find by our mark what was made while nobody noted its id: an answer that was lost."""
    known = {(one.what, one.id) for one in probe.answers.kept.made}
    since = f"{probe.answers.kept.began_at}...{FAR_AWAY}"
    lists: tuple[tuple[str, str, dict[str, str], str, str], ...] = (
        ("hook", f"{probe.webhooks}/hooks", {}, "namespace", probe.namespace),
        ("rfi", probe.rfis, {"filters[created_at]": since}, "subject", probe.mark),
        ("submittal", probe.submittals, {"filters[created_at]": since}, "title", probe.mark),
    )
    for what, path, params, field, mark in lists:
        try:
            listed = await probe.first.pages(path, params)
        except Faulty as fault:
            probe.person.say(f"What may be left of {what}s could not be listed: {fault}")
            continue
        for one in listed:
            words = str(one.get(field) or "")
            if words.startswith(mark) and (what, str(one.get("id"))) not in known:
                probe.made(what, one["id"], words)


async def _remove(probe: Probe, one: Made) -> None:
    ways: dict[str, Callable[[Probe, str], Awaitable[Seen]]] = {
        "hook": _removed_hook,
        "rfi": removed_rfi,
        "submittal": removed_submittal,
    }
    try:
        seen = await ways[one.what](probe, one.id)
    except Faulty as fault:
        note_left(probe, one.what, one.id, f"{STUCK}: {fault}")
        return
    if not one.left:
        note_left(probe, one.what, one.id, f"{STUCK}: {seen.line}")


async def _removed_hook(probe: Probe, hook_id: str) -> Seen:
    path = f"{probe.webhooks}/hooks/{quote(hook_id, safe='')}"
    seen = await probe.first.call("DELETE", path)
    if seen.status in GONE:
        note_left(probe, "hook", hook_id, DELETED)
    return seen
