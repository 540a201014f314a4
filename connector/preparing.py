"""`connector migrate` and `connector topics`: what the programs expect to find when they start."""

import asyncio

import click

from connector.reaching import database_url
from services import kafka, postgres
from services.settings import KafkaSettings, read_or_exit

OWNERS = ("token_service", "sync_worker")


@click.command()
@click.option("--worker-role", metavar="ROLE", help="Existing role that the workers log in with.")
@click.option("--token-role", metavar="ROLE", help="Existing role of the token service.")
def migrate(worker_role: str | None, token_role: str | None) -> None:
    """Make or update the schemas `authority` and `mirror` in DATABASE_URL.

    Safe to repeat and safe twice at once. The role of DATABASE_URL must be allowed to create
    schemas; the programs' own roles need no such right: name them, at each migrate, and they get
    what they need and nothing else.
    """
    url = read_or_exit(database_url).reveal()
    try:
        applied = asyncio.run(postgres.migrate(url, OWNERS))
        asyncio.run(postgres.grant_roles(url, worker_role=worker_role, token_role=token_role))
    except ValueError as error:  # a role that is not there, or the same one twice
        raise click.ClickException(str(error)) from error
    except postgres.NOT_GRANTED as error:
        message = f"the role of DATABASE_URL may not ({error}): GRANT CREATE ON DATABASE … to it"
        raise click.ClickException(message) from error
    except postgres.CONNECTION_FAULTS as error:
        message = f"Postgres cannot be reached or refuses ({error}): check DATABASE_URL"
        raise click.ClickException(message) from error
    for name in applied:
        click.echo(f"applied  {name}")
    for role, what in ((worker_role, "the sync worker's"), (token_role, "the token service's")):
        if role is not None:
            click.echo(f"granted  {what} rights to {role}")
    click.echo("The database is up to date." if not applied else f"{len(applied)} applied.")


@click.command()
@click.option(
    "--partitions",
    default=12,
    show_default=True,
    type=click.IntRange(1),
    help="Of each topic that is made; no more workers than this can share the work.",
)
@click.option(
    "--replication",
    type=click.IntRange(1),
    help="Default: 3, or the number of brokers when there are fewer.",
)
def topics(partitions: int, replication: int | None) -> None:
    """Make the Kafka topics that are missing; those that exist stay as they are."""
    settings = read_or_exit(KafkaSettings.read)
    try:
        made = asyncio.run(
            kafka.create_topics(settings, partitions=partitions, replication=replication)
        )
    except kafka.KafkaAway as error:
        raise click.ClickException(str(error)) from error
    for name in made:
        click.echo(f"made     {name}")
    click.echo("All topics are there." if not made else f"{len(made)} made.")
