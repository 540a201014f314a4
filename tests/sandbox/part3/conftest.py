import base64
import hashlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from sandbox.part3.app import build_app
from sandbox.part3.house import House
from sandbox.part3.seeding import Seed, seed
from sandbox.part3.settings import LaunchKey, Settings

TOKEN = "service-token"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
LAUNCH_SECRET = b"launch-key-of-thirty-two-bytes!!"
PROJECT = "prj_harbour"
MAYA = "usr_maya"
MAYA_MAIL = "maya@lindqvist-architects.example"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def a_record(kind: str = "rfi", procore_id: str = "101", **more: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "kind": kind,
        "procore_id": procore_id,
        "number": "A-014",
        "title": "Anchor bolts at grid C4",
        "status": "open",
        "status_label": "Open",
        "private": False,
        "content_version": "cv-1",
    }
    return record | more


def a_file(content: bytes, name: str = "plan.pdf") -> dict[str, Any]:
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "name": name,
        "content_type": "application/pdf",
        "size": len(content),
    }


def a_settings(data: Path, **more: Any) -> Settings:
    return Settings(
        **{
            "data": data,
            "api_token": TOKEN,
            "webhook_secret": WEBHOOK_SECRET,
            "gateway_url": "http://127.0.0.1:9",
            "launch_key": LaunchKey(key_id="k1", secret=LAUNCH_SECRET),
            "connector_url": "http://127.0.0.1:8081",
            "public_url": "http://part3.test",
            "page_size": 3,
            "max_file_bytes": 1000,
            **more,
        }
    )


class Part3Api:
    """The contract's calls on the seeded project, as the connector makes them."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def call(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return await self.client.request(method, f"/v1/projects/{PROJECT}{path}", **more)

    async def put_record(self, record: dict[str, Any], **more: Any) -> httpx2.Response:
        path = f"/records/{record['kind']}/{record['procore_id']}"
        return await self.call("PUT", path, json=record, **more)

    async def put_file(
        self, content: bytes, name: str = "plan.pdf", sha256: str | None = None
    ) -> httpx2.Response:
        sha256 = sha256 or hashlib.sha256(content).hexdigest()
        return await self.call(
            "PUT", f"/files/{sha256}", content=content, headers={"X-File-Name": name}
        )

    async def report(self, return_id: str, state: str, **more: Any) -> httpx2.Response:
        body = {"state": state, "as_of": "2026-11-24T10:00:00Z"} | more
        return await self.call("PUT", f"/returns/{return_id}/delivery", json=body)

    async def return_state(self, return_id: str) -> str:
        answer = await self.call("GET", f"/returns/{return_id}")
        return str(answer.json()["state"])

    async def sandbox(self, path: str, **body: Any) -> httpx2.Response:
        return await self.client.post(f"/_sandbox/{path}", json=body)

    async def effects(self, what: str) -> list[dict[str, Any]]:
        answer = await self.client.get("/_sandbox/ledger", params={"what": what})
        entries: list[dict[str, Any]] = answer.json()["entries"]
        return entries

    async def make_return(self, **more: Any) -> dict[str, Any]:
        order = {
            "project_id": PROJECT,
            "kind": "rfi",
            "procore_id": "101",
            "author": MAYA,
            "text": "Use M20 anchors.",
        }
        answer = await self.client.post("/_sandbox/returns", json=order | more)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


def bound(app: Any, **headers: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app)
    return httpx2.AsyncClient(transport=transport, base_url="http://part3.test", headers=headers)


@pytest.fixture
def part3(tmp_path: Path) -> Any:
    app, house = build_app(a_settings(tmp_path))
    seed(house, Seed())
    yield app, house
    house.store.close()


@pytest.fixture
def house(part3: tuple[Any, House]) -> House:
    return part3[1]


@pytest.fixture
async def api(part3: tuple[Any, House]) -> AsyncIterator[Part3Api]:
    async with bound(part3[0], Authorization=f"Bearer {TOKEN}") as client:
        yield Part3Api(client)


@pytest.fixture
def strangers(part3: tuple[Any, House]) -> Callable[..., httpx2.AsyncClient]:
    """A client without the service token."""
    return lambda **headers: bound(part3[0], **headers)


def events_of(house: House) -> list[dict[str, Any]]:
    """Every event written so far, oldest first."""
    rows = house.store.all("SELECT body FROM events ORDER BY created_at")
    return [msgspec.json.decode(row["body"]) for row in rows]
