"""A whole system under the hands of its operator, each program in the database as itself.

The workers and the token service log in with roles of their own, made and granted as the
documentation says, and everything else is done through `connector`.
"""

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest
import pytest_asyncio

from connector.demo.stack import Stack, new_key
from connector.demo.worlds import PROJECT_ID
from deploy.local.runs import open_run
from services.hook_secrets import hook_secret
from services.settings import Reader
from tests.databases import fresh_database
from tests.operators.running import Ended, connector
from tests.stack.fault_stacks import QUICK, Site, connected_site

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


HOOK = f"hook of {PROJECT_ID}"


def as_role(database: str, role: str) -> str:
    parts = urlsplit(database)
    return parts._replace(netloc=f"{role}:pw@{parts.hostname}:{parts.port}").geturl()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def operated(kafka_bootstrap: str, database_url: str) -> AsyncIterator[Site]:
    """A connected project; the worker and the token service have a role each."""
    tag = secrets.token_hex(4)
    worker, token = f"worker_{tag}", f"token_{tag}"
    server = await asyncpg.connect(database_url)
    try:
        for role in (worker, token):
            await server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
        async with fresh_database(database_url) as database, open_run() as run:
            stack = Stack(
                run,
                kafka_bootstrap=kafka_bootstrap,
                database_url=database,
                topic_prefix=f"operated-{tag}.",
                overrides=QUICK,
                own={
                    "sync_worker": {"DATABASE_URL": as_role(database, worker)},
                    "token_service": {"DATABASE_URL": as_role(database, token)},
                },
                migrating=["--worker-role", worker, "--token-role", token],
            )
            await stack.start()
            async with connected_site(stack) as site:
                yield site
        for role in (worker, token):
            await server.execute(f"DROP ROLE {role}")
    finally:
        await server.close()


async def operate(site: Site, *arguments: str) -> Ended:
    return await connector(*arguments, environment=site.stack.environment)


async def doctor(site: Site) -> tuple[int, dict[str, dict[str, Any]]]:
    ended = await operate(site, "doctor", "--json")
    findings = json.loads(ended.out)["findings"]
    return ended.code, {finding["check"].split(" http")[0]: finding for finding in findings}


async def brought_by_an_event(site: Site, rfi_id: str) -> None:
    """Rename an RFI in Procore, and see it in Part3; sweeps are hours apart here."""
    title = f"Renamed {secrets.token_hex(4)}"
    await site.rename_rfi(rfi_id, title)
    await site.until_titled("rfi", rfi_id, title)


async def test_everything_works_with_a_role_for_each_program(operated: Site) -> None:
    rfi_id = await operated.ask_rfi("Dowels at the landing")
    await operated.until_titled("rfi", rfi_id, "Dowels at the landing")
    return_id = await operated.return_rfi(rfi_id, "4-#5 at 300 on centre.")
    await operated.until_return(return_id, "delivered")
    await brought_by_an_event(operated, rfi_id)
    assert operated.faults_logged() == []


async def test_the_doctor_finds_nothing_on_a_healthy_system(operated: Site) -> None:
    code, found = await doctor(operated)
    assert [name for name, finding in found.items() if not finding["ok"]] == []
    assert code == 0


@pytest.mark.parametrize(
    ("program", "named"),
    [
        ("gateway", {"gateway"}),
        (
            "token-service",
            {"token service, pages", "token service, internal", "hooks, in procore"},
        ),
        ("part3", {"part3", "clock"}),
        ("procore", {"procore login", "procore api", "clock, procore", HOOK}),
    ],
)
async def test_the_doctor_names_what_is_down(operated: Site, program: str, named: set[str]) -> None:
    down = operated.stack.program(program)
    down.kill()
    try:
        code, found = await doctor(operated)
    finally:
        await down.start()
    assert code == 1
    assert {name for name, finding in found.items() if not finding["ok"]} == named
    assert all(found[name]["remedy"] for name in named)


async def test_the_doctor_sees_a_hook_that_was_moved_and_disabled(operated: Site) -> None:
    webhooks = (
        f"/rest/v2.0/companies/{operated.procore_company}"
        f"/projects/{operated.procore_project}/webhooks"
    )
    (hook,) = (await operated.procore(f"{webhooks}/hooks"))["data"]
    change = {"status": "disabled", "destination_url": "https://elsewhere.example/procore"}
    await operated.procore_change(f"{webhooks}/hooks/{hook['id']}", change)
    ended = await operate(operated, "doctor")
    assert ended.code == 1
    assert f"FAULT {HOOK}: it is disabled" in ended.out
    assert f"FAULT {HOOK}: it leads to https://elsewhere.example/procore" in ended.out
    assert (await operate(operated, "rotate", "hooks", "--project", PROJECT_ID)).code == 0
    assert (await doctor(operated))[0] == 0


async def test_the_doctor_sees_deliveries_that_fail(operated: Site) -> None:
    gateway = operated.stack.program("gateway")
    (rfi_id, *_) = await operated.records("rfi")
    gateway.kill()
    try:
        title = f"Renamed {secrets.token_hex(4)}"
        await operated.rename_rfi(rfi_id, title)

        async def seen() -> bool | None:
            words = str((await doctor(operated))[1].get(HOOK))
            return "1 retrying; the last attempt got no answer" in words or None

        await operated.until("the doctor sees the failing delivery", seen)
    finally:
        await gateway.start()
    await operated.until_titled("rfi", rfi_id, title)  # it is tried again, and nobody waits for it


async def test_the_doctor_sees_keys_that_differ(operated: Site) -> None:
    environment = operated.stack.environment | {"INTERNAL_API_KEYS": new_key("i1")}
    ended = await connector("doctor", environment=environment)
    assert ended.code == 1
    assert "INTERNAL_API_KEYS" in ended.out


async def test_status_knows_the_project(operated: Site) -> None:
    ended = await operate(operated, "status", PROJECT_ID, "--json")
    assert ended.code == 0, ended.said
    (said,) = json.loads(ended.out)["projects"]
    assert said["state"] == "active"
    assert said["records"] == len(await operated.records("rfi")) + len(
        await operated.records("submittal")
    )


async def spoil(site: Site, kind: str, procore_id: str) -> str:
    """Change a record in Part3 alone, where nobody but us may; return its right title."""
    path = f"/v1/projects/{PROJECT_ID}/records/{kind}/{procore_id}"
    record = await site.record(kind, procore_id)
    token = site.stack.environment["PART3_API_TOKEN"]
    answer = await site.http.put(
        site.stack.part3 + path,
        json=record | {"title": "Spoiled"},
        headers={"authorization": f"Bearer {token}"},
    )
    answer.raise_for_status()
    assert (await site.record(kind, procore_id))["title"] == "Spoiled"
    return str(record["title"])


async def test_resync_of_a_record_repairs_it_and_nothing_else(operated: Site) -> None:
    one, other = list(await operated.records("rfi"))[:2]
    title, other_title = await spoil(operated, "rfi", one), await spoil(operated, "rfi", other)
    ended = await operate(operated, "resync", PROJECT_ID, "--record", f"rfi:{one}")
    assert ended.code == 0, ended.said
    await operated.until_titled("rfi", one, title)
    assert (await operated.record("rfi", other))["title"] == "Spoiled"
    await operate(operated, "resync", PROJECT_ID, "--record", f"rfi:{other}")
    await operated.until_titled("rfi", other, other_title)


async def test_resync_of_a_project_repairs_all_of_it(operated: Site) -> None:
    spoiled = {
        (kind, name): await spoil(operated, kind, name)
        for kind in ("rfi", "submittal")
        for name in list(await operated.records(kind))[:2]
    }
    ended = await operate(operated, "resync", PROJECT_ID)
    assert ended.code == 0, ended.said
    for (kind, name), title in spoiled.items():
        await operated.until_titled(kind, name, title)


async def bury(site: Site, body: bytes) -> None:
    """Have the gateway bury a delivery that nobody can read."""
    key = Reader(site.stack.environment).key_ring("WEBHOOK_SECRET_KEYS").first
    answer = await site.http.post(
        f"{site.stack.gateway}/procore/{PROJECT_ID}/1",
        content=body,
        headers={"authorization": hook_secret(key.secret, PROJECT_ID, 1)},
    )
    assert answer.is_success


async def dead_letters(site: Site) -> int:
    """Count the project's dead letters as the command shows them, one a line."""
    shown = await operate(site, "replay", "--dead-letters")
    assert shown.code == 0, shown.said
    return sum(line.startswith(f"{PROJECT_ID}  ") for line in shown.out.splitlines())


async def test_a_dead_letter_is_shown_and_handed_in_again(operated: Site) -> None:
    before = await dead_letters(operated)
    await bury(operated, b'{"cannot be": ')
    shown = await operate(operated, "replay", "--dead-letters")
    assert shown.code == 0, shown.said
    assert f"{PROJECT_ID}  /procore/{PROJECT_ID}/1: not_json" in shown.out
    count = before + 1
    for _ in "ab":  # still unreadable, it is buried anew, and not handed in twice the next time
        ended = await operate(operated, "replay", "--dead-letters", "--project", PROJECT_ID)
        assert ended.code == 0, ended.said
        assert f"Of {count} dead letters: {count} taken." in ended.out.splitlines()
    others = await operate(operated, "replay", "--dead-letters", "--project", "prj_other")
    assert "There are no dead letters." in others.out


async def test_a_gateway_that_is_away_leaves_dead_letters_where_they_are(operated: Site) -> None:
    count = await dead_letters(operated) + 1
    await bury(operated, b'{"nor can": ')
    gateway = operated.stack.program("gateway")
    gateway.kill()
    try:
        ended = await operate(operated, "replay", "--dead-letters", "--all")
    finally:
        await gateway.start()
    assert ended.code == 1
    assert f"Of {count} dead letters: {count} not reached." in ended.out.splitlines()
    assert await dead_letters(operated) == count


async def with_keys(site: Site, keys: str) -> None:
    site.stack.environment["WEBHOOK_SECRET_KEYS"] = keys
    for name in ("gateway", "token-service"):
        program = site.stack.program(name)
        program.environment["WEBHOOK_SECRET_KEYS"] = keys
        await program.stop()
        assert program.returncode == 0
        await program.start()


async def test_events_flow_before_during_and_after_a_rotation(operated: Site) -> None:
    rfi_id = await operated.ask_rfi("Anchor spacing")
    await operated.until_titled("rfi", rfi_id, "Anchor spacing")
    old = operated.stack.environment["WEBHOOK_SECRET_KEYS"]
    new = new_key("w2")
    await with_keys(operated, f"{new},{old}")
    await brought_by_an_event(operated, rfi_id)  # by the old key's secret

    rotated = await operate(operated, "rotate", "hooks")
    assert rotated.code == 0, rotated.said
    assert "1 of 1 hooks" in rotated.out
    await brought_by_an_event(operated, rfi_id)

    await with_keys(operated, new)  # nothing needs the old key any more
    await brought_by_an_event(operated, rfi_id)
    again = await operate(operated, "rotate", "hooks")
    assert f"{PROJECT_ID}: ok" in again.out


async def test_a_project_without_a_hook_is_told_so(operated: Site) -> None:
    ended = await operate(operated, "rotate", "hooks", "--project", "prj_nowhere")
    assert ended.code == 1
    assert "prj_nowhere" in ended.err


async def test_what_the_contract_names_answers_on_every_port(operated: Site) -> None:
    stack = operated.stack
    worker = int(stack.program("worker-1").environment["METRICS_PORT"])
    ports = stack.ports
    measured = {ports.gateway_metrics, ports.pages_metrics, worker}
    async with httpx2.AsyncClient(trust_env=False) as http:
        for port in measured | {ports.gateway, ports.pages, ports.internal}:
            for path in ("/livez", "/readyz"):
                answer = await http.get(f"http://127.0.0.1:{port}{path}")
                assert (answer.status_code, "checks" in answer.json()) == (200, True), path
        for port in measured:
            shown = await http.get(f"http://127.0.0.1:{port}/metrics")
            assert shown.status_code == 200
            assert "# HELP connector_" in shown.text


async def test_a_revocation_counts_first_and_then_ends_them_here_and_at_procore(
    operated: Site,
) -> None:
    why = ("revoke-all", "--reason", "a laptop was stolen", "--by", "Dana")
    asked = await operate(operated, *why)
    assert asked.code == 0, asked.said
    assert "Nothing was changed" in asked.out
    ended = await operate(operated, *why, "--yes")
    assert ended.code == 0, ended.said
    assert "Procore has been told of all." in ended.out
    again = await operate(operated, *why, "--yes")
    assert again.code == 0
    assert "nothing is to be revoked" in again.out
