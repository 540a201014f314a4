"""Promise A19: a system at LOG_LEVEL=debug does its work, and no secret leaves its vault."""

import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from connector.demo.stack import url_of
from connector.demo.worlds import PROJECT_ID
from schemas.notices import TOPICS
from services.hook_secrets import hook_secret
from services.service_tokens import issue_launch_token, issue_service_token
from services.settings import Reader
from tests.kafka_topics import kafka_settings, records_of
from tests.stack.canaries import Canaries, forms_of, key_material
from tests.stack.fault_stacks import Site
from tests.stack.span_receiver import SpanReceiver
from token_service.grants.seal import Sealed, Sealer
from token_service.grants.store import ACCESS, REFRESH

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
OUR_LOGS = ("gateway", "token-service", "worker-1")
LIST_TABLES = """
SELECT table_schema || '.' || table_name AS name FROM information_schema.tables
WHERE table_schema IN ('authority', 'mirror', 'migrations') AND table_type = 'BASE TABLE'
"""


async def test_a_canary_is_found_in_every_form() -> None:
    secret = b"\xf0canary/+?=of many signs\x00"
    for form in forms_of(secret):
        canaries = Canaries()
        canaries.add("it", secret)
        canaries.look_in("here", [b"before" + form + b"after"])
        assert canaries.found == ["it in here"]


async def test_d17_d18_no_canary_shows_anywhere_in_a_whole_system(
    site: Site, span_receiver: SpanReceiver
) -> None:
    assert site.stack.environment["LOG_LEVEL"] == "debug"
    canaries = Canaries()
    for what, secret in key_material(site.stack.environment):
        canaries.add(what, secret)
    await _tokens_of_people(site, canaries)  # as they are before the refresh
    await _work_and_refresh(site)
    await _tokens_of_people(site, canaries)
    await _strangers_and_mistakes(site, canaries)

    canaries.look_in("logs", (log.read_bytes() for log in _logs(site)))
    canaries.look_in("metrics", [one async for one in _metrics(site)])
    canaries.look_in("Kafka", [one async for one in _records(site)])
    canaries.look_in("database", [one async for one in _database(site)])
    canaries.look_in("pages", [one async for one in _pages(site)])
    canaries.look_in("process titles", _titles(site))
    canaries.look_in("spans", span_receiver.bodies)

    assert canaries.found == []
    assert len(canaries.forms) > 20
    assert set(canaries.searched) == {
        "logs", "metrics", "Kafka", "database", "pages", "process titles",
        "spans",
    }  # fmt: skip
    assert min(canaries.searched.values()) > 100
    assert canaries.searched["logs"] > 2_000


async def _work_and_refresh(site: Site) -> None:
    """An RFI comes over, is returned and delivered, with every access token got anew on the way."""
    await site.rows("UPDATE authority.grants SET expires_at = now() RETURNING 1")
    rfi_id = await site.ask_rfi("Parapet flashing")
    await site.until_titled("rfi", rfi_id, "Parapet flashing")
    return_id = await site.return_rfi(rfi_id, "Lap it by 100 mm.")
    await site.until_return(return_id, "delivered")


async def _tokens_of_people(site: Site, canaries: Canaries) -> None:
    """Open the vault as only its key can."""
    sealer = Sealer(Reader(site.stack.environment).key_ring("TOKEN_ENCRYPTION_KEYS"))
    for row in await site.rows("SELECT * FROM authority.grants"):
        for column, place in (("sealed_access", ACCESS), ("sealed_refresh", REFRESH)):
            sealed = Sealed(row["key_id"], row[column])
            token = sealer.open(sealed, row["user_id"], place).reveal()
            canaries.add(f"{column} {row['version']}", token)
    for row in await site.rows("SELECT project_id, generation FROM authority.connections"):
        ring = Reader(site.stack.environment).key_ring("WEBHOOK_SECRET_KEYS")
        secret = hook_secret(ring.first.secret, row["project_id"], row["generation"])
        canaries.add(f"hook {row['generation']}", secret.removeprefix("Bearer "))
    for person in (site.dana, site.maya):
        for cookie in person.browser.client.cookies.jar:
            if cookie.name.endswith("connector_session") and cookie.value:
                canaries.add(f"cookie of {person.name}", cookie.value)


async def _strangers_and_mistakes(site: Site, canaries: Canaries) -> None:
    """Secrets where they do not belong: in wrong headers, in addresses, of wrong shape."""
    http, stack = site.http, site.stack
    reader = Reader(stack.environment)
    launch = issue_launch_token(
        reader.key_ring("PART3_LAUNCH_KEYS"), "u", "N", "e@x.example", secrets.token_hex(8)
    )
    service = issue_service_token(reader.key_ring("INTERNAL_API_KEYS"), "sync_worker")
    wrong = {name: f"canary-{name}-{secrets.token_urlsafe(24)}" for name in (
        "bearer", "signature", "code", "state", "cookie", "launch", "query", "verifier",
    )}  # fmt: skip
    for what, secret in {**wrong, "launch token": launch, "service token": service}.items():
        canaries.add(what, secret)
    bearer = {"authorization": f"Bearer {wrong['bearer']}"}
    await http.post(f"{stack.gateway}/procore/{PROJECT_ID}/1", headers=bearer, content=b"{}")
    await http.post(
        f"{stack.gateway}/procore/{wrong['query']}/1?t={wrong['query']}", headers=bearer
    )
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(time.time())),
        "webhook-signature": f"v1,{wrong['signature']}",
    }
    await http.post(f"{stack.gateway}/part3/events", headers=signed, content=b"{}")
    await http.get(f"{stack.pages}/launch?token={launch}")
    await http.get(f"{stack.pages}/launch?token={launch}")  # a second time
    await http.get(f"{stack.pages}/launch?token={wrong['launch']}")
    callback = f"code={wrong['code']}&state={wrong['state']}&code_verifier={wrong['verifier']}"
    await http.get(f"{stack.pages}/oauth/procore/callback?{callback}")
    cookie = {"cookie": f"connector_session={wrong['cookie']}"}
    await http.get(f"{stack.pages}/account/integrations?x={wrong['query']}", headers=cookie)
    asked = f"{stack.internal}/internal/access-tokens"
    await http.post(asked, headers=bearer, json={"user_id": "x"})
    ours = {"authorization": f"Bearer {service}"}
    await http.post(asked, headers=ours, content=b"{" + wrong["query"].encode())
    await http.post(asked, headers=ours, json={"user_id": "nobody", "rejected": "0" * 64})


def _logs(site: Site) -> list[Path]:
    return [site.stack.run.folder / "logs" / f"{name}.log" for name in OUR_LOGS]


async def _metrics(site: Site) -> Any:
    worker = int(site.stack.program("worker-1").environment["METRICS_PORT"])
    for port in (site.stack.ports.gateway_metrics, site.stack.ports.pages_metrics, worker):
        yield (await site.http.get(f"{url_of(port)}/metrics")).content


async def _records(site: Site) -> Any:
    environment = site.stack.environment
    settings = kafka_settings(
        environment["KAFKA_BOOTSTRAP_SERVERS"], environment["KAFKA_TOPIC_PREFIX"]
    )
    for topic in TOPICS:
        for record in await records_of(settings, topic):
            yield record.key
            yield record.value
            headers: Mapping[str, bytes] = dict(record.headers)
            for name, value in headers.items():
                yield name.encode() + b": " + value


async def _database(site: Site) -> Any:
    for table in await site.rows(LIST_TABLES):
        name = table["name"]
        for row in await site.rows(f"SELECT t::text AS dumped FROM {name} t"):  # noqa: S608
            yield row["dumped"]


async def _pages(site: Site) -> Any:
    client = site.dana.browser.client
    project = f"{site.stack.pages}/projects/{PROJECT_ID}"
    for address in (
        f"{site.stack.pages}/account/integrations",
        f"{project}/integrations",
        f"{project}/activity",
        f"{project}/dispositions",
        f"{project}/nothing",
    ):
        yield (await client.get(address)).content


def _titles(site: Site) -> Iterator[str]:
    for name in OUR_LOGS:
        process = psutil.Process(site.stack.program(name).pid)
        for one in (process, *process.children(recursive=True)):
            yield " ".join(one.cmdline())
