"""Change events to the connector's gateway: a persistent outbox and its dispatcher.

Each attempt is signed anew (the gateway refuses old timestamps) under the same webhook-id and with
the same bytes, as the Standard Webhooks specification says.
"""

import asyncio
import contextlib
import json
import random
import secrets
from datetime import UTC, datetime
from sqlite3 import Row
from typing import Any

import httpx2
from standardwebhooks import Webhook

from sandbox.part3.faults import Faults
from sandbox.part3.ledger import Ledger
from sandbox.part3.store import Store, rfc3339

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
ATTEMPT_TIMEOUT_S = 10.0
GIVE_UP_AFTER_S = 3 * 24 * 3600
AT_ONCE = 8  # attempts in flight


def pause_s(attempts: int, chance: float) -> float:
    """Seconds until the next attempt: doubling, capped, and spread by `chance` (0 to 1)."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 16)) * (0.5 + chance / 2)


class Outbox:
    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self.changed = asyncio.Event()

    def add(self, event: str, *, project_id: str, **about: str) -> str:
        """Write an event down; inside a transaction it exists only if the change does."""
        now = self._store.now()
        event_id = f"evt_{secrets.token_hex(12)}"
        data = {"project_id": project_id, **about}
        body = json.dumps({"type": event, "timestamp": rfc3339(now), "data": data})
        self._store.run(
            "INSERT INTO events (id, type, body, created_at, next_attempt_at)"
            " VALUES (?, ?, ?, ?, ?)",
            event_id,
            event,
            body,
            now,
            now,
        )
        self._ledger.note(
            "event", "event.queued", project_id, event_id=event_id, type=event, **about
        )
        self.changed.set()
        return event_id

    def due(self, limit: int) -> list[Row]:
        return self._store.all(
            "SELECT * FROM events WHERE next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?",
            self._store.now(),
            limit,
        )

    def seconds_to_next(self) -> float | None:
        row = self._store.one("SELECT min(next_attempt_at) AS t FROM events")
        if row is None or row["t"] is None:
            return None
        return max(0.0, (int(row["t"]) - self._store.now()) / 1e6)

    def finish(self, event: Row, outcome: str, answer: str) -> None:
        with self._store.transaction():
            self._store.run(
                "UPDATE events SET attempts = attempts + 1, next_attempt_at = NULL, outcome = ?,"
                " last_answer = ? WHERE id = ?",
                outcome,
                answer,
                event["id"],
            )
            self._note(event, f"event.{outcome}", answer)

    def put_off(self, event: Row, seconds: float, answer: str, *, attempted: bool = True) -> None:
        with self._store.transaction():
            self._store.run(
                "UPDATE events SET attempts = attempts + ?, next_attempt_at = ?, last_answer = ?"
                " WHERE id = ?",
                int(attempted),
                self._store.now() + int(seconds * 1e6),
                answer,
                event["id"],
            )
            self._note(event, "event.refused" if attempted else "event.held_back", answer)

    def _note(self, event: Row, what: str, answer: str) -> None:
        data = json.loads(event["body"])["data"]
        self._ledger.note(
            "event",
            what,
            data["project_id"],
            event_id=event["id"],
            type=event["type"],
            answer=answer,
            attempt=event["attempts"] + 1,
        )

    def waiting(self) -> int:
        row = self._store.one("SELECT count(*) AS n FROM events WHERE outcome = 'waiting'")
        return int(row["n"]) if row else 0

    def age_s(self, event: Row) -> float:
        return float(self._store.now() - event["created_at"]) / 1e6


class Dispatcher:
    def __init__(
        self, outbox: Outbox, faults: Faults, client: httpx2.AsyncClient, *, url: str, secret: str
    ) -> None:
        self._outbox = outbox
        self._faults = faults
        self._client = client
        self._url = url
        self._webhook = Webhook(secret)
        self._jitter = random.Random()

    async def run(self) -> None:
        """Send what is due until cancelled."""
        while True:
            self._outbox.changed.clear()
            if batch := self._outbox.due(AT_ONCE):
                async with asyncio.TaskGroup() as tasks:
                    for event in batch:
                        tasks.create_task(self._send(event))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._outbox.seconds_to_next()):
                    await self._outbox.changed.wait()

    async def _send(self, event: Row) -> None:
        fault = self._faults.for_event(event["type"])
        match fault.fault if fault else None:
            case "drop":
                self._outbox.finish(event, "dropped", "dropped by a fault")
                return
            case "reorder" if fault:
                self._outbox.put_off(
                    event, fault.ms / 1000, "held back by a fault", attempted=False
                )
                return
            case "latency" if fault:
                await asyncio.sleep(fault.ms / 1000)
            case _:
                pass
        copies = fault.copies if fault and fault.fault == "duplicate" else 1
        answer, taken = "", False
        for _ in range(copies):
            answer, ok = await self._attempt(event)
            taken = taken or ok
        if taken:
            self._outbox.finish(event, "taken", answer)
        elif self._outbox.age_s(event) > GIVE_UP_AFTER_S:
            self._outbox.finish(event, "given_up", answer)
        else:
            seconds = pause_s(event["attempts"] + 1, self._jitter.random())
            self._outbox.put_off(event, seconds, answer)

    async def _attempt(self, event: Row) -> tuple[str, bool]:
        """Post once; returns what was answered, and whether the gateway took it."""
        try:
            response = await self._client.post(
                self._url,
                content=event["body"].encode(),
                headers=self._headers(event),
                timeout=ATTEMPT_TIMEOUT_S,
            )
        except httpx2.HTTPError as error:
            return f"{type(error).__name__}: {error}", False
        return str(response.status_code), response.is_success

    def _headers(self, event: Row) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "content-type": "application/json",
            "webhook-id": event["id"],
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(event["id"], now, event["body"]),
        }
