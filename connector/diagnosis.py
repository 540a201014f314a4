"""`connector doctor`: every dependency and setting, each fault with its remedy."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial

import click
import httpx2
from rich.console import Console
from rich.markup import escape

from connector.preparing import OWNERS
from schemas.notices import WORKER_GROUP
from services import kafka, postgres
from services.service_tokens import issue_service_token
from services.settings import EX_CONFIG, KafkaSettings, KeyRing, Reader, Secret

TIMEOUT_S = 10.0
MOST_SKEW_S = 60.0
OK, UNAUTHORIZED = 200, 401


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `remedy` is empty when all is well."""

    check: str
    ok: bool
    words: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the doctor needs of the programs' environment."""

    kafka: KafkaSettings
    database_url: Secret
    part3_api_url: str
    part3_api_token: Secret
    procore_login_url: str
    procore_api_url: str
    token_service_urls: tuple[str, ...]
    gateway_url: str
    pages_url: str
    internal_keys: KeyRing

    @classmethod
    def read(cls, reader: Reader) -> "Surroundings":
        """Read and check the variables of all three programs; faults gather in the reader."""
        reader.key_ring("WEBHOOK_SECRET_KEYS")
        reader.key_ring("TOKEN_ENCRYPTION_KEYS", length=32)
        reader.key_ring("PART3_LAUNCH_KEYS")
        reader.text("PROCORE_CLIENT_ID")
        reader.secret("PROCORE_CLIENT_SECRET")
        reader.secret("PART3_WEBHOOK_SECRETS")
        reader.url("PART3_ORIGIN")
        return cls(
            kafka=KafkaSettings.read(reader),
            database_url=reader.database_url(),
            part3_api_url=reader.url("PART3_API_URL"),
            part3_api_token=reader.secret("PART3_API_TOKEN"),
            procore_login_url=reader.url("PROCORE_LOGIN_URL"),
            procore_api_url=reader.url("PROCORE_API_URL"),
            token_service_urls=reader.urls("TOKEN_SERVICE_URL"),
            gateway_url=reader.url("GATEWAY_PUBLIC_URL"),
            pages_url=reader.url("PUBLIC_URL"),
            internal_keys=reader.key_ring("INTERNAL_API_KEYS"),
        )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON document.")
def doctor(as_json: bool) -> None:
    """Check every dependency, setting, topic, schema and clock; name each fault and its remedy.

    Takes the environment of all three programs. Ends with 0 when all is well, with 1 when
    something is not, and with 78 when the settings are not usable: then nothing else is looked at.
    """
    reader = Reader()
    surroundings = Surroundings.read(reader)
    if reader.faults:
        findings = [_setting(fault) for fault in reader.faults]
    else:
        findings = [Finding("settings", ok=True, words="every variable is there and well-formed")]
        findings += asyncio.run(_examine(surroundings))
    well = all(finding.ok for finding in findings)
    if as_json:
        said = {"ok": well, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        _print(findings)
    if not well:
        raise SystemExit(EX_CONFIG if reader.faults else 1)


def _setting(fault: str) -> Finding:
    """Make a finding of "NAME is …: what to do"."""
    return Finding("settings", ok=False, words=fault, remedy="See docs/configuration.md.")


async def _examine(around: Surroundings) -> list[Finding]:
    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:

        def answers(url: str) -> Callable[[], Awaitable[str]]:
            return lambda: _answers(client, url)

        checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("kafka", lambda: _kafka(around.kafka)),
            ("postgres", lambda: _postgres(around.database_url.reveal())),
            ("part3", lambda: _part3(client, around)),
            ("procore login", answers(around.procore_login_url)),
            ("procore api", answers(around.procore_api_url)),
            ("clock", lambda: _clock(client, around.part3_api_url, "Part3")),
            ("clock, procore", lambda: _clock(client, around.procore_api_url, "Procore")),
            ("gateway", lambda: _ready(client, around.gateway_url, "GATEWAY_PUBLIC_URL")),
            ("token service, pages", lambda: _ready(client, around.pages_url, "PUBLIC_URL")),
            *(
                (f"token service, internal {url}", partial(_internal, client, url, around))
                for url in around.token_service_urls
            ),
            ("workers", lambda: _workers(around.kafka)),
        ]
        return await asyncio.gather(*(_finding(name, check) for name, check in checks))


async def _finding(name: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, ok=True, words=await check())
    except Ill as ill:
        return Finding(name, ok=False, words=ill.words, remedy=ill.remedy)


class Ill(Exception):  # noqa: N818 - what the doctor says
    """A check found a fault."""

    def __init__(self, words: str, remedy: str) -> None:
        self.words = words
        self.remedy = remedy
        super().__init__(words)


async def _kafka(settings: KafkaSettings) -> str:
    try:
        await kafka.check(settings)
    except kafka.KafkaAway as error:
        missing = "topics are missing" in str(error)
        remedy = "Run `connector topics`." if missing else "Start the brokers, or correct it."
        raise Ill(str(error), remedy) from error
    return "reachable, all topics are there"


async def _workers(settings: KafkaSettings) -> str:
    try:
        members = await kafka.count_members(settings, WORKER_GROUP)
    except kafka.KafkaAway as error:
        raise Ill("not known while Kafka cannot be asked", "Mend Kafka first.") from error
    if not members:
        raise Ill("none takes notices from Kafka", "Start `python -m sync_worker`; see its log.")
    return f"{members} in the group that takes notices"


async def _postgres(url: str) -> str:
    try:
        pending = await postgres.pending_migrations(url, OWNERS)
    except postgres.NOT_GRANTED as error:
        words = f"its role may not see what has been migrated ({error})"
        remedy = "Run `connector migrate` with --worker-role and --token-role."
        raise Ill(words, remedy) from error
    except postgres.CONNECTION_FAULTS as error:
        words = f"cannot be reached or refuses ({type(error).__name__})"
        raise Ill(words, "Check DATABASE_URL and that PostgreSQL runs.") from error
    if pending:
        raise Ill(f"not up to date: {', '.join(pending)}", "Run `connector migrate`.")
    return "reachable, schemas are up to date"


async def _part3(client: httpx2.AsyncClient, around: Surroundings) -> str:
    url = f"{around.part3_api_url}/v1/projects/connector-doctor"
    headers = {"authorization": f"Bearer {around.part3_api_token.reveal()}"}
    answer = await _get(client, url, headers)
    if answer.status_code in (401, 403):
        raise Ill(f"refuses our token ({answer.status_code})", "Set PART3_API_TOKEN anew.")
    if answer.status_code not in (200, 404):
        raise Ill(f"answers {answer.status_code}", "Look at Part3's backend.")
    return "reachable, accepts our token"


async def _answers(client: httpx2.AsyncClient, url: str) -> str:
    answer = await _get(client, url)
    if answer.status_code >= 500:  # noqa: PLR2004 - HTTP's server faults
        raise Ill(f"answers {answer.status_code}", "Look at Procore's status page; wait.")
    return "reachable"


async def _ready(client: httpx2.AsyncClient, url: str, setting: str) -> str:
    answer = await _get(client, f"{url}/readyz")
    if answer.status_code == OK:
        return "ready"
    try:
        checks = answer.json()["checks"].items()
        words = "; ".join(f"{name}: {seen['reason']}" for name, seen in checks if not seen["ok"])
    except (ValueError, TypeError, KeyError, AttributeError):
        remedy = f"Check that {setting} leads to it, and its log."
        raise Ill(f"answers {answer.status_code}", remedy) from None
    raise Ill(f"not ready: {words}", "Mend what it names; see its log.")


async def _internal(client: httpx2.AsyncClient, url: str, around: Surroundings) -> str:
    words = await _ready(client, url, "TOKEN_SERVICE_URL")
    token = issue_service_token(around.internal_keys, "operator")
    path = "/internal/connections/connector-doctor"
    answer = await _get(client, url + path, {"authorization": f"Bearer {token}"})
    if answer.status_code == UNAUTHORIZED:
        remedy = "Give all programs the same INTERNAL_API_KEYS, and their hosts the same time."
        raise Ill("refuses our service token", remedy)
    return f"{words}, accepts our service token"


async def _clock(client: httpx2.AsyncClient, url: str, whose: str) -> str:
    answer = await _get(client, url)
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return "not compared: the other side says no date"
    if theirs.tzinfo is None:  # how "-0000" is read
        theirs = theirs.replace(tzinfo=UTC)
    skew_s = abs((datetime.now(UTC) - theirs).total_seconds())
    if skew_s > MOST_SKEW_S:
        raise Ill(f"{skew_s:.0f} s apart from {whose}'s", "Synchronise this host's clock (NTP).")
    return f"within {skew_s:.0f} s of {whose}'s"


async def _get(
    client: httpx2.AsyncClient, url: str, headers: dict[str, str] | None = None
) -> httpx2.Response:
    try:
        return await client.get(url, headers=headers)
    except httpx2.TransportError as error:
        parts = httpx2.URL(url)
        place = f"{parts.scheme}://{parts.netloc.decode()}"
        words = f"{place} cannot be reached ({type(error).__name__})"
        raise Ill(words, "Check that it runs, its address and the network.") from error


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        mark = "[green]ok[/]   " if finding.ok else "[red]FAULT[/]"
        console.print(f"{mark} {escape(f'{finding.check}: {finding.words}')}")
        if finding.remedy:
            console.print(f"      → {finding.remedy}", markup=False)
