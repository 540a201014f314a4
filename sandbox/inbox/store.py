"""Messages as they came, in SQLite."""

import email
import email.policy
import re
import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  received_at TEXT NOT NULL,  -- RFC 3339 UTC
  sender TEXT NOT NULL,       -- of the SMTP envelope
  recipients TEXT NOT NULL,   -- of the SMTP envelope, a line each
  raw BLOB NOT NULL
)
"""
LINK = re.compile(r"https?://[^\s<>\"']+")


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A message as a reader sees it."""

    id: int
    received_at: str
    sender: str
    recipients: list[str]
    subject: str
    text: str
    html: str
    links: list[str]

    def as_json(self) -> dict[str, Any]:
        fields = asdict(self)
        return {"from": fields.pop("sender"), "to": fields.pop("recipients"), **fields}


class Mailbox:
    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(data / "inbox.sqlite3", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(SCHEMA)

    def add(self, sender: str, recipients: list[str], raw: bytes) -> int:
        cursor = self._connection.execute(
            "INSERT INTO messages (received_at, sender, recipients, raw) VALUES (?, ?, ?, ?)",
            (datetime.now(UTC).isoformat(), sender, "\n".join(recipients), raw),
        )
        return int(cursor.lastrowid or 0)

    def newest_first(self, recipient: str | None = None) -> list[Mail]:
        rows = self._connection.execute("SELECT * FROM messages ORDER BY id DESC").fetchall()
        mails = [_read(row) for row in rows]
        wanted = (recipient or "").casefold()
        return [m for m in mails if not wanted or wanted in map(str.casefold, m.recipients)]

    def find(self, message_id: int) -> Mail | None:
        row = self._row(message_id)
        return _read(row) if row else None

    def raw(self, message_id: int) -> bytes | None:
        row = self._row(message_id)
        return bytes(row["raw"]) if row else None

    def _row(self, message_id: int) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(
            "SELECT * FROM messages WHERE id = ?", (message_id,)
        ).fetchone()
        return row

    def close(self) -> None:
        self._connection.close()


def _read(row: sqlite3.Row) -> Mail:
    message = email.message_from_bytes(row["raw"], _class=EmailMessage, policy=email.policy.default)
    text, html = _part(message, "plain"), _part(message, "html")
    return Mail(
        id=row["id"],
        received_at=row["received_at"],
        sender=str(message["From"] or row["sender"]),
        recipients=row["recipients"].split("\n"),
        subject=str(message["Subject"] or "(no subject)"),
        text=text,
        html=html,
        links=list(dict.fromkeys(LINK.findall(text or html))),
    )


def _part(message: EmailMessage, subtype: str) -> str:
    """The body in that form, or empty; a charset that lies gives replacement characters."""
    part = message.get_body(preferencelist=(subtype,))
    if part is None:
        return ""
    try:
        return str(part.get_content(errors="replace"))
    except (LookupError, KeyError):
        payload = part.get_payload(decode=True)
        return payload.decode(errors="replace") if isinstance(payload, bytes) else ""
