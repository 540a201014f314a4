"""The program itself: its ports, its memory over a restart, faults on a real connection."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sandbox.procore.rest.rates import SPIKE_S
from services.procore.waiting import seconds_until_reset
from tests.sandbox.procore.site import CLIENT_ID, CLIENT_SECRET, MANAGER, REDIRECT
from tests.sandbox.procore.webhook_receiver import SECRET, Receiver


class Program:
    """A running stand-in and a browserless way in."""

    def __init__(self, http: httpx2.AsyncClient, told: dict[str, Any], pid: int) -> None:
        self.http = http
        self.told = told
        self.pid = pid
        self.headers: dict[str, str] = {}

    async def log_in(self) -> dict[str, Any]:
        """Allow the connector as the manager does; returns the token pair."""
        query = {"response_type": "code", "client_id": CLIENT_ID, "redirect_uri": REDIRECT}
        path = f"/oauth/authorize?{httpx2.QueryParams(query)}"
        form = {"email": MANAGER, "password": "procore", "next": path}
        await self.http.post("/login", data=form)
        page = (await self.http.get(path)).text
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        decided = await self.http.post(
            "/oauth/authorize", data={**query, "csrf": csrf, "decision": "allow"}
        )
        code = decided.headers["location"].split("code=")[1]
        answer = await self.http.post(
            "/oauth/token",
            data={
                "grant_type": "authorization_code",
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "code": code,
                "redirect_uri": REDIRECT,
            },
        )
        pair: dict[str, Any] = answer.json()
        self.headers = {"Authorization": f"Bearer {pair['access_token']}"}
        return pair

    async def order(self, name: str, body: Any) -> Any:
        answer = await self.http.post(f"/_sandbox/{name}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def rfis(self, seeded: dict[str, Any]) -> httpx2.Response:
        project = seeded["projects"][0]
        headers = {**self.headers, "Procore-Company-Id": str(project["company_id"])}
        path = f"/rest/v1.0/projects/{project['id']}/rfis"
        return await self.http.get(path, headers=headers)


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Program]:
    environment = {
        **os.environ,
        "SANDBOX_PROCORE_DATA": str(data),
        "SANDBOX_PROCORE_CLIENT_ID": CLIENT_ID,
        "SANDBOX_PROCORE_CLIENT_SECRET": CLIENT_SECRET,
        "SANDBOX_PROCORE_REDIRECT_URIS": REDIRECT,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox.procore", env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            told = json.loads(await process.stdout.readline())
        async with httpx2.AsyncClient(base_url=told["url"], trust_env=False) as http:
            yield Program(http, told, process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            ended = await process.wait()
    assert ended in (0, -signal.SIGKILL)


async def test_it_says_where_it_listens_and_ends_with_0(tmp_path: Path) -> None:
    async with running(tmp_path) as program:
        health = (await program.http.get("/_sandbox/health")).json()
        assert health["public_url"] == program.told["url"]
        assert health["storage_url"] == program.told["storage_url"] != program.told["url"]


async def test_tokens_records_and_undelivered_events_survive_a_kill(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.status = 503
    async with running(tmp_path) as program:
        seeded = await program.order("seed", {"rfis": 5, "submittals": 5})
        await program.log_in()
        project = seeded["projects"][0]
        headers = {**program.headers, "Procore-Company-Id": str(project["company_id"])}
        hooks = (
            f"/rest/v2.0/companies/{project['company_id']}/projects/{project['id']}/webhooks/hooks"
        )
        body = {
            "payload_version": "v4.0",
            "namespace": "part3",
            "destination_url": receiver.url,
            "destination_headers": {"Authorization": SECRET},
        }
        hook = (await program.http.post(hooks, json=body, headers=headers)).json()["data"]
        trigger = {"resource_name": "RFIs", "event_type": "update"}
        await program.http.post(f"{hooks}/{hook['id']}/triggers", json=trigger, headers=headers)
        rfi_id = project["rfi_ids"][1]
        path = f"/rest/v1.0/projects/{project['id']}/rfis/{rfi_id}"
        renamed = {"rfi": {"subject": "Renamed before the kill"}}
        assert (await program.http.patch(path, json=renamed, headers=headers)).is_success
        await receiver.until(lambda: len(receiver.got) >= 1)
        os.kill(program.pid, signal.SIGKILL)
    receiver.status = 200
    receiver.got.clear()
    async with running(tmp_path) as again:
        await receiver.until(lambda: len(receiver.got) >= 1)
        assert receiver.payloads[0]["resource_id"] == str(rfi_id)
        again.headers = program.headers
        subjects = [r["subject"] for r in (await again.rfis(seeded)).json()]
        assert "Renamed before the kill" in subjects


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "half_body"])
async def test_a_connection_is_really_cut(tmp_path: Path, kind: str) -> None:
    async with running(tmp_path) as program:
        seeded = await program.order("seed", {"rfis": 5, "submittals": 0})
        await program.log_in()
        await program.order("faults", {"rules": [{"kind": kind, "path": "/rfis", "count": 1}]})
        with pytest.raises(httpx2.RemoteProtocolError if kind == "half_body" else httpx2.HTTPError):
            await program.rfis(seeded)
        assert len((await program.rfis(seeded)).json()) == 5
        told = (await program.http.get("/_sandbox/faults")).json()
        assert told["rules"][0]["hits"] == 1


async def test_what_was_asked_is_done_though_its_caller_has_gone(tmp_path: Path) -> None:
    async with running(tmp_path) as program:
        seeded = await program.order("seed", {"rfis": 5, "submittals": 0})
        await program.log_in()
        project = seeded["projects"][0]
        path = f"/rest/v1.0/projects/{project['id']}/rfis/{project['rfi_ids'][1]}"
        slow = {"kind": "latency", "method": "PATCH", "path": path, "delay_s": 0.5}
        await program.order("faults", {"rules": [slow]})
        with pytest.raises(httpx2.ReadTimeout):
            await program.http.patch(
                path,
                json={"rfi": {"subject": "Renamed by one who left"}},
                headers={**program.headers, "Procore-Company-Id": str(project["company_id"])},
                timeout=0.2,
            )
        async with asyncio.timeout(20):
            while not any(
                rfi["subject"] == "Renamed by one who left"
                for rfi in (await program.rfis(seeded)).json()
            ):
                await asyncio.sleep(0.05)


async def test_the_clock_is_moved_and_stays_moved_over_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as program:
        await program.order("clock", {"set": "2030-01-01T00:00:00Z", "frozen": True})
    async with running(tmp_path) as again:
        moved = await again.order("clock", {"advance_s": 60})
        assert moved == {"now": "2030-01-01T00:01:00Z", "frozen": True}


async def test_every_answer_is_dated_by_the_clock_that_is_moved(tmp_path: Path) -> None:
    async with running(tmp_path) as program:
        await program.order("switches", {"rate_limit_spike": 3})
        seeded = await program.order("seed", {"rfis": 1, "submittals": 0})
        await program.order("clock", {"set": "2030-01-01T00:00:00Z", "frozen": True})
        await program.log_in()
        answer = await program.rfis(seeded)
        assert answer.headers.get_list("date") == ["Tue, 01 Jan 2030 00:00:00 GMT"]
        # what a client makes of both: the short window stays short
        left_s = seconds_until_reset(answer.headers)
        assert left_s is not None
        assert 0 < left_s <= SPIKE_S + 1
        storage = await program.http.get(f"{program.told['storage_url']}/nothing")
        assert storage.headers.get_list("date") == answer.headers.get_list("date")
