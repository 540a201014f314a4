"""What leaves for Procore: the author's words, their files, and our marker. Nothing else.

Part3's internal comments, drafts and reviewer steps have no place in `Return`; of what `Return`
does hold, only text, files, cover page and the chosen response ever reach the Procore client.
"""

import hashlib

import msgspec

from schemas.returns import Return
from sync_worker.outbound.marker import LINE
from sync_worker.outbound.plain_text import paragraphs, printable


class OutgoingFile(msgspec.Struct, frozen=True):
    """A file on its way, by the hash of its bytes."""

    sha256: str
    name: str
    content_type: str
    size: int  # bytes


class Outgoing(msgspec.Struct, frozen=True):
    """The whole of what a return becomes in Procore, but for the response of a submittal."""

    body: str  # HTML of a reply, plain text of a comment
    is_html: bool
    files: tuple[OutgoingFile, ...]

    @property
    def request_hash(self) -> str:
        """Name what was sent, for whoever compares attempts later."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


def compose(answer: Return, marker: str, supersedes: str | None = None) -> Outgoing:
    """Write a return as Procore takes it: a reply in HTML, a submittal's comment in plain text.

    A reply cannot be changed; one that corrects an earlier one says so in the marker's line.
    """
    line = LINE.format(marker=marker)
    if supersedes is not None:
        line = f"{line}; supersedes {supersedes}"
    text = printable(answer.text or "")
    if answer.kind == "rfi":
        body = f"{paragraphs(text)}<p>{line}</p>"
    else:
        body = f"{text.rstrip()}\n\n{line}" if text.strip() else line
    return Outgoing(body, is_html=answer.kind == "rfi", files=files_of(answer))


def files_of(answer: Return) -> tuple[OutgoingFile, ...]:
    """Return the files in order, the cover page last; the very same file twice goes once."""
    named: dict[tuple[str, str], OutgoingFile] = {}
    for file in (*answer.files, *((answer.cover_page,) if answer.cover_page else ())):
        outgoing = OutgoingFile(file.sha256, file.name, file.content_type, file.size)
        _ = named.setdefault((file.sha256, file.name), outgoing)
    return tuple(named.values())
