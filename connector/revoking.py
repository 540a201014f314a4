"""`connector revoke-all`: end people's authorizations in an incident, here and at Procore."""

import asyncio
import sys
import time

import click
from msgspec.structs import replace
from rich.console import Console
from rich.progress import Progress

from connector.patience import at_most
from connector.speaking import BY, REASON
from schemas.connections import Revocation, RevocationRequest
from services.errors import ConnectorError
from services.http_client import HttpClient
from services.service_tokens import issue_service_token
from services.settings import KeyRing, Reader, read_or_exit
from services.token_client import TokenClient

STEP_S = 1.0


@click.command("revoke-all")
@click.option("--user", "user_id", metavar="ID", help="Only this person's, by Part3's id.")
@click.option(
    "--company",
    "company_id",
    metavar="ID",
    help="Only of those who read or return in this Procore company's projects.",
)
@REASON
@BY
@click.option("--yes", is_flag=True, help="Revoke, without asking. Default: only count.")
@at_most(120.0, "Seconds to wait until Procore has been told of all.")
def revoke_all(
    *,
    user_id: str | None,
    company_id: str | None,
    reason: str,
    by: str,
    yes: bool,
    at_most_s: float,
) -> None:
    """End everybody's authorization with Procore, or one person's or company's. For incidents.

    First says what it will do. Then it wants the number of authorizations typed, or --yes; without
    either (in a script, a pipe) nothing is changed. It cannot be undone: each person has to
    authorize again, and their pages say so with your reason. Until then nothing of theirs is read
    or returned; returns wait and go by themselves afterwards.

    They are revoked here at once, so the token service hands out none of them any more, and at
    Procore as soon as it answers; workers forget what they were given within a minute. Ends with 0
    when Procore has been told of all, or nothing was to be changed; with 1 when it still has to be
    told of some after --at-most seconds (the token service goes on trying), or when the token
    service cannot be reached. Uses TOKEN_SERVICE_URL and INTERNAL_API_KEYS.

    \b
    Examples:
      connector revoke-all --reason "a laptop was stolen" --user usr_7
      connector revoke-all --reason "a key leaked" --yes
    """  # noqa: D301 - click keeps the lines after its mark
    if user_id is not None and company_id is not None:
        message = "--user ID or --company ID, not both"
        raise click.UsageError(message)
    urls, keys = read_or_exit(_settings)
    asked = RevocationRequest(by=by, reason=reason, user_id=user_id, company_id=company_id)
    try:
        left = asyncio.run(_revoke(urls, keys, asked, yes=yes, at_most_s=at_most_s))
    except ConnectorError as error:
        raise click.ClickException(str(error)) from error
    if left:
        raise click.ClickException(
            f"Procore has not answered for {left} yet: the token service goes on trying by itself. "
            "Here they are revoked"
        )


def _settings(reader: Reader) -> tuple[tuple[str, ...], KeyRing]:
    return reader.urls("TOKEN_SERVICE_URL"), reader.key_ring("INTERNAL_API_KEYS")


async def _revoke(
    urls: tuple[str, ...], keys: KeyRing, asked: RevocationRequest, *, yes: bool, at_most_s: float
) -> int:
    """Revoke if that is confirmed; return of how many Procore is yet to be told."""
    http = HttpClient("token service")
    client = TokenClient(http, urls, lambda: "Bearer " + issue_service_token(keys, "operator"))
    try:
        covered = await client.revoke(asked)
        if covered.grants + covered.unchosen + covered.waiting == 0:
            click.echo("Nobody has such an authorization: nothing is to be revoked.")
            return 0
        click.echo(_words(covered, asked))
        if not (yes or _confirmed(covered.grants)):
            click.echo("Nothing was changed. Say --yes to revoke them.")
            return 0
        done = await client.revoke(replace(asked, act=True))
        click.echo(
            f"Revoked here: {_counted(done.grants)}. Each of these people has to authorize again."
        )
        return await _until_told(client, asked, done.waiting, at_most_s)
    finally:
        await http.close()


def _words(covered: Revocation, asked: RevocationRequest) -> str:
    """Say what an order would do, before it is given."""
    whose = "of everybody"
    if asked.user_id is not None:
        whose = f"of person {asked.user_id}"
    elif asked.company_id is not None:
        whose = f"of those who work in company {asked.company_id}, for other companies too"
    lines = [f"This revokes {_counted(covered.grants)} {whose}, here and at Procore."]
    if covered.unchosen:
        lines.append(f"  {covered.unchosen} more that their people have not decided on yet.")
    lines += [
        f"  Connected projects that these people own: {covered.projects}. They stop until their",
        "  owners, or others who may read them, have authorized again.",
        "  Returns of these people wait until they have. What has crossed stays where it is.",
        "  It cannot be undone.",
    ]
    if covered.waiting:
        lines.append(f"Of {covered.waiting} revoked earlier, Procore is still to be told.")
    return "\n".join(lines)


def _confirmed(grants: int) -> bool:
    if not sys.stdin.isatty():
        return False
    typed = click.prompt("Type their number to revoke them", default="", show_default=False)
    return str(typed).strip() == str(grants)


def _counted(grants: int) -> str:
    return f"{grants} authorization{'' if grants == 1 else 's'}"


async def _until_told(
    client: TokenClient, asked: RevocationRequest, waiting: int, at_most_s: float
) -> int:
    """Wait until Procore has been told of all; return of how many it is not."""
    console = Console(stderr=True)
    started, most = time.monotonic(), waiting
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("telling Procore", total=most)
        while waiting and time.monotonic() - started < at_most_s:
            await asyncio.sleep(STEP_S)
            waiting = (await client.revoke(asked)).waiting
            progress.update(bar, completed=most - waiting)
    if not waiting:
        click.echo("Procore has been told of all.")
    return waiting
