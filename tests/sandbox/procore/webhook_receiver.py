"""A receiver of webhooks on loopback, hooks that deliver to it, and how deliveries stand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from sandbox.procore.dispatcher import Dispatcher
from tests.sandbox.procore.site import Client, Json, Site

SECRET = "Bearer abcdefghijklmnop-last5"


class Receiver:
    """A loopback HTTP server that writes down what it gets, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], Json]] = []
        self.probes = 0
        self.status = 204  # 0: hangs up without an answer
        self.silent = False
        self.arrived = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(
            line.lower().split(": ", 1) if i == 0 else (line.split(": ", 1))
            for i, line in enumerate(head.split("\r\n")[1:])
            if ": " in line
        )
        headers = {k.lower(): v for k, v in headers.items()}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if head.startswith("HEAD "):
            self.probes += 1
        else:
            self.got.append((headers, json.loads(body)))
        self.arrived.set()
        if self.silent:
            await reader.read()  # until the sender hangs up
        elif self.status:
            writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n".encode())
            writer.write(b"Connection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    @property
    def payloads(self) -> list[Json]:
        return [payload for _, payload in self.got]

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not happened():
                self.arrived.clear()
                try:
                    async with asyncio.timeout(0.05):
                        await self.arrived.wait()
                except TimeoutError:
                    continue


@asynccontextmanager
async def dispatching(site: Site) -> AsyncIterator[Dispatcher]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        dispatcher = Dispatcher(site.world, client)
        task = asyncio.create_task(dispatcher.run())
        try:
            yield dispatcher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def base(site: Site) -> str:
    return f"/rest/v2.0/companies/{site.company_id}/projects/{site.project.id}/webhooks/hooks"


async def new_hook(client: Client, **fields: Any) -> Json:
    body = {
        "payload_version": "v4.0",
        "namespace": "part3-connector",
        "destination_url": "http://127.0.0.1:9/x",
        "destination_headers": {"Authorization": SECRET},
        **fields,
    }
    return (await client.ok("POST", base(client.site), json=body))["data"]


async def subscribed(client: Client, receiver: Receiver, **fields: Any) -> Json:
    hook = await new_hook(client, destination_url=receiver.url, **fields)
    wanted = [
        {"resource_name": name, "event_type": action}
        for name in ("RFIs", "RFI Replies", "Submittals")
        for action in ("create", "update", "delete")
    ]
    path = f"{base(client.site)}/{hook['id']}/triggers/bulk"
    assert (await client.call("POST", path, json=wanted)).status_code == 201
    return hook


def statuses(site: Site) -> list[str]:
    rows = site.world.store.rows("SELECT status FROM deliveries ORDER BY id")
    return [row["status"] for row in rows]


def paused(dispatcher: Dispatcher, receiver: Receiver) -> bool:
    until = dispatcher.endpoint(receiver.url).paused_until
    return until is not None and until > dispatcher.world.now()
