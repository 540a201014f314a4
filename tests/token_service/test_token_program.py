"""The program itself: `python -m token_service`, its ports, its settings, its end."""

import asyncio
import base64
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from deploy.local.postgres import LocalPostgres
from services.postgres import Postgres, migrate, open_postgres
from services.procore.oauth import TokenPair
from services.service_tokens import issue_service_token
from services.settings import Key, KeyRing, Secret
from tests.token_service.conftest import ANNA
from tests.token_service.login_host import CLIENT_ID, CLIENT_SECRET, LoginHost
from token_service.grants.seal import Sealer
from token_service.grants.store import GrantStore, Identity

pytestmark = pytest.mark.postgres
NOBODY = 65_534
INTERNAL = KeyRing((Key("i1", secrets.token_bytes(32)),))
SEALING = KeyRing((Key("s1", secrets.token_bytes(32)),))


def written(ring: KeyRing) -> str:
    return ",".join(f"{k.id}:{base64.b64encode(k.secret).decode()}" for k in ring.keys)


def environment(database: str, login_url: str, spool: Path, **changed: str) -> dict[str, str]:
    other = written(KeyRing((Key("o", secrets.token_bytes(32)),)))
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database,
        "WEBHOOK_SECRET_KEYS": other,
        "TOKEN_ENCRYPTION_KEYS": written(SEALING),
        "PART3_LAUNCH_KEYS": other,
        "INTERNAL_API_KEYS": written(INTERNAL),
        "PROCORE_LOGIN_URL": login_url,
        "PROCORE_API_URL": "http://127.0.0.1:1",
        "PROCORE_CLIENT_ID": CLIENT_ID,
        "PROCORE_CLIENT_SECRET": CLIENT_SECRET,
        "PUBLIC_URL": "http://127.0.0.1:8081",
        "GATEWAY_PUBLIC_URL": "http://127.0.0.1:8080",
        "PART3_API_URL": "http://127.0.0.1:1",
        "PART3_API_TOKEN": "t",
        "PART3_ORIGIN": "http://127.0.0.1:3000",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": "0",
        "INTERNAL_PORT": "0",
        "METRICS_PORT": "0",
        "REFRESH_SPOOL_DIR": str(spool),
        "REFRESH_DEADLINE_S": "5",
        "REFRESH_LEASE_S": "6",
        **changed,
    }


@dataclass
class Program:
    process: asyncio.subprocess.Process
    urls: Mapping[str, str]

    async def ask(self, user_id: str = "anna") -> httpx2.Response:
        token = issue_service_token(INTERNAL, "sync_worker")
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
            return await client.post(
                f"{self.urls['internal']}/internal/access-tokens",
                json={"user_id": user_id},
                headers={"authorization": f"Bearer {token}"},
            )

    async def get(self, site: str, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.get(self.urls[site] + path)


@asynccontextmanager
async def program(env: Mapping[str, str]) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "token_service", env=env, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    urls: dict[str, str] = {}
    while len(urls) < 3:
        line = (await process.stderr.readline()).decode()
        assert line, f"it ended with {await process.wait()}"
        if found := re.search(r'"site": "(\w+)".*"port": (\d+)', line):
            urls[found[1]] = f"http://127.0.0.1:{found[2]}"
    draining = asyncio.create_task(process.stderr.read())
    try:
        yield Program(process, urls)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await draining


async def put_grant(database: Postgres, login: LoginHost, seconds_left: float) -> TokenPair:
    answer = login.pair_for(ANNA)
    pair = TokenPair(
        Secret(str(answer["access_token"])), Secret(str(answer["refresh_token"])), 5400
    )
    store = GrantStore(database, Sealer(SEALING), "127.0.0.1")
    sealed = store.seal("anna", pair, await database.fetchval("SELECT now()"))
    await store.put(database, "anna", Identity("501", "a@b", "Anna"), sealed)
    await database.execute(
        "UPDATE authority.grants SET expires_at = now() + make_interval(secs => $1)", seconds_left
    )
    return pair


async def test_it_serves_three_ports_and_ends_with_0(
    database: str, authority: Postgres, login: LoginHost, tmp_path: Path
) -> None:
    pair = await put_grant(authority, login, 5000)
    async with program(environment(database, login.url, tmp_path)) as running:
        assert (await running.ask()).json()["access_token"] == pair.access_token.reveal()
        for site in ("public", "internal", "metrics"):
            assert (await running.get(site, "/livez")).status_code == 200
            assert (await running.get(site, "/readyz")).status_code == 200
        assert (await running.get("public", "/account/integrations")).status_code == 401
        metrics = (await running.get("metrics", "/metrics")).text
        assert 'connector_access_token_requests_total{answer="handed_out"} 1.0' in metrics
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0


async def test_a_refresh_under_way_is_brought_home_before_the_end(
    database: str, authority: Postgres, login: LoginHost, tmp_path: Path
) -> None:
    login.delay_s = 0.8
    await put_grant(authority, login, -1)
    async with program(environment(database, login.url, tmp_path)) as running:
        asking = asyncio.create_task(running.ask())
        await login.spent.wait()
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0
        await asyncio.gather(asking, return_exceptions=True)
    assert await authority.fetchval("SELECT outcome FROM authority.refresh_attempts") == "renewed"
    assert await authority.fetchval("SELECT lease_owner FROM authority.grants") is None


async def test_killed_in_the_middle_of_a_refresh_it_does_not_send_the_token_again(
    database: str, authority: Postgres, login: LoginHost, tmp_path: Path
) -> None:
    login.delay_s = 1.0
    pair = await put_grant(authority, login, 1000)
    env = environment(
        database, login.url, tmp_path, REFRESH_DEADLINE_S="1.5", REFRESH_LEASE_S="1.6"
    )
    async with program(env) as doomed:
        asking = asyncio.create_task(doomed.ask())
        await login.spent.wait()
        doomed.process.kill()
        await asyncio.gather(asking, return_exceptions=True)
    async with program(env) as again:
        answer = await again.ask()
    assert answer.json()["access_token"] == pair.access_token.reveal()
    assert len(login.forms) == 1
    assert await authority.fetchval("SELECT outcome FROM authority.refresh_attempts") == "unknown"


async def test_when_postgres_dies_during_a_refresh_the_pair_survives(
    local_postgres: LocalPostgres, database: str, login: LoginHost, tmp_path: Path
) -> None:
    await migrate(database, ["sync_worker", "token_service"])
    login.delay_s = 0.8
    async with open_postgres(database) as postgres:
        await put_grant(postgres, login, -1)
    async with program(environment(database, login.url, tmp_path)) as running:
        asking = asyncio.create_task(running.ask())
        await login.spent.wait()
        local_postgres.program.kill()
        await asyncio.sleep(1.5)
        assert (await running.get("public", "/livez")).status_code == 200
        assert (await running.get("public", "/readyz")).status_code == 503
        await local_postgres.program.start()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(60):
            # where Postgres took longer than the lease, the pair first comes home from the disk
            while (answer := await running.ask()).status_code == 503:
                await asyncio.sleep(0.2)
        assert answer.status_code == 200, answer.text
    assert answer.json()["access_token"] in login.access_tokens
    assert login.redemptions == 1
    assert len(login.forms) == 1


def test_bad_settings_are_all_named_and_end_with_78(tmp_path: Path) -> None:
    env = environment("postgresql://x", "http://login.procore.com", tmp_path)
    env |= {"TOKEN_ENCRYPTION_KEYS": "k:c2hvcnQ=", "REFRESH_LEASE_S": "x", "PUBLIC_URL": "ftp://x"}
    del env["PROCORE_CLIENT_SECRET"]
    ended = subprocess.run(
        [sys.executable, "-m", "token_service"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 78
    for name in (
        "TOKEN_ENCRYPTION_KEYS",
        "REFRESH_LEASE_S",
        "PUBLIC_URL",
        "PROCORE_CLIENT_SECRET",
        "PROCORE_LOGIN_URL",
    ):
        assert name in ended.stderr
    assert "c2hvcnQ" not in ended.stderr


async def test_a_replica_that_stood_still_through_its_refresh_still_brings_the_pair_home(
    database: str, authority: Postgres, login: LoginHost, tmp_path: Path
) -> None:
    """Promise A17: as after SIGSTOP or a long pause; for longer than deadline and lease."""
    login.delay_s = 0.3
    old = await put_grant(authority, login, 1000)
    short = {"REFRESH_DEADLINE_S": "1.5", "REFRESH_LEASE_S": "1.6"}
    environments = [
        environment(database, login.url, tmp_path / name, **short) for name in ("a", "b")
    ]
    async with program(environments[0]) as still, program(environments[1]) as other:
        asking = asyncio.create_task(still.ask())
        await login.spent.wait()
        still.process.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(60):
            while not await authority.fetchval(
                "SELECT lease_until < now() - interval '1 second' FROM authority.grants"
            ):
                await asyncio.sleep(0.1)
        answer = await other.ask()
        assert answer.json()["access_token"] == old.access_token.reveal()  # it serves meanwhile
        assert len(login.forms) == 1  # and the refresh token was not sent a second time
        still.process.send_signal(signal.SIGCONT)
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(30):
            while (answer := await other.ask()).json()["access_token"] == old.access_token.reveal():
                await asyncio.sleep(0.1)
    assert answer.json()["access_token"] in login.access_tokens
    assert (login.redemptions, len(login.forms)) == (1, 1)
    assert await authority.fetchval("SELECT state FROM authority.grants") == "authorized"
    assert await authority.fetchval("SELECT outcome FROM authority.refresh_attempts") == "renewed"


async def test_d8_killed_after_the_answer_it_loses_nothing(
    local_postgres: LocalPostgres, database: str, login: LoginHost, tmp_path: Path
) -> None:
    """Promise A18: Postgres stands still when the answer comes, then the program is killed -9."""
    await migrate(database, ["sync_worker", "token_service"])
    login.delay_s = 0.5
    async with open_postgres(database) as postgres:
        await put_grant(postgres, login, -1)
    env = environment(database, login.url, tmp_path)
    async with program(env) as doomed:
        asking = asyncio.create_task(doomed.ask())
        await login.spent.wait()
        local_postgres.program.pause()
        async with asyncio.timeout(30):
            while not list(tmp_path.glob("*.pair")):
                await asyncio.sleep(0.02)
        doomed.process.kill()
        await asyncio.gather(asking, return_exceptions=True)
    local_postgres.program.resume()
    async with program(env) as again:
        answer = await again.ask()
    assert answer.status_code == 200, answer.text
    assert answer.json()["access_token"] in login.access_tokens
    assert (login.redemptions, len(login.forms)) == (1, 1)
    assert list(tmp_path.glob("*.pair")) == []


async def test_c46_without_the_store_of_its_keys_it_serves_on_and_another_does_not_begin(
    database: str, authority: Postgres, login: LoginHost, tmp_path: Path
) -> None:
    pair = await put_grant(authority, login, 5000)
    keys = tmp_path / "keys"
    keys.write_text(written(SEALING))
    env = environment(database, login.url, tmp_path, TOKEN_ENCRYPTION_KEYS_FILE=str(keys))
    del env["TOKEN_ENCRYPTION_KEYS"]
    async with program(env) as running:
        keys.unlink()
        assert (await running.ask()).json()["access_token"] == pair.access_token.reveal()
        another = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "token_service", env=env, stderr=asyncio.subprocess.PIPE
        )
        _, said = await another.communicate()
    assert another.returncode == 78
    assert b"TOKEN_ENCRYPTION_KEYS_FILE" in said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can close a process's memory")
async def test_d13_the_token_service_leaves_no_core_and_its_memory_is_closed(
    database: str, authority: Postgres, login: LoginHost, tmp_path: Path
) -> None:
    async with program(environment(database, login.url, tmp_path)) as running:
        proc = Path(f"/proc/{running.process.pid}")
        limits = (proc / "limits").read_text()
        assert re.search(r"Max core file size +0 +0", limits)
        # what is not dumpable belongs to root, and so nobody of its own user may read or trace it
        probe = (
            "import ctypes, os, sys; libc = ctypes.CDLL(None, use_errno=True); "
            f"os.geteuid() == 0 and (os.setgid({NOBODY}), os.setuid({NOBODY})); "
            "sys.exit(0 if libc.ptrace(16, int(sys.argv[1]), 0, 0) == -1 else 1)"
        )
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-c", probe, str(running.process.pid)
        )
        assert await asked.wait() == 0
        assert (proc / "mem").stat().st_uid == 0
