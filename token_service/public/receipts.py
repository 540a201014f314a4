"""A delivered answer's receipt: what was read back, sealed, and what became of it since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.postgres import ProjectReads
from token_service.public.activity import SEEN, Reader, record_words
from token_service.public.wording import waited

READ_RECEIPT = f"""
SELECT d.return_id, d.kind, d.author_name, d.receipt, d.returned_at, r.number, r.title,
  s.seal, s.sealed_at, s.changes, s.changed_at, s.changed_by, d.minutes->'spent' AS waited,
  {SEEN} AS seen
FROM mirror.deliveries d
LEFT JOIN mirror.records r USING (project_id, kind, procore_id)
LEFT JOIN mirror.sealed_answers s
  ON s.return_id = d.return_id AND s.project_id = d.project_id
WHERE d.project_id = $1 AND d.return_id = $5 AND d.state = 'delivered' AND d.receipt IS NOT NULL
"""  # noqa: S608 - SEEN is a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFile:
    """A file as it arrived."""

    name: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReceipt:
    """A receipt as people read it. `seal` is None for what arrived before answers were sealed.

    Attributes:
        text: in plain words, as read back from Procore.
        changes: what is not as it arrived any more; empty: all of it is.
    """

    record_words: str
    title: str
    author: str
    shown_as: str  # the name in Procore
    at: datetime
    returned_at: datetime | None
    waited: str | None  # how long it took, and for whom that was
    text: str
    response: str | None
    files: Sequence[ReceiptFile]
    seal: str | None
    sealed_at: datetime | None
    changes: Sequence[str]
    changed_at: datetime | None
    changed_by: str | None


async def read_receipt(
    mirror: ProjectReads, project_id: str, reader: Reader, return_id: str
) -> ShownReceipt | None:
    """Return a delivered return's receipt; None when there is none that this reader may see.

    Raises:
        TryLater: Postgres does not answer.
    """
    who = (project_id, reader.procore_user_id, reader.user_id, reader.sees_all)
    async with mirror.of_project(project_id) as database:
        row = await database.fetchrow(READ_RECEIPT, *who, return_id)
    if row is None or not row["seen"]:
        return None
    receipt: dict[str, Any] = row["receipt"]
    seal: dict[str, Any] = row["seal"] or {}
    return ShownReceipt(
        record_words=record_words(row),
        title=row["title"] or "",
        author=row["author_name"] or "",
        shown_as=receipt["author"]["name"],
        at=datetime.fromisoformat(receipt["at"]),
        returned_at=row["returned_at"],
        waited=waited(row["waited"]) if row["waited"] else None,
        text=seal.get("words") or receipt["text"],
        response=receipt.get("response"),
        files=[
            ReceiptFile(name=one["name"], size=one["size"], sha256=one["sha256"])
            for one in receipt.get("files", ())
        ],
        seal=seal.get("sha256"),
        sealed_at=row["sealed_at"],
        changes=row["changes"] or (),
        changed_at=row["changed_at"],
        changed_by=row["changed_by"],
    )
