"""Unknowns 1, 2 and 14 as far as they are of submittals."""

from connector.probe.making import (
    Object,
    files_of,
    ids_of,
    made_submittal,
    name_of,
    note_left,
    removed_submittal,
    submittal_now,
    uploaded,
)
from connector.probe.probing import NEEDS_SECOND, Probe, in_words, of_record
from connector.probe.wire import Faulty, Seen, Session


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
    probe.answers.say("1.response", in_words(came), as_assumed=updates, evidence=(seen.line,))
    shapes: dict[type, str] = {dict: "an object", list: "an array"}
    shape = shapes.get(type(seen.body), "neither object nor array")
    fields = seen.body[0] if isinstance(seen.body, list) and seen.body else seen.body
    told = f"{shape} of {', '.join(sorted(fields))}" if isinstance(fields, dict) else shape
    as_assumed = isinstance(seen.body, dict | list)
    probe.answers.say("2.body", told, as_assumed=as_assumed, evidence=(seen.line,))
    after = await submittal_now(probe, submittal_id)
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
        after = await submittal_now(probe, str(first_answered["id"]))
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
    """1: an approver forwards for review, and the reviewer answers."""
    other = _other(probe)
    made = await made_submittal(probe, "forwarding", (probe.first.user_id,))
    submittal_id = str(made["id"])
    seen, came = await probe.events_after(
        lambda: _answer(probe, probe.first, made, probe.first.user_id, forward_to=other),
        of_record(submittal_id),
    )
    if not seen.ok:
        raise Faulty(seen.line)
    updates = "Submittals/update" in came
    probe.answers.say(
        "1.submittal_forward", in_words(came), as_assumed=updates, evidence=(seen.line,)
    )
    if probe.second is None:
        probe.answers.leave("1.submittal_review", NEEDS_SECOND)
    else:
        await _say_events_of_review(probe, probe.second, await submittal_now(probe, submittal_id))
    await removed_submittal(probe, submittal_id)


async def _say_events_of_review(probe: Probe, reviewer: Session, forwarded: Object) -> None:
    seen, came = await probe.events_after(
        lambda: _answer(probe, reviewer, forwarded, reviewer.user_id),
        of_record(forwarded["id"]),
    )
    if not seen.ok:
        raise Faulty(seen.line)
    updates = "Submittals/update" in came
    probe.answers.say(
        "1.submittal_review", in_words(came), as_assumed=updates, evidence=(seen.line,)
    )


async def ask_for_events_of_bins(probe: Probe) -> None:
    """14: delete and restore a submittal."""
    submittal_id = str((await made_submittal(probe, "the recycle bin"))["id"])
    seen, came = await probe.events_after(
        lambda: removed_submittal(probe, submittal_id), of_record(submittal_id)
    )
    deletes = "Submittals/delete" in came
    probe.answers.say(
        "14.submittal_delete", in_words(came), as_assumed=deletes, evidence=(seen.line,)
    )
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
    words = in_words(came) if back.ok else f"not served: {back.status}"
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
    probe.answers.say("14.package", in_words(came), as_assumed=updates, evidence=(seen.line,))


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
