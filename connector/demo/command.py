"""`connector demo`: start everything, play the story, and stay up to play with."""

import click
from rich.table import Table

from connector.demo.stack import Stack
from connector.demo.story import LOGINS, Story
from connector.demo.telling import Teller
from connector.demo.visitor import NotOnPage


@click.command()
@click.option("--once", is_flag=True, help="End after the story: with 0, or with 1 and the reason.")
def demo(once: bool) -> None:
    """Start the whole system with stand-ins on this machine and play the story on it.

    Kafka and Postgres start by themselves, unless KAFKA_BOOTSTRAP_SERVERS or DATABASE_URL name
    others. Everything listens on 127.0.0.1 and ends with the command.
    """
    try:
        from deploy.local.commands import run_command  # noqa: PLC0415 - only with the demo's extras
        from deploy.local.servers import local_servers  # noqa: PLC0415 - as above
    except ImportError as error:
        message = f"the demo needs its extras ({error.name}): pip install '.[demo]', or make demo"
        raise click.ClickException(message) from error

    async def run() -> int:
        teller = Teller()
        teller.say("Starting Kafka, Postgres, the stand-ins and the three programs …")
        async with local_servers() as servers:
            prefix = f"demo-{servers.run.folder.name}." if servers.kafka is None else ""
            stack = Stack(
                servers.run,
                kafka_bootstrap=servers.kafka_bootstrap,
                database_url=servers.database_url,
                topic_prefix=prefix,
            )
            await stack.start()
            story = Story(stack, teller)
            try:
                await story.play()
            except NotOnPage as error:
                message = f"the story stopped: {error}; logs are in {servers.run.folder / 'logs'}"
                raise click.ClickException(message) from error
            finally:
                await story.close()
            teller.table()
            _print_addresses(teller, stack)
            if not once:
                teller.say("\nEverything stays up. End it with Ctrl-C.")
                await servers.run.watch()
            return 0

    raise SystemExit(run_command(run()))


def _print_addresses(teller: Teller, stack: Stack) -> None:
    places = Table(title="Where it is", title_justify="left")
    places.add_column("what")
    places.add_column("address", no_wrap=True)
    for what, url in (
        ("Part3", stack.part3),
        ("Procore", stack.procore),
        ("the connector's pages (come in from Part3)", stack.pages),
        ("mail inbox", stack.inbox),
    ):
        places.add_row(what, url)
    people = Table(title="Who can log in, on both sides", title_justify="left")
    for heading in ("name", "e-mail", "password", "who"):
        people.add_column(heading)
    for login in LOGINS:
        people.add_row(*login)
    teller.console.print(places)
    teller.console.print(people)
