"""Unknowns 1, 2, 10 and 14 as far as they are of submittals."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from connector.probe.making import (
    files_of,
    ids_of,
    made_submittal,
    name_of,
    note_left,
    removed_submittal,
    uploaded,
)
from connector.probe.probing import Probe, of_record
from connector.probe.wire import Faulty, Seen, Session

Object = dict[str, Any]
REDIRECTS = (301, 302, 303, 307, 308)
LEAST_LIFE_S = 60
UNIX_TIME = 10**9  # what is greater is a moment, not a number of seconds


async def ask_for_a_response(probe: Probe) -> None:
    """1 and 2: two required approvers of one step answer, the first with a file."""
    other = _other(probe)
    made = await made_submittal(probe, "a response", (probe.first.user_id, other))
    submittal_id = str(made["id"])
    upload_id = await uploaded(probe, probe.first)
    seen, came = await probe.events_after(
        lambda: _answer(probe, probe.first, made, probe.first.user_id, upload_ids=[upload_id]),
        of_record(submittal_id),
    )
    if not seen.ok:
        raise Faulty(seen.line)
    updates = "Submittals/update" in came
    probe.answers.say("1.response", _told(came), as_assumed=updates, evidence=(seen.line,))
    shapes: dict[type, str] = {dict: "an object", list: "an array"}
    shape = shapes.get(type(seen.body), "neither object nor array")
    fields = seen.body[0] if isinstance(seen.body, list) and seen.body else seen.body
    told = f"{shape} of {', '.join(sorted(fields))}" if isinstance(fields, dict) else shape
    as_assumed = isinstance(seen.body, dict | list)
    probe.answers.say("2.body", told, as_assumed=as_assumed, evidence=(seen.line,))
    after = await _read(probe, submittal_id)
    kept = files_of(_row_of(after, probe.first.user_id))
    words = "yes: the file stands in the row" if kept else "no: the row has no file"
    probe.answers.say("2.upload_ids", words, as_assumed=bool(kept), evidence=(seen.line,))
    await _finish_step(probe, after, other)
    await removed_submittal(probe, submittal_id)


async def _finish_step(probe: Probe, first_answered: Object, other: str) -> None:
    """Tell where the ball was between the two answers, and have the second one given."""
    between = ids_of(first_answered.get("ball_in_court") or [])
    waits = other in between and probe.first.user_id not in between
    found = (
        "yes: the second keeps it alone" if waits else f"no: it is with {_people(probe, between)}"
    )
    evidence = [f"ball in court after the first answer: {_people(probe, between)}"]
    if waits and probe.second is not None:
        seen = await _answer(probe, probe.second, first_answered, other)
        after = await _read(probe, str(first_answered["id"]))
        evidence += [seen.line, f"after both: {_people(probe, ids_of(after.get('ball_in_court')))}"]
    probe.answers.say("2.parallel", found, as_assumed=waits, evidence=tuple(evidence))


async def ask_for_a_response_on_behalf(probe: Probe) -> None:
    """2: the first person, an Admin, answers in the other's row; then: who was mailed?"""
    other = _other(probe)
    made = await made_submittal(probe, "on behalf of another", (other,))
    seen = await _answer(probe, probe.first, made, other)
    words = "yes" if seen.ok else f"no: {seen.status} {seen.words}"
    probe.answers.say("2.on_behalf", words, as_assumed=seen.ok, evidence=(seen.line,))
    await removed_submittal(probe, str(made["id"]))
    told = await probe.person.ask(
        f"Did anybody get a mail from Procore about {made.get('title')!r}? (y/n, empty: not known)"
    )
    match told.lower()[:1]:
        case "y" | "n":
            mailed = told.lower().startswith("y")
            words = f"a person says: {'somebody was mailed' if mailed else 'nobody was mailed'}"
            probe.answers.say("2.mail", words, as_assumed=not mailed)
        case _:
            probe.answers.leave("2.mail", "nobody could say whether a mail arrived")


async def ask_for_a_forward(probe: Probe) -> None:
    """1: an approver forwards for review."""
    other = _other(probe)
    made = await made_submittal(probe, "forwarding", (probe.first.user_id,))
    submittal_id = str(made["id"])
    seen, came = await probe.events_after(
        lambda: _answer(probe, probe.first, made, probe.first.user_id, forward_to=other),
        of_record(submittal_id),
    )
    await removed_submittal(probe, submittal_id)
    if not seen.ok:
        raise Faulty(seen.line)
    updates = "Submittals/update" in came
    probe.answers.say("1.submittal_forward", _told(came), as_assumed=updates, evidence=(seen.line,))


async def ask_for_files(probe: Probe) -> None:
    """10: a file with a new submittal, by reference with a new and with a changed one."""
    sent = str((await made_submittal(probe, "a file sent with it", with_file=True))["id"])
    _say_kept(probe, "10.create_multipart", await _read(probe, sent))
    upload_id = await uploaded(probe, probe.first)
    made = await made_submittal(probe, "a file by reference", upload_ids=[upload_id])
    by_reference = str(made["id"])
    before = await _read(probe, by_reference)
    _say_kept(probe, "10.create_upload_ids", before)
    changed = await probe.write(
        f"add an uploaded file to submittal {by_reference}",
        probe.first,
        "PATCH",
        f"{probe.submittals}/{by_reference}",
        json={"submittal": {"upload_ids": [await uploaded(probe, probe.first)]}},
    )
    after = await _read(probe, by_reference)
    more = files_of(after) > files_of(before)
    words = "yes" if more else f"no: {changed.status}, and it has {files_of(after)} files"
    probe.answers.say("10.update_upload_ids", words, as_assumed=more, evidence=(changed.line,))
    try:
        await _life_of_an_address(probe, await _read(probe, sent), after)
    finally:
        for one in (sent, by_reference):
            await removed_submittal(probe, one)


def _say_kept(probe: Probe, key: str, record: Object) -> None:
    count = files_of(record)
    words = f"yes: it has {count}" if count else "no: it has none"
    assumed = None if key == "10.create_multipart" else bool(count)
    probe.answers.say(key, words, as_assumed=assumed)


async def _life_of_an_address(probe: Probe, *records: Object) -> None:
    """Read from the storage address itself until when it serves."""
    urls = [
        str(one["url"])
        for record in records
        for one in (
            *(record.get("attachments") or ()),
            *(record.get("associated_attachments") or ()),
        )
        if isinstance(one, dict) and one.get("url")
    ]
    if not urls:
        raise Faulty("no submittal kept a file whose address could be followed")
    bearer = f"Bearer {probe.first.access_token.reveal()}"
    try:
        answer = await probe.first.http.get(
            urls[0], headers={"authorization": bearer}, follow_redirects=False, timeout=60
        )
    except httpx2.HTTPError as error:
        raise Faulty(f"the attachment's address: {type(error).__name__}") from error
    if answer.status_code not in REDIRECTS:
        raise Faulty(f"the attachment's address answers {answer.status_code}, not a redirect")
    life_s = seconds_served(answer.headers.get("location", ""), answer.headers.get("date", ""))
    if life_s is None:
        why = "the storage address does not say until when it serves; nobody waited for its end"
        probe.answers.leave("10.url_life", why)
        return
    enough = life_s >= LEAST_LIFE_S
    probe.answers.say("10.url_life", f"{life_s} s, by what it says itself", as_assumed=enough)


def seconds_served(address: str, date: str) -> int | None:
    """Return for how many seconds a presigned address serves; None when it does not say.

    `X-Amz-Expires` is a number of seconds, `Expires` a moment (Unix seconds); a moment is compared
    with the answer's own date.
    """
    query = parse_qs(urlsplit(address).query)
    for name in ("X-Amz-Expires", "Expires"):
        text = query.get(name, [""])[0]
        if not text.isdecimal():
            continue
        if int(text) < UNIX_TIME:
            return int(text)
        try:
            now = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S %Z")  # noqa: DTZ007 - GMT below
        except ValueError:
            return None
        return int(text) - int((now - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001
    return None


async def ask_for_events_of_bins(probe: Probe) -> None:
    """14: delete and restore a submittal."""
    submittal_id = str((await made_submittal(probe, "the recycle bin"))["id"])
    seen, came = await probe.events_after(
        lambda: removed_submittal(probe, submittal_id), of_record(submittal_id)
    )
    deletes = "Submittals/delete" in came
    probe.answers.say("14.submittal_delete", _told(came), as_assumed=deletes, evidence=(seen.line,))
    back, came = await probe.events_after(
        lambda: probe.write(
            f"restore submittal {submittal_id}",
            probe.first,
            "PATCH",
            f"{probe.submittals}/{submittal_id}/restore",
        ),
        of_record(submittal_id),
    )
    known = bool({"Submittals/update", "Submittals/create"} & set(came))
    words = _told(came) if back.ok else f"not served: {back.status}"
    probe.answers.say(
        "14.submittal_restore", words, as_assumed=known or not back.ok, evidence=(back.line,)
    )
    if back.ok:
        note_left(probe, "submittal", submittal_id, "")
        await removed_submittal(probe, submittal_id)


async def ask_for_the_event_of_a_move(probe: Probe) -> None:
    """14: into a package that other submittals are in."""
    listed = (await probe.first.get(probe.submittals, page="1", per_page="100")).items()
    packages = {
        str(one["submittal_package"]["id"])
        for one in listed
        if isinstance(one.get("submittal_package"), dict)
    }
    if not packages:
        raise Faulty("no submittal of the first page is in a package: put one into one first")
    submittal_id = str((await made_submittal(probe, "moving between packages"))["id"])
    package = min(packages)
    seen, came = await probe.events_after(
        lambda: probe.write(
            f"move submittal {submittal_id} into package {package}",
            probe.first,
            "PATCH",
            f"{probe.submittals}/{submittal_id}",
            json={"submittal": {"submittal_package_id": int(package)}},
        ),
        of_record(submittal_id),
    )
    await removed_submittal(probe, submittal_id)
    seen.object()
    updates = "Submittals/update" in came
    probe.answers.say("14.package", _told(came), as_assumed=updates, evidence=(seen.line,))


async def _answer(
    probe: Probe,
    session: Session,
    submittal: Object,
    user_id: str,
    *,
    upload_ids: list[str] | None = None,
    forward_to: str = "",
) -> Seen:
    """Answer in somebody's row, or forward it."""
    body: Object = {"comment": f"{probe.mark}: an answer."}
    if forward_to:
        words = f"forward to {name_of(probe, forward_to)}"
        body["forward_to"] = {"user_id": int(forward_to)}
    else:
        words = f"answer in the row of {name_of(probe, user_id)}"
        body["submittal_response_id"] = await _response_id(probe)
    if upload_ids:
        body["upload_ids"] = upload_ids
    row = _row_of(submittal, user_id)
    return await probe.write(
        f"{words} of submittal {submittal['id']}, send_emails=false",
        session,
        "PATCH",
        f"/rest/v1.0/submittal_approvers/{row['id']}",
        params={
            "project_id": probe.project_id,
            "submittal_id": str(submittal["id"]),
            "send_emails": "false",
        },
        json={"submittal_approver": body},
    )


async def _response_id(probe: Probe) -> int:
    path = f"/rest/v1.0/projects/{probe.project_id}/submittal_responses"
    seen = await probe.first.get(path)
    if not seen.ok:
        seen = await probe.first.get("/rest/v1.0/submittal_responses", project_id=probe.project_id)
    for one in seen.items():
        if one.get("considered") == "approved":
            return int(one["id"])
    raise Faulty("the project has no response that is considered approved")


async def _read(probe: Probe, submittal_id: str) -> Object:
    return (await probe.first.get(f"{probe.submittals}/{submittal_id}")).object()


def _row_of(submittal: Object, user_id: str) -> Object:
    for row in submittal.get("approvers") or ():
        if isinstance(row, dict) and user_id in ids_of(row.get("user")):
            return row
    raise Faulty(f"submittal {submittal.get('id')} has no row of user {user_id}")


def _other(probe: Probe) -> str:
    if not probe.other_id:
        raise Faulty("it takes another member of the project")
    return probe.other_id


def _people(probe: Probe, ids: set[str]) -> str:
    return ", ".join(sorted(name_of(probe, one) for one in ids)) or "nobody"


def _told(came: list[str]) -> str:
    return ", ".join(dict.fromkeys(came)) if came else "none came while we waited"
