"""Everything on one machine: the three programs, both stand-ins and the mail inbox.

The demo shows it to people; the tests of the whole system break it on purpose.
"""

import base64
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import Program
from deploy.local.readiness import Ready, http_ready, port_ready
from deploy.local.runs import Run

FAST = {
    # A demo's patience: the same machinery, looked at more often than a real project needs.
    "LOOK_DELAY_S": "1.0",
    "SETTLE_S": "15",
    "SWEEP_S": "60",
    "RECHECK_S": "2",
    "RETRY_MAX_S": "30",
    "WRITE_DEADLINE_S": "10",
    "QUIET_S": "15",
    "KAFKA_SESSION_TIMEOUT_S": "10",
}


def new_key(name: str) -> str:
    """Return a fresh 256-bit key written `id:base64`."""
    return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def alone(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables and, unset, those by which the caller's shell may name files for the same.

    Both together would not be a usable setting.
    """
    return {f"{name}_FILE": "" for name in environment} | dict(environment)


@dataclass(frozen=True, slots=True)
class Ports:
    """A free port for each thing that listens."""

    procore: int = field(default_factory=free_port)
    procore_storage: int = field(default_factory=free_port)
    part3: int = field(default_factory=free_port)
    inbox: int = field(default_factory=free_port)
    smtp: int = field(default_factory=free_port)
    gateway: int = field(default_factory=free_port)
    gateway_metrics: int = field(default_factory=free_port)
    pages: int = field(default_factory=free_port)
    internal: int = field(default_factory=free_port)
    pages_metrics: int = field(default_factory=free_port)


def url_of(port: int) -> str:
    """Return the address of a port of this machine."""
    return f"http://{LOOPBACK}:{port}"


class Stack:
    """The programs of one run, by name, and where each is reached."""

    def __init__(
        self,
        run: Run,
        *,
        kafka_bootstrap: str,
        database_url: str,
        topic_prefix: str = "",
        overrides: Mapping[str, str] | None = None,
        own: Mapping[str, Mapping[str, str]] | None = None,
        migrating: Sequence[str] = (),
    ) -> None:
        """Describe the programs; `start` starts them.

        Args:
            run: what the programs belong to and end with.
            kafka_bootstrap: as KAFKA_BOOTSTRAP_SERVERS.
            database_url: as DATABASE_URL.
            topic_prefix: as KAFKA_TOPIC_PREFIX.
            overrides: variables that replace those of FAST.
            own: variables of one program alone, by module: `{"sync_worker": {"DATABASE_URL": …}}`.
            migrating: arguments of `connector migrate`, which runs with `database_url`.
        """
        self._own = own or {}
        self._migrating = migrating
        self.run = run
        self.folder = run.folder / "standins"
        self.ports = Ports()
        self.procore = url_of(self.ports.procore)
        self.part3 = url_of(self.ports.part3)
        self.inbox = url_of(self.ports.inbox)
        self.gateway = url_of(self.ports.gateway)
        self.pages = url_of(self.ports.pages)
        self.internal = url_of(self.ports.internal)
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
            "KAFKA_TOPIC_PREFIX": topic_prefix,
            "DATABASE_URL": database_url,
            "WEBHOOK_SECRET_KEYS": new_key("w1"),
            "PART3_WEBHOOK_SECRETS": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "TOKEN_ENCRYPTION_KEYS": new_key("t1"),
            "PART3_LAUNCH_KEYS": new_key("l1"),
            "INTERNAL_API_KEYS": new_key("i1"),
            "PROCORE_LOGIN_URL": self.procore,
            "PROCORE_API_URL": self.procore,
            "PROCORE_CLIENT_ID": "part3-connector",
            "PROCORE_CLIENT_SECRET": secrets.token_urlsafe(24),
            "PROCORE_FILE_ORIGINS": f"{self.procore},{url_of(self.ports.procore_storage)}",
            "PUBLIC_URL": self.pages,
            "GATEWAY_PUBLIC_URL": self.gateway,
            "PART3_API_URL": self.part3,
            "PART3_API_TOKEN": secrets.token_urlsafe(24),
            "PART3_ORIGIN": self.part3,
            "TOKEN_SERVICE_URL": self.internal,
            "HTTP_HOST": LOOPBACK,
            "REFRESH_SPOOL_DIR": str(run.folder / "spool"),
            "LOG_LEVEL": "info",
            **FAST,
            **(overrides or {}),
        }

    @property
    def callback_url(self) -> str:
        """Where Procore sends people back to."""
        return f"{self.pages}/oauth/procore/callback"

    async def start(self, *, workers: int = 1) -> None:
        """Start all of it, each when what it leans on is ready."""
        await self.start_standins()
        await self.prepare()
        await self.add_gateway()
        await self.add_token_service()
        for number in range(1, workers + 1):
            await self.add_worker(number)

    async def start_standins(self) -> None:
        """Start Procore's and Part3's stand-ins and the mail inbox."""
        await self._add(
            "inbox",
            ["-m", "sandbox.inbox"],
            {
                "SANDBOX_INBOX_DATA": str(self.folder / "inbox"),
                "SANDBOX_INBOX_HOST": LOOPBACK,
                "SANDBOX_INBOX_PORT": str(self.ports.inbox),
                "SMTP_PORT": str(self.ports.smtp),
            },
            port=self.ports.inbox,
        )
        await self._add(
            "procore",
            ["-m", "sandbox.procore"],
            {
                "SANDBOX_PROCORE_DATA": str(self.folder / "procore"),
                "SANDBOX_PROCORE_HOST": LOOPBACK,
                "SANDBOX_PROCORE_PORT": str(self.ports.procore),
                "SANDBOX_PROCORE_STORAGE_PORT": str(self.ports.procore_storage),
                "SANDBOX_PROCORE_CLIENT_ID": self.environment["PROCORE_CLIENT_ID"],
                "SANDBOX_PROCORE_CLIENT_SECRET": self.environment["PROCORE_CLIENT_SECRET"],
                "SANDBOX_PROCORE_REDIRECT_URIS": self.callback_url,
            },
            port=self.ports.procore,
        )
        await self._add(
            "part3",
            ["-m", "sandbox.part3"],
            {
                "SANDBOX_PART3_DATA": str(self.folder / "part3"),
                "SANDBOX_PART3_HOST": LOOPBACK,
                "SANDBOX_PART3_PORT": str(self.ports.part3),
                "PART3_API_TOKEN": self.environment["PART3_API_TOKEN"],
                "PART3_WEBHOOK_SECRET": self.environment["PART3_WEBHOOK_SECRETS"],
                "PART3_LAUNCH_KEYS": self.environment["PART3_LAUNCH_KEYS"],
                "GATEWAY_URL": self.gateway,
                "CONNECTOR_PUBLIC_URL": self.pages,
                "SMTP_HOST": LOOPBACK,
                "SMTP_PORT": str(self.ports.smtp),
            },
            port=self.ports.part3,
        )

    async def prepare(self) -> None:
        """Make the schemas and the topics, as an operator does before the programs start."""
        for arguments in (["migrate", *self._migrating], ["topics", "--partitions", "6"]):
            await self.run.complete(
                f"connector-{arguments[0]}",
                [sys.executable, "-m", "connector", *arguments],
                environment=alone(self.environment),
            )

    async def add_gateway(self) -> None:
        """Start the webhook gateway."""
        mine = {
            "HTTP_PORT": str(self.ports.gateway),
            "METRICS_PORT": str(self.ports.gateway_metrics),
        }
        await self._add_ours("gateway", "webhook_gateway", mine, f"{self.gateway}/readyz")

    async def add_token_service(self) -> None:
        """Start the token service."""
        mine = {
            "HTTP_PORT": str(self.ports.pages),
            "INTERNAL_PORT": str(self.ports.internal),
            "METRICS_PORT": str(self.ports.pages_metrics),
        }
        await self._add_ours("token-service", "token_service", mine, f"{self.pages}/readyz")

    async def add_worker(self, number: int) -> Program:
        """Start a sync worker, the `number`th."""
        port = free_port()
        name = f"worker-{number}"
        mine = {"METRICS_PORT": str(port), "WORKER_ID": name}
        await self._add_ours(name, "sync_worker", mine, f"{url_of(port)}/readyz")
        return self.program(name)

    def program(self, name: str) -> Program:
        """Return a program by its name, e.g. `worker-1`."""
        return self.run.programs[name]

    async def _add(
        self, name: str, arguments: list[str], variables: Mapping[str, str], *, port: int
    ) -> None:
        await self._start(name, arguments, variables, port_ready(port))

    async def _add_ours(
        self, name: str, module: str, variables: Mapping[str, str], readyz: str
    ) -> None:
        environment = {**self.environment, **variables, **self._own.get(module, {})}
        await self._start(name, ["-m", module], environment, http_ready(readyz))

    async def _start(
        self, name: str, arguments: list[str], environment: Mapping[str, str], ready: Ready
    ) -> None:
        command = [sys.executable, *arguments]
        await self.run.start(name, command, environment=alone(environment), ready=ready)
