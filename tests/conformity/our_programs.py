"""Our programs' applications, in process, with fakes for what they stand on."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from schemas.connections import (
    AccessToken,
    Authorization,
    Authorizations,
    Connection,
    Revocation,
    RevocationRequest,
)
from schemas.connections import ConnectionPage as Connections
from schemas.dispositions import DispositionMap
from services.errors import NeedsPerson, TryLater
from services.health import Health, metrics_app
from services.hook_secrets import hook_secret
from services.http_exchange import AsgiApp, Message, Receive, Scope, Send
from services.metrics import Metrics
from services.service_tokens import issue_service_token
from services.settings import Key, KeyRing
from tests.conformity.asking import Headers
from tests.gateway.stage import KEYS, NOW, PART3_SECRETS, FakeKafka, signed
from token_service.connections.hooks import HookOutcome
from token_service.connections.shapes import BadCursor
from token_service.internal.api import InternalApi, internal_app
from token_service.internal.callers import Callers
from token_service.internal.rates import HandOutRates
from token_service.measures import Measures
from webhook_gateway.app import Counts, Gateway
from webhook_gateway.part3 import secret_of
from webhook_gateway.requests import hook_of

AT = datetime(2026, 11, 24, 8, 15, 30, tzinfo=UTC)
SERVICE_KEYS = KeyRing((Key("k1", b"i" * 32),))
PROJECTS = ("p-1", "p-unknown", "p-away")
USERS = ("anna", "nobody", "expired", "away")


def gateway(kafka: FakeKafka) -> AsgiApp:
    async def check() -> None:
        if kafka.away:
            raise TryLater("Kafka is away", reason="kafka_down")

    return Gateway(
        publisher=kafka,
        hook_keys=KEYS,
        part3_secrets=[secret_of(secret) for secret in PART3_SECRETS],
        health=Health({"kafka": check}, remembered_s=0),
        counts=Counts(Metrics()),
        clock=lambda: NOW,
    )


class Authentic:
    """Signs what passes, as the two senders do, and writes paths as they stand in a request."""

    def __init__(self, app: AsgiApp, *, signing: bool) -> None:
        self._app = app
        self._signing = signing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _whole(receive)
        raw_path = quote(scope["path"]).encode()
        scope = {**scope, "raw_path": raw_path, "headers": list(scope["headers"])}
        if self._signing:
            scope["headers"] += _signature(raw_path, body)
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return messages.pop() if messages else {"type": "http.disconnect"}

        await self._app(scope, again, send)


async def _whole(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        more: bytes = message.get("body", b"")
        body += more
        if not message.get("more_body", False):
            return body


def _signature(raw_path: bytes, body: bytes) -> list[tuple[bytes, bytes]]:
    if (hook := hook_of(raw_path)) is not None:
        return [(b"authorization", hook_secret(KEYS.first.secret, *hook).encode())]
    return [(name.encode(), value.encode()) for name, value in signed(body).items()]


class FakeTokens:
    async def get(self, user_id: str, *, caller: str, rejected: str | None) -> AccessToken:
        if user_id == "anna":
            return AccessToken(access_token="a-token", expires_at=AT, procore_user_id="501")
        if user_id == "expired":
            raise NeedsPerson("authorize again", reason="needs_reauthorization")
        if user_id == "away":
            raise TryLater("Procore does not answer", reason="procore_down", not_before=AT)
        raise NeedsPerson("has not authorized", reason="not_authorized")

    async def authorized_among(self, user_ids: Sequence[str]) -> Authorizations:
        found = [u for u in user_ids if u == "anna"]
        return Authorizations(
            items=tuple(Authorization(user_id=u, authorized_at=AT) for u in found)
        )


class FakeConnections:
    """One connected project; whoever asks for `p-away` hears that the database is."""

    one = Connection(
        project_id="p-1",
        state="active",
        procore_company_id="4264100",
        procore_project_id="9007199254740993",
        owner_user_id="anna",
        updated_at=AT,
    )

    async def get(self, project_id: str) -> Connection | None:
        _away(project_id)
        return self.one if project_id == "p-1" else None

    async def changed(self, _after: datetime | None, cursor: str | None) -> Connections:
        if cursor not in (None, "1"):
            raise BadCursor("the cursor is none of ours")
        return Connections(items=(self.one,), next_cursor=None if cursor else "1")

    async def ensure_hook(self, project_id: str) -> HookOutcome | None:
        if await self.get(project_id) is None:
            return None
        return HookOutcome(hook_id="7", state="ok", detail="It is as it should be.", key_id="k1")


class FakeDispositions:
    async def map_of(self, project_id: str) -> DispositionMap | None:
        _away(project_id)
        if project_id != "p-1":
            return None
        return DispositionMap(project_id="p-1", procore_project_id="9007199254740993")


class FakeRevocations:
    async def order(self, asked: RevocationRequest) -> Revocation:
        return Revocation(grants=2, unchosen=0, projects=1, waiting=0, revoked=asked.act)


def _away(project_id: str) -> None:
    if project_id == "p-away":
        raise TryLater("PostgreSQL does not answer", reason="postgres_down")


def internal() -> AsgiApp:
    measures = Measures(Metrics())
    api = InternalApi(
        tokens=cast("Any", FakeTokens()),
        connections=cast("Any", FakeConnections()),
        dispositions=cast("Any", FakeDispositions()),
        callers=Callers(SERVICE_KEYS),
        measures=measures,
        rates=HandOutRates(measures.asked_often.add),
        revocations=cast("Any", FakeRevocations()),
    )
    return cast("AsgiApp", internal_app(api, Health({})))


def service_callers() -> list[Headers]:
    known = [issue_service_token(SERVICE_KEYS, one) for one in ("sync_worker", "operator")]
    return [{"Authorization": f"Bearer {one}"} for one in (*known, "made-up")]


def observed(*, away: bool) -> AsgiApp:
    async def check() -> None:
        if away:
            raise TryLater("Kafka is away", reason="kafka_down")

    stuck = "it has not polled for 60 s" if away else None
    health = Health({"kafka": check}, alive={"consumer": lambda: stuck})
    return cast("AsgiApp", metrics_app(Metrics(), health))
