"""A gateway to send deliveries to, and a Kafka that only remembers."""

import base64
import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from services.errors import TryLater
from services.health import Health
from services.hook_secrets import hook_secret
from services.http_limits import Limits
from services.http_server import Site, serving
from services.metrics import Metrics
from services.settings import Key, KeyRing
from tests.http_server.raw import Answers, answers_of
from webhook_gateway.app import Counts, Gateway
from webhook_gateway.part3 import secret_of

HOST = b"Host: gateway.test\r\n"
KEYS = KeyRing((Key("new", b"n" * 32), Key("old", b"o" * 32)))
PART3_SECRETS = tuple("whsec_" + base64.b64encode(letter * 24).decode() for letter in (b"a", b"b"))
NOW = 1_795_000_000
LIMITS = Limits(head_s=1.0, body_s=0.4, idle_s=1.0, linger_s=0.2)
V4 = {
    "id": "01JE0000000000000000000001",
    "timestamp": "2026-11-24T08:15:30.123456Z",
    "reason": "Update",
    "company_id": "4264100",
    "project_id": "9007199254740993",
    "user_id": "77",
    "resource_type": "RFIs",
    "resource_id": "12345",
}


@dataclass(frozen=True)
class Written:
    topic: str
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]

    @property
    def json(self) -> Any:
        return json.loads(self.value)


@dataclass
class FakeKafka:
    """Remembers what was published, or is away."""

    written: list[Written] = field(default_factory=list)
    away: bool = False

    async def publish(
        self, topic: str, key: bytes | None, value: bytes, headers: Iterable[tuple[str, bytes]] = ()
    ) -> None:
        if self.away:
            raise TryLater("Kafka is away", reason="kafka_down")
        self.written.append(Written(topic, key, value, dict(headers)))


@dataclass
class Stage:
    port: int
    kafka: FakeKafka
    metrics: Metrics

    async def send(self, request: bytes) -> Answers:
        return await answers_of(self.port, 1, request)

    def count(self, sender: str, outcome: str) -> float:
        labels = {"sender": sender, "outcome": outcome}
        return (
            self.metrics.registry.get_sample_value("connector_gateway_deliveries_total", labels)
            or 0
        )


@asynccontextmanager
async def stage(
    hook_keys: KeyRing = KEYS, part3_secrets: Sequence[str] = PART3_SECRETS
) -> AsyncIterator[Stage]:
    kafka, metrics = FakeKafka(), Metrics()

    async def check() -> None:
        await kafka.publish("", None, b"")
        kafka.written.pop()

    gateway = Gateway(
        publisher=kafka,
        hook_keys=hook_keys,
        part3_secrets=[secret_of(secret) for secret in part3_secrets],
        health=Health({"kafka": check}, remembered_s=0),
        counts=Counts(metrics),
        clock=lambda: NOW,
    )
    async with serving([Site("public", gateway, "127.0.0.1", 0, LIMITS)]) as addresses:
        yield Stage(addresses["public"].port, kafka, metrics)


def procore(
    body: bytes | dict[str, Any],
    *headers: bytes,
    path: bytes = b"/procore/project-1/3",
    authorization: bytes | None = None,
    length: int | None = None,
) -> bytes:
    """A delivery to a hook; without other wishes authentic for project-1, generation 3."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    if authorization is None:
        authorization = hook_secret(KEYS.first.secret, "project-1", 3).encode()
    lines = [
        b"POST %b HTTP/1.1" % path,
        b"Host: gateway.test",
        b"Authorization: " + authorization,
        b"Content-Type: application/json",
        b"Content-Length: %d" % (len(content) if length is None else length),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def signed(body: bytes, *, secret: str = PART3_SECRETS[0], sent_at: int = NOW) -> dict[str, str]:
    """Headers that the reference library's signer makes for a body."""
    moment = datetime.fromtimestamp(sent_at, UTC)
    signature = Webhook(secret).sign("msg_1", moment, body.decode("utf-8", "surrogateescape"))
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(sent_at),
        "webhook-signature": signature,
    }


def part3(
    body: bytes | dict[str, Any], headers: dict[str, str] | None = None, *more: bytes
) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    claimed = signed(content) if headers is None else headers
    lines = [
        b"POST /part3/events HTTP/1.1",
        b"Host: gateway.test",
        b"Content-Length: %d" % len(content),
        *(f"{name}: {value}".encode() for name, value in claimed.items()),
        *more,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def now_signed(body: bytes) -> dict[str, str]:
    """Headers for a program that has the real clock."""
    return signed(body, sent_at=int(time.time()))
