"""Making RFIs, submittals and files for the probe, each noted so that it is removed again."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2

from connector.probe.probing import FILE_BYTES, FILE_NAME, Probe
from connector.probe.wire import Faulty, Seen, Session

Object = dict[str, Any]
IN_BIN = "in the recycle bin, from where only a person can delete it"
FILE = (FILE_NAME, FILE_BYTES, "text/plain")


async def made_rfi(
    probe: Probe,
    about: str,
    *,
    assignee_id: str = "",
    headers: Mapping[str, str] | None = None,
) -> Object:
    """Make an open RFI whose manager is the first person. Raises Declined, Faulty."""
    assignee_id = assignee_id or probe.first.user_id
    subject = f"{probe.mark}: {about}"
    body = {
        "subject": subject,
        "rfi_manager_id": _number(probe.first.user_id),
        "assignee_ids": [_number(assignee_id)],
        "required_assignee_ids": [_number(assignee_id)],
        "question": {"body": f"<p>{subject}. It may be deleted.</p>"},
    }
    seen = await probe.write(
        f"make an RFI {subject!r}, assigned to {name_of(probe, assignee_id)}, who may be mailed",
        probe.first,
        "POST",
        probe.rfis,
        json={"rfi": body},
        headers=headers,
    )
    rfi = seen.object()
    probe.made("rfi", rfi["id"], subject)
    return rfi


async def removed_rfi(probe: Probe, rfi_id: str) -> Seen:
    """Move an RFI of ours into the recycle bin; consent was given with its making."""
    seen = await probe.first.call("PATCH", f"{probe.rfis}/{rfi_id}/recycle")
    if seen.ok:
        note_left(probe, "rfi", rfi_id, IN_BIN)
    return seen


async def replied(probe: Probe, session: Session, rfi_id: str, *, official: bool = False) -> Seen:
    """Reply to an RFI of ours. Raises Declined, Faulty."""
    body = {"body": f"<p>{probe.mark}: a reply.</p>", "official": official}
    return await probe.write(
        f"reply to RFI {rfi_id}{', as official' if official else ''}",
        session,
        "POST",
        f"{probe.rfis}/{rfi_id}/replies",
        json={"reply": body},
    )


async def made_submittal(
    probe: Probe,
    about: str,
    *steps: Sequence[str],
    upload_ids: Sequence[str] = (),
    with_file: bool = False,
) -> Object:
    """Make an open submittal whose manager is the first person.

    Args:
        probe: the run.
        about: its title says so.
        steps: of the workflow, each the ids of its required approvers.
        upload_ids: sent with it, as JSON.
        with_file: a file is sent with it, as multipart.

    Raises:
        Declined, Faulty: it was not made.
    """
    title = f"{probe.mark}: {about}"
    fields: dict[str, Any] = {
        "number": _number_of_ours(probe),
        "title": title,
        "submittal_manager_id": probe.first.user_id,
    }
    if status_id := await _open_status(probe):
        fields["status_id"] = status_id
    named = " and ".join(name_of(probe, one) for step in steps for one in step)
    words = f"make a submittal {title!r}" + (f" with approvers {named}, unmailed" if named else "")
    request: dict[str, Any] = {"params": {"send_emails": "false"}}
    if upload_ids:
        request["json"] = {"submittal": {**fields, "upload_ids": list(upload_ids)}}
    else:
        form = {f"submittal[{name}]": str(value) for name, value in fields.items()}
        if steps:
            form["submittal[workflow_data]"] = json.dumps([[_row(one) for one in s] for s in steps])
        # multipart even without a file: a workflow is taken in no other form
        parts: list[tuple[str, Any]] = [(name, (None, value)) for name, value in form.items()]
        request["files"] = parts + ([("submittal[attachments][]", FILE)] if with_file else [])
    seen = await probe.write(words, probe.first, "POST", probe.submittals, **request)
    submittal = seen.object()
    probe.made("submittal", submittal["id"], title)
    return submittal


async def removed_submittal(probe: Probe, submittal_id: str) -> Seen:
    """Delete a submittal of ours; consent was given with its making."""
    seen = await probe.first.call("DELETE", f"{probe.submittals}/{submittal_id}")
    if seen.ok:
        note_left(probe, "submittal", submittal_id, IN_BIN)
    return seen


async def submittal_now(probe: Probe, submittal_id: str) -> Object:
    """Read a submittal. Raises Faulty."""
    return (await probe.first.get(f"{probe.submittals}/{submittal_id}")).object()


async def uploaded(probe: Probe, session: Session) -> str:
    """Upload a small file and return its uuid. Raises Declined, Faulty."""
    seen = await probe.write(
        f"upload a file of {len(FILE_BYTES)} bytes",
        session,
        "POST",
        f"/rest/v1.1/projects/{probe.project_id}/uploads",
        json={
            "response_filename": FILE_NAME,
            "response_content_type": "text/plain",
            "size": len(FILE_BYTES),
        },
    )
    upload = seen.object()
    uuid, url, fields = str(upload.get("uuid")), upload.get("url"), upload.get("fields")
    if not isinstance(url, str) or not isinstance(fields, dict):
        raise Faulty(f"the upload names no address: {sorted(upload)}")
    probe.made("upload", uuid, FILE_NAME)
    note_left(probe, "upload", uuid, "unattached it is purged by Procore within a week")
    try:
        stored = await session.http.post(url, data=fields, files={"file": FILE}, timeout=60)
    except httpx2.HTTPError as error:
        raise Faulty(f"the storage: {type(error).__name__}") from error
    if not stored.is_success:
        raise Faulty(f"the storage answered {stored.status_code}")
    return uuid


def note_left(probe: Probe, what: str, one_id: str, left: str) -> None:
    """Note what became of something that was made."""
    for one in probe.answers.kept.made:
        if (one.what, one.id) == (what, one_id):
            one.left = left
    probe.answers.save()


def files_of(record: Object) -> int:
    """Count the files of a submittal."""
    return max(len(record.get(name) or ()) for name in ("attachments", "associated_attachments"))


def name_of(probe: Probe, user_id: str) -> str:
    """Return a name for a prompt."""
    return "you" if user_id == probe.first.user_id else (probe.other_name or f"user {user_id}")


def ids_of(holders: Any) -> set[str]:
    """Return the ids of people, of one or of a list of them."""
    listed = holders if isinstance(holders, list) else [holders]
    return {str(one["id"]) for one in listed if isinstance(one, dict) and "id" in one}


def _number_of_ours(probe: Probe) -> str:
    """Return one that is recognizable, and of this moment, so that nobody has it yet."""
    return f"PROBE-{probe.answers.kept.run}-{datetime.now(UTC):%H%M%S%f}"


async def _open_status(probe: Probe) -> str:
    path = f"/rest/v1.0/companies/{probe.first.company_id}/submittal_statuses"
    found = (await probe.first.get(path)).items()
    return next((str(one["id"]) for one in found if one.get("status") == "Open"), "")


def _row(user_id: str) -> Object:
    return {
        "login_information_id": _number(user_id),
        "approver_type": "Approver",
        "response_required": True,
    }


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
