"""The proof that a return arrived whole: what Procore now shows, compared field by field."""

import unicodedata
from datetime import datetime, time

import msgspec

from schemas.returns import Receipt, ReceiptAuthor, ReceiptFile
from services.procore.models import Answer, Approver, Attachment, ResponseOption
from sync_worker.outbound.compose import Outgoing, OutgoingFile
from sync_worker.outbound.plain_text import words, words_of_html, words_unescaped


class ReadFile(msgspec.Struct, frozen=True):
    """An attachment, downloaded to the last byte."""

    attachment_id: str
    name: str
    size: int  # bytes
    sha256: str


class Differs(msgspec.Struct, frozen=True):
    """What is not (yet) as it was sent, in words."""

    what: tuple[str, ...]


def attachments_to_read(
    wanted: tuple[OutgoingFile, ...], attachments: tuple[Attachment, ...]
) -> tuple[Attachment, ...]:
    """Return those that could be ours, by name; others on the same row are left alone."""
    names = {_name(file.name) for file in wanted}
    return tuple(attachment for attachment in attachments if _name(attachment.name) in names)


def reply_receipt(
    sent: Outgoing,
    reply: Answer,
    *,
    me: str,
    files: tuple[ReadFile, ...],
    read_at: datetime,
) -> Receipt | Differs:
    """Return the receipt of a reply that is in the thread as it was sent, or what differs."""
    wrong: list[str] = []
    if reply.author_id != me:
        wrong.append(f"it stands there under {reply.author_name}")
    if words_of_html(reply.html) != words_of_html(sent.body):
        wrong.append("its text is not the text that was returned")
    found = _match(sent.files, files)
    wrong += _missing(sent.files, found)
    if wrong:
        return Differs(tuple(wrong))
    return Receipt(
        procore_id=reply.id,
        author=ReceiptAuthor(procore_id=me, name=reply.author_name),
        at=reply.answered_at or read_at,
        text=reply.html,
        files=_receipt_files(found),
    )


def response_receipt(
    sent: Outgoing,
    row: Approver,
    *,
    response: ResponseOption,
    me: str,
    files: tuple[ReadFile, ...],
    read_at: datetime,
) -> Receipt | Differs:
    """Return the receipt of an approver row that holds what was sent, or what differs."""
    wrong: list[str] = []
    if row.user.id != me:
        wrong.append(f"the row is {row.user.name}'s")
    if row.response is None or row.response.id != response.id:
        shown = row.response.name if row.response else "none"
        wrong.append(f"its response is {shown} instead of {response.name}")
    if words(sent.body) not in (words(row.comment or ""), words_unescaped(row.comment or "")):
        wrong.append("its comment is not the text that was returned")
    found = _match(sent.files, files)
    wrong += _missing(sent.files, found)
    if wrong:
        return Differs(tuple(wrong))
    return Receipt(
        procore_id=row.id,
        author=ReceiptAuthor(procore_id=me, name=row.user.name),
        at=_responded_at(row.returned_at, read_at),
        text=row.comment or "",
        response=response.name,
        files=_receipt_files(found),
    )


def _responded_at(kept: datetime | None, read_at: datetime) -> datetime:
    """Return when a response was given, as near as can be told.

    Procore may keep only its day, which reads as midnight: on that same day the time of our reading
    is nearer to the truth.
    """
    if kept is None or (kept.time() == time.min and kept.date() == read_at.date()):
        return read_at
    return kept


def _match(
    wanted: tuple[OutgoingFile, ...], files: tuple[ReadFile, ...]
) -> list[tuple[OutgoingFile, ReadFile]]:
    left = list(files)
    found: list[tuple[OutgoingFile, ReadFile]] = []
    for want in wanted:
        same = next((have for have in left if _is(want, have)), None)
        if same is not None:
            left.remove(same)
            found.append((want, same))
    return found


def _is(want: OutgoingFile, have: ReadFile) -> bool:
    same_bytes = want.sha256.lower() == have.sha256.lower() and want.size == have.size
    return same_bytes and _name(want.name) == _name(have.name)


def _missing(
    wanted: tuple[OutgoingFile, ...], found: list[tuple[OutgoingFile, ReadFile]]
) -> list[str]:
    there = [want for want, _ in found]
    return [f"the file “{file.name}” is not there whole" for file in wanted if file not in there]


def _receipt_files(found: list[tuple[OutgoingFile, ReadFile]]) -> tuple[ReceiptFile, ...]:
    return tuple(
        ReceiptFile(
            name=have.name, size=have.size, sha256=have.sha256, procore_id=have.attachment_id
        )
        for _, have in found
    )


def _name(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()
