"""`connector rotate`: after a new first key is in place, bring on what the old one made."""

import asyncio

import click
from rich.console import Console
from rich.progress import Progress

from connector.keys import keys
from services.errors import ConnectorError
from services.http_client import HttpClient
from services.service_tokens import issue_service_token
from services.settings import KeyRing, Reader, read_or_exit
from services.token_client import TokenClient, all_connections


@click.group()
def rotate() -> None:
    """Replace secrets without downtime.

    Three steps, each on every replica before the next, so that none meets what it cannot open: put
    the new key behind the old one; put it first; take the old one out when `connector rotate keys`
    says that nothing needs it. After the second step grants are sealed with the new key by the
    token service itself; hooks are brought on by `connector rotate hooks`.
    """


rotate.add_command(keys)


@rotate.command()
@click.option("--project", "project_id", metavar="ID", help="Only this project's hook.")
def hooks(project_id: str | None) -> None:
    """Give every connected project's hook the secret of the first key of WEBHOOK_SECRET_KEYS.

    The gateway accepts the secrets of all keys meanwhile. Ends with 1 when a hook could not be
    brought on; run it again after what it names is mended.
    """
    urls, keys = read_or_exit(_settings)
    if asyncio.run(_rotate(urls, keys, project_id)):
        raise SystemExit(1)


def _settings(reader: Reader) -> tuple[tuple[str, ...], KeyRing]:
    return reader.urls("TOKEN_SERVICE_URL"), reader.key_ring("INTERNAL_API_KEYS")


async def _rotate(urls: tuple[str, ...], keys: KeyRing, project_id: str | None) -> int:
    """Bring the hooks on, and return how many could not be."""
    http = HttpClient("token service")
    client = TokenClient(http, urls, lambda: "Bearer " + issue_service_token(keys, "operator"))
    console, failed = Console(highlight=False), 0
    try:
        projects = [await _known(client, project_id)] if project_id else await _connected(client)
        if not projects:
            console.print("No project is connected: there are no hooks.")
            return 0
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            for one in progress.track(projects, description="hooks"):
                try:
                    state = await client.ensure_hook(one)
                except ConnectorError as error:
                    failed += 1
                    console.print(f"{one}: {error}", markup=False)
                else:
                    console.print(f"{one}: {state}", markup=False)
        console.print(f"{len(projects) - failed} of {len(projects)} hooks are as they should be.")
    except ConnectorError as error:
        raise click.ClickException(str(error)) from error
    finally:
        await http.close()
    return failed


async def _known(client: TokenClient, project_id: str) -> str:
    """Return the id of a project that has a hook; one that has none is told, not passed over."""
    connection = await client.connection(project_id)
    if connection is None or connection.state == "disconnected":
        message = f"project {project_id!r} is not connected: it has no hook"
        raise click.ClickException(message)
    return project_id


async def _connected(client: TokenClient) -> list[str]:
    connections = all_connections(client)
    return [one.project_id async for one in connections if one.state != "disconnected"]
