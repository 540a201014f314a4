"""Returns and what became of them."""

import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from sqlite3 import Row

import msgspec

from sandbox.part3.events import Outbox
from sandbox.part3.ledger import Ledger
from sandbox.part3.problems import Problem
from sandbox.part3.records import Page, decode_cursor, encode_cursor
from sandbox.part3.store import Store, rfc3339, to_micros
from sandbox.part3.wire import Answer, Delivery, File, Kind, Member, Return, ReturnState

FINAL = ("delivered", "failed")
ID_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # nothing that reads like something else


class NotNow(Exception):  # noqa: N818  named for what happened
    """What the author asked for is no longer possible; the message says why."""


class Returns:
    def __init__(self, store: Store, ledger: Ledger, outbox: Outbox, *, page_size: int) -> None:
        self._store = store
        self._ledger = ledger
        self._outbox = outbox
        self._page_size = page_size

    def create(
        self,
        *,
        project_id: str,
        kind: Kind,
        procore_id: str,
        author: Member,
        seen_content_version: str,
        text: str | None,
        disposition: str | None = None,
        stamp: str | None = None,
        files: Sequence[File] = (),
        cover_page: File | None = None,
    ) -> Return:
        """Store a finished answer together with its return.created event."""
        returned_at = self._store.now()
        answer = msgspec.convert(
            {
                "id": "ret_" + "".join(secrets.choice(ID_ALPHABET) for _ in range(10)),
                "project_id": project_id,
                "kind": kind,
                "procore_id": procore_id,
                "author": msgspec.to_builtins(author),
                "returned_at": rfc3339(returned_at),
                "seen_content_version": seen_content_version,
                "text": text,
                "disposition": disposition,
                "stamp": stamp,
                "files": [msgspec.to_builtins(file) for file in files],
                "cover_page": msgspec.to_builtins(cover_page),
            },
            Answer,
        )
        with self._store.transaction():
            self._store.run(
                "INSERT INTO returns (id, project_id, kind, procore_id, author_id, returned_at,"
                " updated_at, body, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
                answer.id,
                project_id,
                kind,
                procore_id,
                author.user_id,
                returned_at,
                returned_at,
                msgspec.json.encode(answer),
            )
            self._tell("return.created", answer)
        return self.get(project_id, answer.id)

    def _tell(self, event: str, answer: Answer) -> None:
        self._ledger.note(
            "effect",
            event,
            answer.project_id,
            return_id=answer.id,
            kind=answer.kind,
            procore_id=answer.procore_id,
            author=answer.author.user_id,
        )
        self._outbox.add(
            event,
            project_id=answer.project_id,
            kind=answer.kind,
            procore_id=answer.procore_id,
            return_id=answer.id,
            user_id=answer.author.user_id,
        )

    def _row(self, project_id: str, return_id: str) -> Row:
        row = self._store.one(
            "SELECT * FROM returns WHERE project_id = ? AND id = ?", project_id, return_id
        )
        if row is None:
            raise Problem(404, f"This project has no return {return_id}.")
        return row

    def get(self, project_id: str, return_id: str) -> Return:
        return _read(self._row(project_id, return_id))

    def delivery(self, project_id: str, return_id: str) -> Delivery | None:
        body = self._row(project_id, return_id)["delivery"]
        return msgspec.json.decode(body, type=Delivery) if body else None

    def page(
        self,
        project_id: str,
        *,
        state: ReturnState | None = None,
        updated_after: datetime | None = None,
        cursor: str | None = None,
    ) -> Page[Return]:
        """Oldest return first; `updated_after` is about the last change of its state."""
        rows = self._store.all(
            "SELECT * FROM returns WHERE project_id = ?1 AND (?2 IS NULL OR state = ?2)"
            " AND updated_at > ?3 AND returned_at > ?4 ORDER BY returned_at LIMIT ?5",
            project_id,
            state,
            to_micros(updated_after) if updated_after else 0,
            decode_cursor(cursor),
            self._page_size + 1,
        )
        more = len(rows) > self._page_size
        shown = rows[: self._page_size]
        return Page(
            items=[_read(row) for row in shown],
            next_cursor=encode_cursor(shown[-1]["returned_at"]) if more else None,
        )

    def of_record(self, project_id: str, kind: str, procore_id: str) -> list[Return]:
        """Newest first, as the record's page shows them."""
        rows = self._store.all(
            "SELECT * FROM returns WHERE project_id = ? AND kind = ? AND procore_id = ?"
            " ORDER BY returned_at DESC",
            project_id,
            kind,
            procore_id,
        )
        return [_read(row) for row in rows]

    def report(self, project_id: str, return_id: str, delivery: Delivery) -> None:
        """Take the connector's word on where a return stands; raises Problem 404 or 409."""
        with self._store.transaction():
            row = self._row(project_id, return_id)
            held = msgspec.json.decode(row["delivery"], type=Delivery) if row["delivery"] else None
            if held is not None and held.state in FINAL:
                _refuse_going_back(held, delivery)
                self._note("delivery.repeated", row, delivery)
                return
            as_of = to_micros(delivery.as_of)
            late = row["delivery_as_of"] is not None and as_of < row["delivery_as_of"]
            if late and delivery.state not in FINAL:
                self._note("delivery.too_old", row, delivery)
                return
            if held == delivery:
                self._note("delivery.repeated", row, delivery)
                return
            self._store.run(
                "UPDATE returns SET delivery = ?, delivery_as_of = ?, state = ?, updated_at = ?"
                " WHERE id = ?",
                msgspec.json.encode(delivery),
                as_of,
                _state_after(row, delivery),
                self._store.now(),
                return_id,
            )
            self._note("delivery.reported", row, delivery)

    def _note(self, what: str, row: Row, delivery: Delivery) -> None:
        self._ledger.note(
            "effect",
            what,
            row["project_id"],
            return_id=row["id"],
            state=delivery.state,
            reason=delivery.reason,
            receipt_id=delivery.receipt.procore_id if delivery.receipt else None,
        )

    def confirm(self, project_id: str, return_id: str) -> None:
        """The author has seen why it is held and wants it sent anyway; raises NotNow."""
        with self._store.transaction():
            row = self._row(project_id, return_id)
            delivery = self.delivery(project_id, return_id)
            if row["state"] != "held" or delivery is None:
                raise NotNow("This return is no longer held, so there is nothing to confirm.")
            overruled = json.loads(row["confirmed_despite"])
            if delivery.reason and delivery.reason not in overruled:
                overruled.append(delivery.reason)
            self._store.run(
                "UPDATE returns SET state = 'pending', confirmed_despite = ?, updated_at = ?"
                " WHERE id = ?",
                json.dumps(overruled),
                self._store.now(),
                return_id,
            )
            self._tell("return.confirmed", _read(row))

    def withdraw(self, project_id: str, return_id: str) -> None:
        """The author takes it back; what Procore already has stays there. Raises NotNow."""
        with self._store.transaction():
            row = self._row(project_id, return_id)
            if row["state"] not in ("pending", "held"):
                raise NotNow(f"This return is {row['state']} and cannot be withdrawn any more.")
            now = self._store.now()
            self._store.run(
                "UPDATE returns SET state = 'withdrawn', withdrawn_at = ?, updated_at = ?"
                " WHERE id = ?",
                now,
                now,
                return_id,
            )
            self._tell("return.withdrawn", _read(row))


def _read(row: Row) -> Return:
    answer = msgspec.json.decode(row["body"])
    answer |= {"confirmed_despite": json.loads(row["confirmed_despite"]), "state": row["state"]}
    return msgspec.convert(answer, Return)


def _state_after(row: Row, delivery: Delivery) -> ReturnState:
    """Withdrawn stays withdrawn, unless the write had begun and the answer did arrive."""
    if delivery.state == "delivered":
        return "delivered"
    if row["withdrawn_at"] is not None:
        return "withdrawn"
    if delivery.state in {"failed", "held"}:
        return delivery.state
    return "pending"


def _refuse_going_back(held: Delivery, told: Delivery) -> None:
    if told.state != held.state:
        raise Problem(409, f"This return was reported {held.state}; it cannot be {told.state} now.")
    first, second = (d.receipt.procore_id if d.receipt else None for d in (held, told))
    if first is not None and second is not None and first != second:
        raise Problem(409, f"This return was delivered as {first}; it cannot be {second} as well.")
