"""The gateway's routes: verify, read, publish, and only then answer 2xx.

A delivery that is authentic is never refused for its content: after a refusal Procore holds back
everything behind it. Only "not authentic" and "not stored" may be refused.
"""

import time
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette

from schemas.notices import Part3Notice, ProcoreNotice
from services import failpoints
from services.errors import TryLater
from services.health import Health, health_routes
from services.hook_secrets import is_hook_secret
from services.http_exchange import Headers, Receive, Scope, Send
from services.metrics import Metrics
from services.settings import KeyRing
from services.telemetry import traceparent_of
from services.tracing import following, is_tracing, span, traceparent_at_hand
from webhook_gateway.part3 import Claim, is_authentic, read_claim, read_part3
from webhook_gateway.procore import read_procore
from webhook_gateway.publishing import DeadLetter, Publish, Publishing
from webhook_gateway.readings import Ignored, Unreadable
from webhook_gateway.requests import (
    Gone,
    announces_too_much,
    answer,
    greet,
    hook_of,
    is_encoded,
    read_body,
    refuse,
    values_of,
)

PART3_PATH = b"/part3/events"
PROBES = (b"/livez", b"/readyz")
OUTCOMES = (
    "published",
    "dead_letter",
    "ignored",
    "unauthentic",
    "too_large",
    "encoded",
    "gone",
    "unavailable",
)
HEADER_VALUE_MAX = 200


class Counts:
    """What the gateway counts and measures."""

    def __init__(self, metrics: Metrics) -> None:
        self.deliveries = metrics.counter(
            "connector_gateway_deliveries",
            "Deliveries by sender and what became of them.",
            {"sender": ("procore", "part3"), "outcome": OUTCOMES},
        )
        self.publish_seconds = metrics.seconds(
            "connector_gateway_publish_seconds", "From a read body to Kafka's acknowledgement."
        )


class Gateway:
    """The ASGI application of the public port."""

    def __init__(
        self,
        *,
        publisher: Publish,
        hook_keys: KeyRing,
        part3_secrets: Sequence[bytes],
        health: Health,
        counts: Counts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._publishing = Publishing(publisher)
        self._hook_keys = hook_keys
        self._part3_secrets = tuple(part3_secrets)
        self._health = Starlette(routes=health_routes(health))
        self._counts = counts
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a request by its path, as it was written."""
        path: bytes = scope["raw_path"]
        if (hook := hook_of(path)) is None and path != PART3_PATH:
            await (self._health(scope, receive, send) if path in PROBES else refuse(send, 404))
            return
        if await greet(scope, send):
            return
        sender = "part3" if hook is None else "procore"
        try:
            if hook is None:
                outcome = await self._take_part3(scope, receive, send)
            else:
                outcome = await self._take_procore(scope, receive, send, *hook)
        except TryLater:
            outcome = "unavailable"
            await refuse(send, 503, (b"retry-after", b"1"))
        except Gone:
            outcome = "gone"
        self._counts.deliveries.add(sender, outcome)

    async def _take_procore(
        self, scope: Scope, receive: Receive, send: Send, project_id: str, generation: int
    ) -> str:
        """Answer 204 once Kafka holds the notice or the dead letter; return the outcome."""
        headers: Headers = scope["headers"]
        sent = values_of(headers, b"authorization")
        if not is_hook_secret(self._hook_keys, sent, project_id, generation):
            await refuse(send, 401)
            return "unauthentic"
        body, whole = await read_body(receive)
        failpoints.reach("g1")
        if is_encoded(headers):
            reading: ProcoreNotice | Unreadable | Ignored = Unreadable("content_encoding")
        elif not whole:
            reading = Unreadable("too_large")
        else:
            reading = read_procore(body, project_id=project_id, generation=generation)
        outcome = await self._publish(scope, body, reading, project_id=project_id)
        failpoints.reach("g2")
        await answer(send, 204)
        failpoints.reach("g3")
        return outcome

    async def _take_part3(self, scope: Scope, receive: Receive, send: Send) -> str:
        """Answer 202 once Kafka holds the notice or the dead letter; return the outcome."""
        headers: Headers = scope["headers"]
        claim = self._claim_of(headers)
        if claim is None:
            await refuse(send, 401)
            return "unauthentic"
        if announces_too_much(headers):
            await refuse(send, 413)
            return "too_large"
        body, whole = await read_body(receive)
        if not whole:
            await refuse(send, 413)
            return "too_large"
        if not is_authentic(claim, body, self._part3_secrets):
            await refuse(send, 401)
            return "unauthentic"
        if is_encoded(headers):
            await refuse(send, 415)
            return "encoded"
        failpoints.reach("g1")
        outcome = await self._publish(scope, body, read_part3(body, claim))
        failpoints.reach("g2")
        await answer(send, 202)
        failpoints.reach("g3")
        return outcome

    def _claim_of(self, headers: Headers) -> Claim | None:
        return read_claim(
            values_of(headers, b"webhook-id"),
            values_of(headers, b"webhook-timestamp"),
            values_of(headers, b"webhook-signature"),
            now=self._clock(),
        )

    def _publish(
        self,
        scope: Scope,
        body: bytes,
        reading: ProcoreNotice | Part3Notice | Unreadable | Ignored,
        *,
        project_id: str | None = None,
    ) -> Awaitable[str]:
        """Bring a reading to Kafka; return the outcome. Raises TryLater when Kafka is away."""
        traceparent = traceparent_of(_first(scope["headers"], b"traceparent").decode("ascii"))
        bring = self._traced if is_tracing() else self._bring
        return bring(scope, body, reading, project_id, traceparent)

    async def _traced(
        self,
        scope: Scope,
        body: bytes,
        reading: ProcoreNotice | Part3Notice | Unreadable | Ignored,
        project_id: str | None,
        traceparent: str,
    ) -> str:
        """Bring a reading as `_bring` does, and hand a span of ours on with it."""
        sender = "part3" if scope["raw_path"] == PART3_PATH else "procore"
        with following(traceparent), span("notice received", sender=sender):
            at_hand = traceparent_at_hand() or traceparent
            return await self._bring(scope, body, reading, project_id, at_hand)

    async def _bring(
        self,
        scope: Scope,
        body: bytes,
        reading: ProcoreNotice | Part3Notice | Unreadable | Ignored,
        project_id: str | None,
        traceparent: str,
    ) -> str:
        if isinstance(reading, Ignored):
            return "ignored"
        began = time.perf_counter()
        headers: Headers = scope["headers"]
        source: bytes = scope["raw_path"]
        if isinstance(reading, Unreadable):
            letter = DeadLetter(
                body=body,
                cause=reading.cause,
                source=source,
                project_id=project_id,
                content_type=_first(headers, b"content-type"),
                content_encoding=_first(headers, b"content-encoding"),
            )
            await self._publishing.bury(letter, traceparent)
            outcome = "dead_letter"
        else:
            await self._publishing.notice(reading, source, traceparent)
            outcome = "published"
        self._counts.publish_seconds.observe(time.perf_counter() - began)
        return outcome


def _first(headers: Headers, name: bytes) -> bytes:
    for key, value in headers:
        if key == name:
            return value[:HEADER_VALUE_MAX]
    return b""
