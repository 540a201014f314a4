"""What a change raised, read from Procore's own list of deliveries of the probe's webhook.

So no address of ours has to be reachable: a delivery that nobody takes is listed with its payload
all the same (behaviour 26 of docs/stand-ins.md).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from connector.probe.wire import Faulty, Session

NOT_FOUND = 404
Event = dict[str, Any]


@dataclass
class Watch:
    """One webhook's deliveries, each told once.

    Attributes:
        path: of the hook's deliveries.
        poll_s: seconds between two looks.
        seen: payloads by delivery id, of all that ever came.
    """

    session: Session
    path: str
    poll_s: float
    seen: dict[str, Event] = field(default_factory=dict)

    async def look(self) -> list[Event]:
        """Return events that were not told before. Raises Faulty."""
        answer = await self.session.get(self.path, per_page="100", page="1")
        if answer.status == NOT_FOUND:  # so it is before the first delivery
            return []
        fresh: list[Event] = []
        for one in reversed(answer.items()):
            payload = one.get("payload")
            key = str(one.get("id"))
            if key not in self.seen and isinstance(payload, dict):
                self.seen[key] = payload
                fresh.append(event_of(payload))
        return fresh

    async def quiet(self, settle_s: float) -> None:
        """Wait until nothing came for a while, so that what comes next is of what is done next."""
        last = time.monotonic()
        while True:
            if await self.look():
                last = time.monotonic()
            if time.monotonic() - last >= settle_s:
                return
            await asyncio.sleep(self.poll_s)

    async def until(
        self, wanted: Callable[[Event], bool], wait_s: float, settle_s: float
    ) -> list[Event]:
        """Return what comes: until one is wanted and others had time, or the wait ends."""
        came: list[Event] = []
        over = time.monotonic() + wait_s
        ends: float | None = None
        while True:
            came += await self.look()
            now = time.monotonic()
            if ends is None and any(map(wanted, came)):
                ends = now + settle_s
            if now >= (over if ends is None else ends):
                return came
            await asyncio.sleep(self.poll_s)


def event_of(payload: Event) -> Event:
    """Return resource, reason and id of a payload, v2.0 or v4.0."""
    resource = payload.get("resource_type") or payload.get("resource_name")
    reason = payload.get("reason") or payload.get("event_type")
    if resource is None or reason is None:
        raise Faulty(f"a delivery of an unknown shape: {sorted(payload)}")
    return {"resource": str(resource), "reason": str(reason), "id": str(payload.get("resource_id"))}
