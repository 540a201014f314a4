"""The demo from start to end; what it imports comes with the extras `demo` alone."""

import os

import click
import httpx2

from connector.demo.database import NotForDemo, make_empty, mark
from connector.demo.people import PASSWORD
from connector.demo.stack import Stack
from connector.demo.story import LOGINS, Story, our_pages
from connector.demo.telling import Teller
from connector.demo.upkeep import keep_up
from connector.demo.visitor import NotOnPage
from deploy.local.servers import LocalServers, local_servers, named_database, named_kafka
from services.errors import TryLater

PLAYING_FAULTS = (NotOnPage, NotForDemo, TryLater, httpx2.HTTPError)
"""What can stop the demo that is told in words; anything else is a fault of ours."""


async def play(*, once: bool) -> int:
    """Start everything, play the story and, unless it is for once, stay up until stopped."""
    teller = Teller()
    teller.say(_beginning())
    async with local_servers() as servers:
        logs = servers.run.folder / "logs"
        try:
            stack = await _started(servers, teller)
            await _told(stack, teller)
        except PLAYING_FAULTS as error:
            words = str(error) or type(error).__name__
            message = f"the demo stopped: {words}\nLogs are in {logs}"
            raise click.ClickException(message) from error
        teller.table()
        print_addresses(teller, stack)
        if not once:
            teller.say(f"\nEverything stays up; logs are in {logs}\nEnd it with Ctrl-C.")
            await keep_up(servers.run, teller.say)
        return 0


def _beginning() -> str:
    named = {"Kafka": named_kafka(), "Postgres": named_database()}
    used = "".join(
        f"Using the {name} that the environment names.\n" for name, where in named.items() if where
    )
    own = "".join(f"{name}, " for name, where in named.items() if not where)
    return f"{used}Starting {own}the stand-ins and the three programs …"


async def _started(servers: LocalServers, teller: Teller) -> Stack:
    named = servers.postgres is None
    if named and await make_empty(servers.database_url):
        teller.say("The data that an earlier demo left in the database of DATABASE_URL are gone.")
    stack = Stack(
        servers.run,
        kafka_bootstrap=servers.kafka_bootstrap,
        database_url=servers.database_url,
        topic_prefix=_prefix_of(servers),
    )
    await stack.start()
    if named:
        await mark(servers.database_url)
    return stack


def _prefix_of(servers: LocalServers) -> str:
    """Return the prefix of the topics: on a Kafka that others use too, one of this run's own."""
    own = f"demo-{servers.run.folder.name}." if servers.kafka is None else ""
    return os.environ.get("KAFKA_TOPIC_PREFIX", own)


async def _told(stack: Stack, teller: Teller) -> None:
    story = Story(stack, teller)
    try:
        await story.play()
    finally:
        await story.close()


def print_addresses(teller: Teller, stack: Stack) -> None:
    """Print where everything is, and who can log in."""
    teller.places(
        "Where it is",
        {
            "Part3": stack.part3,
            "Procore": stack.procore,
            "mail": stack.inbox,
            "connector": our_pages(stack),
        },
    )
    teller.people(f"Who can log in, on both sides, with the password {PASSWORD}", LOGINS)
