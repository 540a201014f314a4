"""Unknowns 1, 11, 13 and 14 as far as they are of RFIs."""

from typing import Any

from connector.probe.making import (
    IN_BIN,
    ids_of,
    made_rfi,
    name_of,
    note_left,
    removed_rfi,
    replied,
)
from connector.probe.probing import NEEDS_SECOND, Probe, in_words, of_record
from connector.probe.wire import Faulty, Session

BAD_REQUEST = 400


def _assignee(probe: Probe) -> Session:
    """Whose token answers: the second person's, whose ball it then really is, or the first's."""
    return probe.second or probe.first


async def ask_for_events_of_a_reply(probe: Probe) -> None:
    """1 and 11: a reply by the assignee, its events, and where the ball is before and after."""
    assignee = _assignee(probe)
    rfi_id = str((await made_rfi(probe, "a reply", assignee_id=assignee.user_id))["id"])
    before = (await probe.first.get(f"{probe.rfis}/{rfi_id}")).object()
    await _say_events_of_reply(probe, "1.reply", assignee, rfi_id)
    after = (await probe.first.get(f"{probe.rfis}/{rfi_id}")).object()
    moved = _ball(before) != _ball(after)
    probe.answers.say(
        "11.ball",
        f"it {'moves' if moved else 'stays'}: {_role(before)}, then {_role(after)}",
        as_assumed=None,
    )
    await removed_rfi(probe, rfi_id)


async def _say_events_of_reply(probe: Probe, key: str, session: Session, rfi_id: str) -> None:
    """Reply and say what it raised; of our own project's replies no others come meanwhile."""

    def is_of_reply(event: dict[str, Any]) -> bool:
        return bool(event["resource"] == "RFI Replies" or event["id"] == rfi_id)

    seen, came = await probe.events_after(lambda: replied(probe, session, rfi_id), is_of_reply)
    seen.object()
    told = "RFI Replies/create" in came
    probe.answers.say(key, in_words(came), as_assumed=told, evidence=(seen.line,))


async def ask_for_events_of_a_forward(probe: Probe) -> None:
    """1: an assignee who holds the ball forwards it to one more person, who replies."""
    assignee = _assignee(probe)
    to_id = probe.first.user_id if probe.second else probe.other_id
    if not to_id:
        raise Faulty("there is nobody else to forward to")
    rfi_id = str((await made_rfi(probe, "forwarding", assignee_id=assignee.user_id))["id"])
    path = f"/rest/v1.1/projects/{probe.project_id}/rfis/{rfi_id}/forward_for_review"
    body = {"rfi": {"forwardee_ids": [int(to_id) if to_id.isdecimal() else to_id]}}
    seen, came = await probe.events_after(
        lambda: probe.write(
            f"forward RFI {rfi_id} to {name_of(probe, to_id)}, who may be mailed",
            assignee,
            "PATCH",
            path,
            json=body,
        ),
        of_record(rfi_id),
    )
    seen.object()
    updates = "RFIs/update" in came
    probe.answers.say("1.rfi_forward", in_words(came), as_assumed=updates, evidence=(seen.line,))
    if probe.second is None:
        probe.answers.leave("1.rfi_review", NEEDS_SECOND)
    else:
        await _say_events_of_reply(probe, "1.rfi_review", probe.first, rfi_id)
    await removed_rfi(probe, rfi_id)


async def ask_for_official_replies(probe: Probe) -> None:
    """11: two replies, both marked official."""
    rfi_id = str((await made_rfi(probe, "official replies"))["id"])
    lines = []
    for _ in "ab":
        seen = await replied(probe, probe.first, rfi_id, official=True)
        seen.object()
        lines.append(seen.line)
    listed = (await probe.first.get(f"{probe.rfis}/{rfi_id}/replies")).items()
    await removed_rfi(probe, rfi_id)
    official = sum(one.get("official") is True for one in listed)
    found = {0: "none stays official", 1: "one: the later takes the mark", 2: "several"}
    words = found.get(official, f"{official} are official")
    probe.answers.say("11.exclusive", words, as_assumed=None, evidence=tuple(lines))


async def ask_for_the_body_of_advance(probe: Probe) -> None:
    """13: advance the ball without a body, and with an empty one if that is refused."""
    rfi_id = str((await made_rfi(probe, "advancing the ball"))["id"])
    path = f"/rest/v1.1/projects/{probe.project_id}/rfis/{rfi_id}/advance_ball_in_court"
    words = f"advance the ball in court of RFI {rfi_id}"
    seen = await probe.write(words, probe.first, "PATCH", path)
    lines = [seen.line]
    found = "no: it is taken without one"
    if seen.status == BAD_REQUEST:
        body = {"rfi": {"ball_in_court_role": "rfi manager"}}
        again = await probe.write(f"{words}, with a body", probe.first, "PATCH", path, json=body)
        lines.append(again.line)
        found = f"yes: without one {seen.words}; with {body} {again.status}"
    elif not seen.ok:
        found = f"not known: {seen.status} {seen.words}"
    await removed_rfi(probe, rfi_id)
    probe.answers.say("13.advance", found, as_assumed=None, evidence=tuple(lines))


async def ask_for_the_event_of_a_return(probe: Probe) -> None:
    """14: into the recycle bin and out of it."""
    rfi_id = str((await made_rfi(probe, "the recycle bin"))["id"])
    binned = await probe.write(
        f"move RFI {rfi_id} into the recycle bin",
        probe.first,
        "PATCH",
        f"{probe.rfis}/{rfi_id}/recycle",
    )
    binned.object()
    note_left(probe, "rfi", rfi_id, IN_BIN)
    seen, came = await probe.events_after(
        lambda: probe.write(
            f"take RFI {rfi_id} out of the recycle bin",
            probe.first,
            "PATCH",
            f"{probe.rfis}/{rfi_id}/retrieve",
        ),
        of_record(rfi_id),
    )
    if seen.ok:
        note_left(probe, "rfi", rfi_id, "")
        await removed_rfi(probe, rfi_id)
    seen.object()
    known = bool({"RFIs/update", "RFIs/create"} & set(came))
    probe.answers.say("14.retrieve", in_words(came), as_assumed=known, evidence=(seen.line,))


async def ask_for_versions(probe: Probe) -> None:
    """13: list at v1.0 and v1.1."""
    lines, served = [], []
    for version in ("v1.0", "v1.1"):
        path = f"/rest/{version}/projects/{probe.project_id}/rfis"
        seen = await probe.first.get(path, page="1", per_page="1")
        lines.append(seen.line)
        if seen.ok:
            served.append(version)
    found = f"listed at {' and '.join(served) or 'neither'}"
    probe.answers.say("13.versions", found, as_assumed="v1.0" in served, evidence=tuple(lines))


def _ball(rfi: dict[str, Any]) -> tuple[Any, set[str]]:
    return rfi.get("ball_in_court_role"), ids_of(rfi.get("ball_in_courts") or [])


def _role(rfi: dict[str, Any]) -> str:
    return str(rfi.get("ball_in_court_role") or "nobody")
