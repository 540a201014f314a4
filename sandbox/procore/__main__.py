"""`python -m sandbox.procore`: Procore on two free ports of this machine, until SIGTERM.

Environment, each also an argument: SANDBOX_PROCORE_HOST, _PORT, _STORAGE_PORT, _DATA; and
SANDBOX_PROCORE_CLIENT_ID, _CLIENT_SECRET (or _CLIENT_SECRET_FILE), _REDIRECT_URIS
(comma-separated), _PUBLIC_URL, _STORAGE_URL. The first line on standard output is JSON with
`url`, `storage_url` and `pid`.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator

import httpx2
import uvicorn
from starlette.types import ASGIApp

from sandbox.procore.app import build_app
from sandbox.procore.control import register
from sandbox.procore.dispatcher import Dispatcher
from sandbox.procore.settings import Settings, read_settings
from sandbox.procore.wire import CuttableProtocol
from sandbox.procore.world import World


class Server(uvicorn.Server):
    """Signals are the program's own affair, as two servers share it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that its port is known before anything is served."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, as asyncio turns Nagle's delay off only on sockets that say they are TCP.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.listen(256)  # who connects from now on waits until it is served
    return bound


def server_of(app: ASGIApp) -> Server:
    return Server(
        uvicorn.Config(
            app,
            http=CuttableProtocol,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
            server_header=False,
            date_header=False,  # the application's: it is of the stand-in's own clock
        )
    )


async def serve(settings: Settings) -> None:
    """Serve both hosts and deliver webhooks until a signal."""
    world = World(settings.data)
    main = listen(settings.host, settings.port)
    storage = listen(settings.host, settings.storage_port)
    world.public_url = settings.public_url or _origin(settings.host, main)
    world.storage_url = settings.storage_url or _origin(settings.host, storage)
    if settings.app is not None:
        register(world, settings.app)
    app = build_app(world)
    servers = [(server_of(app), main), (server_of(app.state.storage), storage)]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    print(
        json.dumps({"url": world.public_url, "storage_url": world.storage_url, "pid": os.getpid()}),
        flush=True,
    )
    async with (
        httpx2.AsyncClient(trust_env=False, follow_redirects=False) as client,
        asyncio.TaskGroup() as tasks,
    ):
        delivering = tasks.create_task(Dispatcher(world, client).run())
        serving = [tasks.create_task(server.serve([sock])) for server, sock in servers]
        await stop.wait()
        for server, _ in servers:
            server.should_exit = True
        await asyncio.gather(*serving)
        delivering.cancel()
    world.close()


def _origin(host: str, bound: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{bound.getsockname()[1]}"


def main() -> int:
    """0 after a signal."""
    asyncio.run(serve(read_settings()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
