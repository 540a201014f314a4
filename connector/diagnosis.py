"""`connector doctor`: every dependency and setting, each fault with its remedy."""

import asyncio
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial

import click
import httpx2
from rich.console import Console
from rich.markup import escape

from connector import hook_checks, kafka_checks
from connector.findings import Check, Finding, Ill, finding
from connector.preparing import OWNERS
from services import postgres
from services.service_tokens import issue_service_token
from services.settings import EX_CONFIG, KafkaSettings, KeyRing, Reader, Secret

TIMEOUT_S = 10.0
MOST_SKEW_S = 60.0
USERS = tuple(kafka_checks.TOPIC_RIGHTS)
OK, UNAUTHORIZED = 200, 401


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
    hook_keys: KeyRing
    hook_audit_s: float

    @classmethod
    def read(cls, reader: Reader) -> "Surroundings":
        """Read and check the variables of all three programs; faults gather in the reader."""
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
            hook_keys=reader.key_ring("WEBHOOK_SECRET_KEYS"),
            hook_audit_s=reader.seconds("HOOK_AUDIT_S", 3_600, at_least=1),
        )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON document.")
@click.option(
    "--hooks/--no-hooks",
    default=None,
    help="Look at every connection's webhook in Procore, five calls each, or at none. "
    f"Default: where there are no more than {hook_checks.MOST_LOOKED_AT} connections.",
)
@click.option(
    "--as",
    "users",
    multiple=True,
    default=("operator",),
    show_default=True,
    type=click.Choice(USERS),
    help="Whose work at Kafka the KAFKA_SASL_USERNAME at hand must be allowed to do.",
)
def doctor(as_json: bool, hooks: bool | None, users: tuple[str, ...]) -> None:
    """Check every dependency, setting, topic, schema, clock and webhook; name each fault's remedy.

    Takes the environment of all three programs. Changes nothing. Ends with 0 when all is well, with
    1 when something is not, and with 78 when the settings are not usable: then nothing else is
    looked at.

    \b
    Examples:
      connector doctor --json | jq '.findings[] | select(.ok | not)'
      connector doctor --as worker      in a worker's container, as its user of Kafka
      connector doctor --hooks          each webhook as Procore shows it now
    """  # noqa: D301 - click keeps the lines after its mark
    reader = Reader()
    surroundings = Surroundings.read(reader)
    if reader.faults:
        findings = [_setting(fault) for fault in reader.faults]
    else:
        findings = [Finding("settings", ok=True, words="every variable is there and well-formed")]
        findings += asyncio.run(_examine(surroundings, users, whether=hooks))
    well = all(one.ok for one in findings)
    if as_json:
        said = {"ok": well, "findings": [asdict(one) for one in findings]}
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        _print(findings)
    if not well:
        raise SystemExit(EX_CONFIG if reader.faults else 1)


def _setting(fault: str) -> Finding:
    """Make a finding of "NAME is …: what to do"."""
    return Finding("settings", ok=False, words=fault, remedy="See docs/configuration.md.")


async def _examine(
    around: Surroundings, users: tuple[str, ...], *, whether: bool | None
) -> list[Finding]:
    async with (
        httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client,
        hook_checks.hook_watch(
            around.token_service_urls,
            around.procore_api_url,
            around.gateway_url,
            around.hook_keys,
            lambda: "Bearer " + issue_service_token(around.internal_keys, "operator"),
        ) as watch,
    ):
        url = around.database_url.reveal()
        checks: list[tuple[str, Check]] = [
            ("kafka", partial(kafka_checks.topics, around.kafka)),
            ("kafka, rights", partial(kafka_checks.rights, around.kafka, users)),
            ("postgres", partial(_postgres, url)),
            ("part3", partial(_part3, client, around)),
            ("procore login", partial(_answers, client, around.procore_login_url)),
            ("procore api", partial(_answers, client, around.procore_api_url)),
            ("clock", partial(_clock, client, around.part3_api_url, "Part3")),
            ("clock, procore", partial(_clock, client, around.procore_api_url, "Procore")),
            ("gateway", partial(_ready, client, around.gateway_url, "GATEWAY_PUBLIC_URL")),
            ("token service, pages", partial(_ready, client, around.pages_url, "PUBLIC_URL")),
            *(
                (f"token service, internal {url}", partial(_internal, client, url, around))
                for url in around.token_service_urls
            ),
            ("workers", partial(kafka_checks.workers, around.kafka)),
            ("hooks, audited", partial(hook_checks.audited, url, audit_s=around.hook_audit_s)),
        ]
        found = await asyncio.gather(*(finding(name, check) for name, check in checks))
        return [*found, *await watch.findings(whether=whether)]


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
    return compared(answer.headers.get("date", ""), datetime.now(UTC), whose)


def compared(date: str, now: datetime, whose: str) -> str:
    """Compare our clock with that of an answer's `Date`; raises Ill when they are too far apart.

    More than a minute spoils the tokens between the programs and the windows of a sweep.
    """
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return "not compared: the other side says no date"
    if theirs.tzinfo is None:  # how "-0000" is read
        theirs = theirs.replace(tzinfo=UTC)
    apart_s = (now - theirs).total_seconds()
    if abs(apart_s) > MOST_SKEW_S:
        way = "ahead of" if apart_s > 0 else "behind"
        words = f"{abs(apart_s):.0f} s {way} {whose}'s"
        raise Ill(words, "Synchronise this host's clock (NTP).")
    return f"within {abs(apart_s):.0f} s of {whose}'s"


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
    for one in findings:
        mark = "[green]ok[/]   " if one.ok else "[red]FAULT[/]"
        console.print(f"{mark} {escape(f'{one.check}: {one.words}')}")
        if one.remedy:
            console.print(f"      → {one.remedy}", markup=False)
