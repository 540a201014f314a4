"""What every question has at hand: the people, the place, consent, what was made, the webhook."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from connector.probe.answers import Answers, Made
from connector.probe.authorizing import App
from connector.probe.events import Watch
from connector.probe.person import Declined, Person
from connector.probe.wire import Faulty, Seen, Session

MARK = "Connector probe"
NEEDS_SECOND = "it takes a second person who authorizes (--second)"
FILE_NAME = "connector-probe.txt"
FILE_BYTES = b"A file of the connector's probe. It may be deleted.\n"


@dataclass
class Probe:
    """A run under way.

    Attributes:
        first: the project Admin who authorized.
        second: another member who authorized too, if any.
        other_id: the Procore id of the member that is named beside the first, who may be mailed.
        hook_url: where the probe's webhooks send to.
    """

    app: App
    person: Person
    answers: Answers
    first: Session
    second: Session | None
    other_id: str
    other_name: str
    hook_url: str
    watch: Watch | None = None
    event_wait_s: float = 90.0
    settle_s: float = 10.0
    poll_s: float = 2.0

    @property
    def mark(self) -> str:
        """What stands in the title of everything that this run makes."""
        return f"{MARK} {self.answers.kept.run}"

    @property
    def namespace(self) -> str:
        """The webhook's namespace; a second one appends to it."""
        return f"part3-probe-{self.answers.kept.run}"

    @property
    def project_id(self) -> str:
        """Procore's id of the chosen project."""
        return self.answers.kept.project_id

    @property
    def webhooks(self) -> str:
        """The path of the project's webhooks."""
        kept = self.answers.kept
        return f"/rest/v2.0/companies/{kept.company_id}/projects/{kept.project_id}/webhooks"

    @property
    def rfis(self) -> str:
        """The path of the project's RFIs."""
        return f"/rest/v1.0/projects/{self.project_id}/rfis"

    @property
    def submittals(self) -> str:
        """The path of the project's submittals."""
        return f"/rest/v1.1/projects/{self.project_id}/submittals"

    async def consent(self, write: str) -> None:
        """Have a write agreed to before it is made. Raises Declined."""
        if not await self.person.agree(write):
            raise Declined(write)
        self.answers.kept.writes.append(write)
        self.answers.save()

    async def write(
        self, words: str, session: Session, method: str, path: str, **request: Any
    ) -> Seen:
        """Make one write that was agreed to. Raises Declined, Faulty."""
        await self.consent(f"{words}   [{method} {path}, as {session.label}]")
        return await session.call(method, path, **request)

    def made(self, what: str, one_id: Any, words: str) -> str:
        """Remember something to be removed at the end, and return its id."""
        self.answers.kept.made.append(Made(what=what, id=str(one_id), words=words))
        self.answers.save()
        return str(one_id)

    async def events_after(
        self, do: Callable[[], Awaitable[Seen]], wanted: Callable[[dict[str, Any]], bool]
    ) -> tuple[Seen, list[str]]:
        """Do something and return what it raised, as `RFIs/update` of each event of ours.

        Waits for `event_wait_s` for one that is wanted, then a little for what comes with it.

        Raises:
            Faulty: there is no webhook to see events by; nothing is done then.
        """
        if self.watch is None:
            raise Faulty("there is no webhook to see events by (see 3)")
        await self.watch.quiet(self.settle_s)
        seen = await do()
        came = await self.watch.until(wanted, self.event_wait_s, self.settle_s) if seen.ok else []
        return seen, [f"{one['resource']}/{one['reason']}" for one in came if wanted(one)]


def of_record(*ids: object) -> Callable[[dict[str, Any]], bool]:
    """Return a test for events of these records."""
    wanted = {str(one) for one in ids}
    return lambda event: event["id"] in wanted


def in_words(came: list[str]) -> str:
    """Say which events came, each kind once, in the order of the first of each."""
    return ", ".join(dict.fromkeys(came)) if came else "none came while we waited"
