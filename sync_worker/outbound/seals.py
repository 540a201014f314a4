"""What arrived is sealed; what is later not as it arrived is said in words, and never fought.

The record in Procore is the general contractor's, and so is the official flag: setting it changes
nothing of an answer. Words, code and files of a delivered answer are its author's. Pure.
"""

import hashlib
import json
from collections.abc import Collection

import msgspec

from schemas.records import Kind
from schemas.returns import Receipt
from services.procore.models import Attachment, ResponseOption, Rfi, Submittal
from sync_worker.outbound.plain_text import words, words_of_html, words_unescaped
from sync_worker.outbound.versions import has_answered


class SealedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it arrived. A Procore attachment never changes under its id."""

    procore_id: str
    name: str
    sha256: str


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it was read back when it arrived.

    Attributes:
        remote_id: of the reply, or of the approver row.
        author_id: whose it is in Procore.
        author_name: as Procore spelled it then.
        words: as a person reads them, in normal form.
        response_id: Procore's id of the response; None for a reply.
        response: its name then.
        files: in the order they were returned.
        sha256: of words, response and files; see `hash_of`.
    """

    remote_id: str
    author_id: str
    author_name: str
    words: str
    sha256: str
    response_id: str | None = None
    response: str | None = None
    files: tuple[SealedFile, ...] = ()


def seal_of(kind: Kind, receipt: Receipt, response: ResponseOption | None) -> Seal:
    """Seal what a receipt says; `response` is the one that was sent, None for a reply."""
    read = words_of_html(receipt.text) if kind == "rfi" else words_unescaped(receipt.text)
    files = tuple(
        SealedFile(procore_id=file.procore_id, name=file.name, sha256=file.sha256)
        for file in receipt.files
    )
    response_id = response.id if response else None
    return Seal(
        remote_id=receipt.procore_id,
        author_id=receipt.author.procore_id,
        author_name=receipt.author.name,
        words=read,
        response_id=response_id,
        response=receipt.response,
        files=files,
        sha256=hash_of(read, response_id, files),
    )


def hash_of(said: str, response_id: str | None, files: Collection[SealedFile]) -> str:
    """Return the SHA-256 of an answer: its words, its response's id, its files' names and hashes.

    The order of files does not matter. Anybody who has the three can work it out again.
    """
    value = [said, response_id, sorted([file.name, file.sha256] for file in files)]
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def changes_in(
    seal: Seal, record: Rfi | Submittal, beside: Collection[str] | None = None
) -> tuple[str, ...]:
    """Say what of a sealed answer is not as it arrived; nothing: all of it is.

    Args:
        seal: the answer as it arrived.
        record: what Procore holds now; an RFI with its replies.
        beside: ids of all attachments there when it was first seen whole; None: not known.
    """
    match record:
        case Rfi():
            return _in_reply(seal, record, beside)
        case Submittal():
            return _in_response(seal, record, beside)


def attached_ids(seal: Seal, record: Rfi | Submittal) -> tuple[str, ...]:
    """Return the ids of everything attached to a sealed answer now."""
    answers = (record.answers or ()) if isinstance(record, Rfi) else record.approvers
    found = [one.attachments for one in answers if one.id == seal.remote_id]
    return tuple(attachment.id for attachments in found for attachment in attachments)


def _in_reply(seal: Seal, rfi: Rfi, beside: Collection[str] | None) -> tuple[str, ...]:
    reply = next((one for one in rfi.answers or () if one.id == seal.remote_id), None)
    if reply is None:
        return ("The reply was deleted.",)
    found = []
    if reply.author_id != seal.author_id:
        found.append(f"The reply stands under {reply.author_name} now.")
    if words_of_html(reply.html) != seal.words:
        found.append("The text of the reply was changed.")
    return (*found, *_in_files(seal, reply.attachments, beside))


def _in_response(
    seal: Seal, submittal: Submittal, beside: Collection[str] | None
) -> tuple[str, ...]:
    row = next((one for one in submittal.approvers if one.id == seal.remote_id), None)
    if row is None:
        return ("The response was removed, with its place in the workflow.",)
    if row.user.id != seal.author_id:
        return (f"Its place in the workflow is {row.user.name}'s now.",)
    if row.response is None or not has_answered(row):
        return (f"The response “{seal.response}” was taken back: another one is asked for.",)
    found = []
    if seal.response_id not in (None, row.response.id):
        found.append(f"The response was changed from “{seal.response}” to “{row.response.name}”.")
    comment = row.comment or ""
    if seal.words not in (words(comment), words_unescaped(comment)):
        found.append("The comment was changed.")
    return (*found, *_in_files(seal, row.attachments, beside))


def _in_files(
    seal: Seal, attachments: tuple[Attachment, ...], beside: Collection[str] | None
) -> list[str]:
    there = {attachment.id for attachment in attachments}
    gone = [one.name for one in seal.files if one.procore_id not in there]
    found = [f"The file “{name}” was removed." for name in gone]
    if beside is not None:
        known = {*beside, *(file.procore_id for file in seal.files)}
        found += [f"The file “{one.name}” was added." for one in attachments if one.id not in known]
    return found


def elsewhere(
    record: Submittal, open_before: Collection[str], team: Collection[str], ours: Collection[str]
) -> dict[str, str]:
    """Say which responses of the team were given in Procore and not through Part3, by row.

    Args:
        record: what Procore holds now.
        open_before: ids of the rows that owed an answer when the record was last seen.
        team: Procore ids of the team's people who have authorized.
        ours: ids of the rows that returns answered, or may just have answered.
    """
    return {
        row.id: f"“{row.response.name}” was given for {row.user.name} in Procore and not through "
        "Part3: there by themselves, or by an administrator on their behalf."
        for row in record.approvers
        if row.type == "approver"
        and row.id in open_before
        and row.id not in ours
        and row.user.id in team
        and row.response is not None
        and has_answered(row)
    }
