"""Sends deliveries to one address of this machine and says, as JSON, how that went.

Without a rate each connection sends its next delivery once it has the answer. With one, deliveries
are due at fixed moments, and a delay is counted from the moment a delivery was due, so that a
server that stalls cannot hide it by not being asked.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from typing import cast

import uvloop

from services.hook_secrets import hook_secret

PROJECTS = 48
GENERATION = 1


@dataclass
class Tally:
    """What came back: how often each status, and the seconds that each answer took."""

    statuses: Counter[bytes]
    delays: list[float]


class Sender(asyncio.Protocol):
    """One connection; sends one delivery at a time."""

    def __init__(self, requests: list[bytes], tally: Tally, idle: "deque[Sender] | None") -> None:
        self._requests = requests
        self._tally = tally
        self._idle = idle
        self._turn = id(self) // 64
        self._since = 0.0
        self.going = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        if self._idle is None:
            self.deliver(time.perf_counter())

    def deliver(self, due: float) -> None:
        self._since = due
        self._turn += 1
        self._transport.write(self._requests[self._turn % len(self._requests)])

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._tally.statuses[data[9:12]] += 1
        self._tally.delays.append(now - self._since)
        if self._idle is not None:
            self._idle.append(self)
        elif self.going:
            self.deliver(now)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self.going:
            self._tally.statuses[b"cut"] += 1

    def close(self) -> None:
        self.going = False
        self._transport.close()


def deliveries(port: int, key: bytes) -> list[bytes]:
    """Return authentic v4.0 deliveries of many projects, about 300 bytes of body each."""
    return [_delivery(port, key, f"project-{number % PROJECTS}", number) for number in range(480)]


def _delivery(port: int, key: bytes, project: str, number: int) -> bytes:
    body = json.dumps(
        {
            "id": f"01JE{number:022d}",
            "timestamp": "2026-11-24T08:15:30.123456Z",
            "reason": "update",
            "company_id": "4264100",
            "project_id": "9007199254740993",
            "user_id": "77",
            "resource_type": "RFIs",
            "resource_id": str(1_000_000 + number),
            "related_resources": [{"id": "12", "name": "RFI Replies"}],
        }
    ).encode()
    head = (
        f"POST /procore/{project}/{GENERATION} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "User-Agent: Procore Webhooks\r\nAccept: */*\r\nContent-Type: application/json\r\n"
        f"Authorization: {hook_secret(key, project, GENERATION)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def load(port: int, connections: int, seconds: float, rate: float, key: bytes) -> Tally:
    """Deliver for so long; `rate` is deliveries a second, 0 for as many as will go."""
    tally = Tally(Counter(), [])
    idle: deque[Sender] | None = deque() if rate else None
    loop = asyncio.get_running_loop()
    requests = deliveries(port, key)
    senders = []
    for _ in range(connections):
        sender = Sender(requests, tally, idle)
        senders.append(sender)
        await loop.create_connection(partial(_itself, sender), "127.0.0.1", port)
    if idle is None:
        await asyncio.sleep(seconds)
    else:
        idle.extend(senders)
        await _steadily(idle, rate, seconds)
    for sender in senders:
        sender.close()
    return tally


def _itself(sender: Sender) -> Sender:
    return sender


async def _steadily(idle: "deque[Sender]", rate: float, seconds: float) -> None:
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        while not idle:
            await asyncio.sleep(0.0005)
        idle.popleft().deliver(due)
    await asyncio.sleep(0.2)


def main() -> None:
    port, connections, seconds, rate = sys.argv[1:5]
    key = bytes.fromhex(os.environ["BENCH_HOOK_KEY"])
    tally = uvloop.run(load(int(port), int(connections), float(seconds), float(rate), key))
    delays = sorted(tally.delays)
    print(
        json.dumps(
            {
                "statuses": {word.decode(): count for word, count in tally.statuses.items()},
                "p50_ms": 1_000 * delays[len(delays) // 2],
                "p99_ms": 1_000 * delays[len(delays) * 99 // 100],
                "longest_ms": 1_000 * delays[-1],
            }
        )
    )


if __name__ == "__main__":
    main()
