"""Serves ASGI applications on one or more ports of a process, within limits, until told to end.

    stop = stop_on_signals()
    async with serving([Site("public", app, host, port), Site("metrics", metrics, host, 9090)]):
        await stop.wait()

Programs that do nothing else call `serve`. `X-Forwarded-*` is never read.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import structlog
import uvicorn

from services.http_connection import Connection
from services.http_exchange import AsgiApp
from services.http_limits import CountRefusal, Limits, count_nothing

BACKLOG = 1_024
log = structlog.get_logger()


class CannotListen(OSError):  # noqa: N818 - says what happened
    """A port is taken or a host is not ours; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a site really listens, after port 0 has become one."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for a client on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Site:
    """An application and where it is to listen.

    Attributes:
        name: for the log: public, internal, metrics.
        app: an ASGI 3 application; it gets no lifespan events.
        host: address to bind to.
        port: TCP port; 0 lets the system choose.
        limits: what a connection may cost.
        count: told each refusal that the application does not see.
    """

    name: str
    app: AsgiApp
    host: str
    port: int
    limits: Limits = field(default_factory=Limits)
    count: CountRefusal = count_nothing


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the program decides when to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


async def serve(sites: Sequence[Site], stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then let the requests under way finish."""
    async with serving(sites):
        await stop.wait()


@asynccontextmanager
async def serving(sites: Sequence[Site]) -> AsyncIterator[dict[str, Address]]:
    """Serve inside the block; yields the bound addresses by the sites' names.

    Raises:
        CannotListen: a port is taken or the host is not ours.
    """
    listeners = _bind_all(sites)
    servers = [_server(site) for site in sites]
    async with asyncio.TaskGroup() as tasks:
        for server, listener in zip(servers, listeners, strict=True):
            tasks.create_task(server.serve(sockets=[listener]))
        for server in servers:
            await server.listening.wait()
        try:
            yield _announced(sites, listeners)
        finally:
            for server in servers:
                server.should_exit = True


def _server(site: Site) -> _Server:
    connection = partial(Connection, limits=site.limits, count=site.count)
    config = uvicorn.Config(
        cast("Any", site.app),  # uvicorn's own types of ASGI are narrower than the specification's
        http=cast("type[asyncio.Protocol]", connection),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=int(site.limits.graceful_s),
    )
    return _Server(config)


def _bind_all(sites: Sequence[Site]) -> list[socket.socket]:
    with contextlib.ExitStack() as undo:
        listeners = [undo.enter_context(_bind(site)) for site in sites]
        undo.pop_all()
    return listeners


def _bind(site: Site) -> socket.socket:
    family = socket.AF_INET6 if ":" in site.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((site.host, site.port))
        listener.setblocking(False)  # noqa: FBT003 - positional only
    except OSError as error:
        listener.close()
        message = (
            f"cannot listen on {site.host} port {site.port} ({site.name}): {error.strerror}; "
            "set HTTP_HOST, HTTP_PORT, INTERNAL_PORT or METRICS_PORT to what is free"
        )
        raise CannotListen(message) from error
    return listener


def _announced(sites: Sequence[Site], listeners: Sequence[socket.socket]) -> dict[str, Address]:
    addresses = {}
    for site, listener in zip(sites, listeners, strict=True):
        host, port = listener.getsockname()[:2]
        addresses[site.name] = Address(host, port)
        log.info("http.listening", site=site.name, host=host, port=port)
    return addresses
