"""A token service put together for real: real PostgreSQL, a strict login host, faked APIs."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import msgspec
import pytest
import pytest_asyncio

from schemas.returns import Member, Project
from services.health import Health
from services.http_client import HttpClient
from services.metrics import Metrics
from services.postgres import Postgres, migrate, open_postgres
from services.procore.oauth import TokenPair
from services.settings import Key, KeyRing, Reader, Secret
from tests.token_service.login_host import (
    CLIENT_ID,
    CLIENT_SECRET,
    Account,
    LoginHost,
    serving_login,
)
from tests.token_service.procore_api_host import ProcoreHost
from token_service.connections.store import ConnectionStore
from token_service.grants.seal import Sealer
from token_service.grants.store import GrantStore, Identity
from token_service.internal.api import internal_app
from token_service.public.app import public_app
from token_service.services import Outside, Services, assemble
from token_service.settings import Settings
from token_service.slow_bodies import BodyDeadline

ANNA = Account("501", "anna@builders.example", "Anna Reyes")
BEN = Account("502", "ben@builders.example", "Ben Ode")


def ring(*ids: str, length: int = 32) -> KeyRing:
    return KeyRing(tuple(Key(name, secrets.token_bytes(length)) for name in ids))


@pytest_asyncio.fixture
async def authority(database: str) -> AsyncIterator[Postgres]:
    """A migrated database of the test's own."""
    await migrate(database, ["sync_worker", "token_service"])
    async with open_postgres(database, max_size=8) as postgres:
        yield postgres


@pytest_asyncio.fixture
async def login() -> AsyncIterator[LoginHost]:
    async with serving_login() as host:
        yield host


@pytest.fixture
def procore() -> ProcoreHost:
    return ProcoreHost()


class Flowing(httpx2.AsyncByteStream):
    """A body that comes over a wire, as the real transport has it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def wired(answer: Callable[[httpx2.Request], httpx2.Response]) -> httpx2.MockTransport:
    async def handle(request: httpx2.Request) -> httpx2.Response:
        made = answer(request)
        return httpx2.Response(made.status_code, headers=made.headers, stream=Flowing(made.content))

    return httpx2.MockTransport(handle)


class Part3Host:
    """`GET /v1/projects/{id}` with the teams a test puts there."""

    def __init__(self) -> None:
        self.projects: dict[str, Project] = {}
        self.down = False

    def add(self, project_id: str, **roles: str) -> None:
        team = tuple(
            Member(
                user_id=user_id,
                name=user_id.title(),
                email=f"{user_id}@x.example",
                company="Builders",
                role=role,  # type: ignore[arg-type]
            )
            for user_id, role in roles.items()
        )
        self.projects[project_id] = Project(id=project_id, name=f"Project {project_id}", team=team)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if self.down:
            raise httpx2.ConnectError("refused")
        project = self.projects.get(request.url.path.rsplit("/", 1)[-1])
        if project is None:
            return httpx2.Response(404, json={"title": "no"})
        return httpx2.Response(200, content=msgspec.json.encode(project))


@pytest.fixture
def part3() -> Part3Host:
    return Part3Host()


@pytest.fixture
def settings(login: LoginHost, tmp_path: Path) -> Settings:
    return settings_for(login.url, tmp_path)


def settings_for(login_url: str, spool: Path, **changed: str) -> Settings:
    def keys(name: str) -> str:
        return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"

    reader = Reader(
        {
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "WEBHOOK_SECRET_KEYS": keys("w1"),
            "TOKEN_ENCRYPTION_KEYS": keys("s1"),
            "PART3_LAUNCH_KEYS": keys("l1"),
            "INTERNAL_API_KEYS": keys("i1"),
            "PROCORE_LOGIN_URL": login_url,
            "PROCORE_API_URL": "https://api.procore.example",
            "PROCORE_CLIENT_ID": CLIENT_ID,
            "PROCORE_CLIENT_SECRET": CLIENT_SECRET,
            "PUBLIC_URL": "http://127.0.0.1:8081",
            "GATEWAY_PUBLIC_URL": "https://hooks.connector.example",
            "PART3_API_URL": "https://api.part3.example",
            "PART3_API_TOKEN": "part3-api-token-canary-77aa",
            "PART3_ORIGIN": "https://app.part3.example",
            "REFRESH_DEADLINE_S": "5",
            "REFRESH_LEASE_S": "8",
            "REFRESH_SPOOL_DIR": str(spool),
            **changed,
        }
    )
    settings = Settings.read(reader)
    reader.finish()
    return settings


@dataclass
class Running:
    """A replica, and clients for its two ports."""

    settings: Settings
    services: Services
    database: Postgres
    public: httpx2.AsyncClient
    internal: httpx2.AsyncClient
    store: GrantStore
    metrics: Metrics

    async def grant(
        self, user_id: str, account: Account, login: LoginHost, *, seconds_left: float = 5000.0
    ) -> TokenPair:
        """Give a person a grant that Procore knows, `seconds_left` before its access token ends."""
        answer = login.pair_for(account)
        pair = TokenPair(
            Secret(str(answer["access_token"])), Secret(str(answer["refresh_token"])), 5400.0
        )
        now = await self.database.fetchval("SELECT now()")
        sealed = self.store.seal(user_id, pair, now)
        identity = Identity(account.procore_user_id, account.login, account.name)
        await self.store.put(self.database, user_id, identity, sealed)
        await self.age(user_id, seconds_left)
        return pair

    async def age(self, user_id: str, seconds_left: float) -> None:
        await self.database.execute(
            "UPDATE authority.grants SET expires_at = now() + make_interval(secs => $2) "
            "WHERE user_id = $1",
            user_id,
            seconds_left,
        )


@asynccontextmanager
async def replica(
    settings: Settings, database: Postgres, procore: ProcoreHost, part3: Part3Host
) -> AsyncIterator[Running]:
    procore_http = HttpClient("Procore", transport=wired(procore.answer))
    part3_http = HttpClient("Part3", transport=wired(part3.answer))
    metrics = Metrics()
    services = assemble(
        settings,
        Outside(
            database=database,
            procore_http=procore_http,
            part3_http=part3_http,
            metrics=metrics,
            ending=asyncio.Event(),
        ),
    )

    async def check() -> None:
        await database.fetchval("SELECT 1")

    health = Health({"postgres": check})
    public = BodyDeadline(
        public_app(services.desk, services.pad, services.authorizing, health, https=settings.https)
    )
    internal = BodyDeadline(internal_app(services.internal, health))
    store = GrantStore(
        database,
        Sealer(settings.sealing_keys),
        urlsplit(settings.procore_login_url).hostname or "",
    )
    async with (
        services.refresher.running(),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(public), base_url=settings.public_url
        ) as public_client,
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(internal), base_url="http://internal"
        ) as internal_client,
    ):
        yield Running(settings, services, database, public_client, internal_client, store, metrics)
    await procore_http.close()
    await part3_http.close()


@pytest_asyncio.fixture
async def running(
    settings: Settings,
    authority: Postgres,
    procore: ProcoreHost,
    part3: Part3Host,
    login: LoginHost,
) -> AsyncIterator[Running]:
    procore.accounts = login.access_tokens
    async with replica(settings, authority, procore, part3) as one:
        yield one


@pytest.fixture
async def connections(running: Running, login: LoginHost) -> ConnectionStore:
    await running.grant("anna", ANNA, login)
    return running.services.connections
