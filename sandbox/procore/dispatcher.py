"""Delivers webhooks: one queue per endpoint, in order, with Procore's way of backing off.

Behaviours 22 and 23 of docs/stand-ins.md. Success is any 2xx within 5 s. A failure pauses the whole
endpoint, from 1 s doubling to 1 h; after 12 h all that waits is discarded, and the next new event
starts afresh. Queues live in the store, so a restart loses nothing.
"""

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Any

import httpx2
import msgspec
from msgspec.structs import replace

from sandbox.procore.domain.hook_model import Hook
from sandbox.procore.store import stamp, unstamp
from sandbox.procore.world import World

LONGEST_PAUSE_S = 3600.0
GIVES_UP_AFTER = timedelta(hours=12)
KEPT_BODY = 2000
WAITING = "('enqueued', 'retrying')"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How an address has fared."""

    failing_since: datetime | None = None
    paused_until: datetime | None = None
    pause_s: float = 0.0
    discards: int = 0  # queues thrown away in a row


class Dispatcher:
    """Run `run` in a task; it ends when cancelled."""

    def __init__(self, world: World, client: httpx2.AsyncClient) -> None:
        self.world = world
        self._client = client
        self._alarm = asyncio.Event()
        self._busy: set[str] = set()
        self._probed: set[str] = set()
        world.on_delivery_due = self._alarm.set

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._alarm.clear()
                for probed in self._unprobed():
                    tasks.create_task(self._probe(probed))
                for url in self._due_endpoints():
                    self._busy.add(url)
                    tasks.create_task(self._drain(url))
                await self._until_due()

    def _due_endpoints(self) -> list[str]:
        rows = self.world.store.rows(
            f"SELECT DISTINCT endpoint FROM deliveries WHERE status IN {WAITING} "
            "AND not_before <= ?",
            (stamp(self.world.now()),),
        )
        urls = [str(row["endpoint"]) for row in rows if row["endpoint"] not in self._busy]
        return [url for url in urls if not self._paused(url)]

    def _paused(self, url: str) -> bool:
        until = self.endpoint(url).paused_until
        return until is not None and until > self.world.now()

    def endpoint(self, url: str) -> Endpoint:
        kept = self.world.store.setting(f"endpoint/{url}")
        return msgspec.json.decode(kept, type=Endpoint) if kept else Endpoint()

    def _keep(self, url: str, endpoint: Endpoint) -> None:
        text = msgspec.json.encode(endpoint).decode()
        self.world.store.keep_setting(f"endpoint/{url}", text)

    async def _until_due(self) -> None:
        """Sleep until a delivery is due, the alarm rings or the clock is moved."""
        waits = {
            asyncio.create_task(self._alarm.wait()),
            asyncio.create_task(self.world.clock.moved()),
        }
        try:
            await asyncio.wait(
                waits, timeout=self._next_due_s(), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in waits:
                task.cancel()

    def _next_due_s(self) -> float | None:
        rows = self.world.store.rows(
            f"SELECT endpoint, min(not_before) AS due FROM deliveries WHERE status IN {WAITING} "
            "GROUP BY endpoint"
        )
        times = [
            max(unstamp(row["due"]), self.endpoint(row["endpoint"]).paused_until or _LONG_AGO)
            for row in rows
            if row["endpoint"] not in self._busy
        ]
        if not times or self.world.clock.frozen_at is not None:
            return None
        return max(0.01, (min(times) - self.world.now()).total_seconds())

    def _unprobed(self) -> list[str]:
        """Addresses of hooks made since the last look, when Procore asks whether they answer."""
        if not self.world.switches.probe_new_hooks:
            return []
        urls = {h.destination_url for h in self.world.store.every(Hook)} - self._probed
        self._probed |= urls
        return sorted(urls)

    async def _probe(self, url: str) -> None:
        """A HEAD whose answer decides nothing; it stands in the ledger."""
        status = "no answer"
        with contextlib.suppress(httpx2.HTTPError, httpx2.InvalidURL, ValueError):
            response = await self._client.head(url, timeout=5.0)
            status = str(response.status_code)
        self.world.note_effect(None, "endpoint.probed", "endpoints", url, status)

    async def _drain(self, url: str) -> None:
        try:
            while not self._paused(url) and (row := self._next(url)) is not None:
                await self._deliver(url, row)
        finally:
            self._busy.discard(url)
            self._alarm.set()

    def _next(self, url: str) -> dict[str, Any] | None:
        rows = self.world.store.rows(
            f"SELECT * FROM deliveries WHERE endpoint = ? AND status IN {WAITING} "
            "AND not_before <= ? ORDER BY not_before, id LIMIT 1",
            (url, stamp(self.world.now())),
        )
        return rows[0] if rows else None

    async def _deliver(self, url: str, row: dict[str, Any]) -> None:
        hook = self.world.store.get(Hook, row["hook_id"])
        if hook is None or hook.status != "active":
            self._set_status(row["id"], "discarded")
            return
        started = self.world.now()
        response = await self._post(url, hook, row["payload"])
        with self.world.store.transaction():
            success = response is not None and response.is_success
            self._note_attempt(row["id"], started, response, success=success)
            if success:
                self._set_status(row["id"], "delivered")
                self._keep(url, Endpoint())
            else:
                self._failed(url, row)

    async def _post(self, url: str, hook: Hook, payload: str) -> httpx2.Response | None:
        """None when nothing came back in time."""
        headers = {"Content-Type": "application/json", "User-Agent": "Procore Webhooks"}
        if hook.authorization:
            headers["Authorization"] = hook.authorization
        timeout_s = self.world.switches.delivery_timeout_s
        # ValueError: an Authorization that is no header, such as one with a line break.
        with contextlib.suppress(httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError):
            async with asyncio.timeout(timeout_s + 1):
                return await self._client.post(
                    url, content=payload, headers=headers, timeout=timeout_s
                )
        return None

    def _note_attempt(
        self,
        delivery_id: int,
        started: datetime,
        response: httpx2.Response | None,
        *,
        success: bool,
    ) -> None:
        headers = dict(response.headers) if response is not None else {}
        self.world.store.insert(
            "attempts",
            delivery_id=delivery_id,
            started_at=stamp(started),
            completed_at=stamp(self.world.now()) if response is not None else None,
            success=success,
            response_status=response.status_code if response is not None else None,
            response_headers=msgspec.json.encode(headers).decode(),
            response_body=response.text[:KEPT_BODY] if response is not None else None,
        )
        self.world.store.run(
            "UPDATE deliveries SET attempt_count = attempt_count + 1 WHERE id = ?", (delivery_id,)
        )

    def _set_status(self, delivery_id: int, status: str) -> None:
        self.world.store.run("UPDATE deliveries SET status = ? WHERE id = ?", (status, delivery_id))

    def _failed(self, url: str, row: dict[str, Any]) -> None:
        before, now = self.endpoint(url), self.world.now()
        since = before.failing_since or now
        if now - since >= GIVES_UP_AFTER:
            self._give_up(url, before)
            return
        pause_s = min(max(1.0, before.pause_s * 2), LONGEST_PAUSE_S)
        self._set_status(row["id"], "retrying")
        until = now + timedelta(seconds=pause_s)
        self._keep(url, replace(before, failing_since=since, pause_s=pause_s, paused_until=until))

    def _give_up(self, url: str, before: Endpoint) -> None:
        """Throw the queue away; a hook whose queues go that way again and again is disabled."""
        self.world.store.run(
            "UPDATE deliveries SET status = 'discarded' "
            f"WHERE endpoint = ? AND status IN {WAITING}",
            (url,),
        )
        discards = before.discards + 1
        self._keep(url, Endpoint(discards=discards))
        self.world.note_effect(None, "deliveries.discarded", "endpoints", url)
        most = self.world.switches.disable_hook_after_discards
        if most and discards >= most:
            for hook in self.world.store.every(Hook):
                if hook.destination_url == url and hook.status == "active":
                    disabled = replace(hook, status="disabled", updated_at=self.world.now())
                    self.world.store.put(disabled)
                    self.world.note_effect(None, "hook.disabled", "hooks", hook.id)


_LONG_AGO = unstamp("2000-01-01T00:00:00.000000Z")
