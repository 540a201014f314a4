"""`connector probe`: find out at a Procore sandbox what its documentation leaves open."""

import asyncio
import secrets
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click
import httpx2

from connector.probe.answers import Answers, read_answers
from connector.probe.authorizing import OUT_OF_BAND, App, authorize, end
from connector.probe.cleaning import clean_up
from connector.probe.person import Person, Terminal
from connector.probe.place import choose_other, choose_place, greet
from connector.probe.probing import Probe
from connector.probe.report import counts, write_reports
from connector.probe.running import find_out
from connector.probe.unknowns import QUESTIONS
from connector.probe.wire import Faulty
from services.settings import Reader, read_or_exit

SANDBOXES = ("sandbox", "monthly")
NOBODY = "https://connector-probe.invalid/procore"
"""An address that no one can have (RFC 2606): deliveries fail, and are listed all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line says."""

    folder: Path
    company_id: str
    project_id: str
    other_id: str
    hook_url: str
    second: bool
    only: frozenset[int]
    event_wait_s: float
    settle_s: float
    poll_s: float = 2.0


def _app(reader: Reader) -> App:
    return App(
        login_url=reader.url("PROCORE_LOGIN_URL"),
        api_url=reader.url("PROCORE_API_URL"),
        client_id=reader.text("PROCORE_CLIENT_ID"),
        client_secret=reader.secret("PROCORE_CLIENT_SECRET"),
        redirect_uri=OUT_OF_BAND,
    )


@click.command()
@click.option(
    "--folder",
    default=".data/probe",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="For the answers so far and the two reports. The same folder resumes a run.",
)
@click.option(
    "--redirect-uri",
    default=OUT_OF_BAND,
    show_default=True,
    help="As registered with the app. http://localhost:PORT/… is listened on; with any other "
    "address you paste where the browser ended.",
)
@click.option("--company", "company_id", default="", metavar="ID", help="Instead of choosing.")
@click.option("--project", "project_id", default="", metavar="ID", help="Instead of choosing.")
@click.option("--other", "other_id", default="", metavar="ID", help="The member named beside you.")
@click.option("--second", is_flag=True, help="A second member authorizes too: more is answered.")
@click.option(
    "--hook-url",
    default=NOBODY,
    show_default=True,
    help="Where the probe's webhooks send to. Nobody has to answer there.",
)
@click.option(
    "--only", multiple=True, type=click.IntRange(1, len(QUESTIONS)), help="These unknowns alone."
)
@click.option(
    "--event-wait",
    "event_wait_s",
    default=90.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds to wait for an event before it is said that none came.",
)
@click.option(
    "--settle",
    "settle_s",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds without an event before the next thing is done.",
)
@click.option("--yes-to-writes", is_flag=True, help="Show each write and make it unasked.")
def probe(redirect_uri: str, yes_to_writes: bool, only: tuple[int, ...], **wishes: object) -> None:
    """Answer the 14 things that Procore's documentation leaves open, at a developer sandbox.

    Takes PROCORE_LOGIN_URL, PROCORE_API_URL, PROCORE_CLIENT_ID and PROCORE_CLIENT_SECRET. You
    authorize by a link, choose company and project, and agree to each write before it is made;
    what was made is removed at the end, and named in the report where it cannot be. What no
    machine can see is asked of you, or said to be unanswered. Takes about 20 minutes. Ends with 0
    when all is as assumed or unanswered, with 1 when something is different or was left behind.

    \b
    Examples:
      connector probe --second
      connector probe --only 6 --only 12
    """  # noqa: D301 - click keeps the lines after its mark
    app = replace(read_or_exit(_app), redirect_uri=redirect_uri)
    if is_production(app.api_url):
        message = f"{app.api_url} is production, and a probe writes: name a sandbox's API host"
        raise click.ClickException(message)
    person = Terminal(yes_to_writes=yes_to_writes, asks=sys.stdin.isatty())
    wished = Wishes(only=frozenset(only), **wishes)  # type: ignore[arg-type] # click checked them
    try:
        well = asyncio.run(run(app, person, wished))
    except (Faulty, ValueError) as fault:
        raise click.ClickException(str(fault)) from fault
    if not well:
        raise SystemExit(1)


def is_production(api_url: str) -> bool:
    """Tell Procore's production hosts from its sandboxes' and from stand-ins.

    Source: Procore's documentation, `platform_concepts/development_environments.md`.
    """
    host = f".{httpx2.URL(api_url).host}"
    return host.endswith(".procore.com") and not any(word in host for word in SANDBOXES)


async def run(app: App, person: Person, wishes: Wishes) -> bool:
    """Probe, clean up and report; tell whether nothing differs and nothing was left to remove."""
    answers = read_answers(wishes.folder / "answers.json", run=secrets.token_hex(3))
    if answers.kept.answers:
        person.say(f"Resuming run {answers.kept.run}: {len(answers.kept.answers)} parts are noted.")
    answers.kept.began_at = answers.kept.began_at or datetime.now(UTC).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=False) as http:
        return await probed(app, person, wishes, answers, http)


async def probed(
    app: App, person: Person, wishes: Wishes, answers: Answers, http: httpx2.AsyncClient
) -> bool:
    """Do all of it with one client. Raises Faulty where it could not even begin."""
    first = await authorize(app, person, http, "the first person")
    sessions = [first]
    try:
        await greet(first)
        await choose_place(
            answers, first, person, company_id=wishes.company_id, project_id=wishes.project_id
        )
        second = None
        if wishes.second:
            second = await authorize(app, person, http, "the second person")
            sessions.append(second)
            await greet(second)
            second.company_id = first.company_id
            if second.user_id == first.user_id:
                raise Faulty("the second person is the first: use another browser or log out")
        other_id, other = await choose_other(answers, first, second, person, wishes.other_id)
        probe = Probe(
            app=app,
            person=person,
            answers=answers,
            first=first,
            second=second,
            other_id=other_id,
            other_name=other,
            hook_url=wishes.hook_url,
            event_wait_s=wishes.event_wait_s,
            settle_s=wishes.settle_s,
            poll_s=wishes.poll_s,
        )
        try:
            await find_out(probe, wishes.only)
        finally:
            left = await clean_up(probe)
            paths = write_reports(answers, wishes.folder, api_url=app.api_url)
    finally:
        for session in sessions:
            if not await end(app, session):
                person.say(f"The tokens of {session.label} could not be revoked: do it in Procore.")
    found = counts(answers)
    person.say(
        f"{found['as_assumed']} as assumed, {found['found']} found out, {found['different']} "
        f"different, {found['unanswered']} unanswered."
    )
    stuck = [one for one in left if one.is_stuck]
    for one in stuck:
        person.say(f"Left behind: {one.what} {one.id}, {one.words}: {one.left}")
    person.say(f"Report: {paths[0]} and {paths[1]}")
    return not found["different"] and not stuck
