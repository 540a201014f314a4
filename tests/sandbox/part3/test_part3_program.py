import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.sandbox.part3.conftest import PROJECT, TOKEN, Part3Api, a_record, free_port
from tests.sandbox.part3.programs import environment, running, start

MODULE = "sandbox.part3"


@contextlib.asynccontextmanager
async def part3_program(data: Path, **more: str) -> AsyncIterator[Part3Api]:
    port = str(free_port())
    env = environment(SANDBOX_PART3_DATA=str(data), SANDBOX_PART3_PORT=port, **more)
    async with running(MODULE, f"http://127.0.0.1:{port}", env) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield Part3Api(client)


async def test_everything_outlives_a_restart(tmp_path: Path) -> None:
    async with part3_program(tmp_path) as api:
        await api.sandbox("seed")
        await api.put_file(b"kept")
        await api.put_record(a_record())
        made = await api.make_return()
        await api.report(made["id"], "held", reason="question_changed")
    async with part3_program(tmp_path) as api:
        record = (await api.call("GET", "/records/rfi/101")).json()
        assert record["title"] == "Anchor bolts at grid C4"
        assert await api.return_state(made["id"]) == "held"
        assert (await api.client.get("/_sandbox/health")).json()["events_waiting"] == 1
        later = await api.put_record(a_record(title="second"))
        assert later.json()["updated_at"] > record["updated_at"]


async def test_a_start_with_bad_settings_names_every_fault_and_ends_with_78() -> None:
    env = environment(
        PART3_API_TOKEN="",
        PART3_WEBHOOK_SECRET="secret",
        GATEWAY_URL="gateway",
        PART3_LAUNCH_KEYS="k1:short",
        SANDBOX_PART3_PORT="many",
    )
    process = start(MODULE, env)
    _, err = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 78
    for name in (
        "PART3_API_TOKEN",
        "PART3_WEBHOOK_SECRET",
        "GATEWAY_URL",
        "PART3_LAUNCH_KEYS",
        "SANDBOX_PART3_PORT",
    ):
        assert name in err.decode()


async def test_faults_strike_the_calls_they_name(tmp_path: Path) -> None:
    async with part3_program(tmp_path) as api:
        await api.sandbox("seed")
        cut_before = {"on": "api", "fault": "cut", "method": "PUT", "times": 1}
        await api.sandbox("faults", rules=[cut_before])
        with pytest.raises(httpx2.TransportError):
            await api.put_record(a_record())
        assert (await api.call("GET", "/records/rfi/101")).status_code == 404

        await api.sandbox("faults", rules=[cut_before | {"when": "after"}])
        with pytest.raises(httpx2.TransportError):
            await api.put_record(a_record())
        assert (await api.call("GET", "/records/rfi/101")).status_code == 200

        busy = {"on": "api", "fault": "status", "status": 503, "retry_after_s": 2, "path": "rfi"}
        await api.sandbox("faults", rules=[busy])
        answer = await api.call("GET", "/records/rfi/101")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert (await api.call("GET", "")).status_code == 200

        await api.sandbox("faults", rules=[{"on": "api", "fault": "latency", "path": "rfi"}])
        slow = asyncio.create_task(api.call("GET", "/records/rfi/101"))
        assert (await api.call("GET", "")).status_code == 200
        assert not slow.done()
        assert (await slow).status_code == 200

        await api.sandbox("faults")
        assert (await api.put_record(a_record())).status_code == 200


async def test_a_seed_gives_the_same_faults_again(tmp_path: Path) -> None:
    rule = {"on": "api", "fault": "status", "probability": 0.5}
    async with part3_program(tmp_path) as api:
        await api.sandbox("seed")
        runs = []
        for _ in range(2):
            await api.sandbox("faults", seed=7, rules=[rule])
            runs.append([(await api.call("GET", "")).status_code for _ in range(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}


@pytest.mark.parametrize(
    "rule",
    [
        {"on": "api", "fault": "drop"},
        {"on": "event", "fault": "cut"},
        {"on": "api", "fault": "cut", "path": "("},
        {"on": "api", "fault": "cut", "sometimes": True},
        {"on": "api", "fault": "latency", "probability": 2},
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(api: Part3Api, rule: dict[str, str]) -> None:
    assert (await api.sandbox("faults", rules=[rule])).status_code == 422


async def test_seeding_twice_makes_nothing_twice(api: Part3Api) -> None:
    first, again = await api.sandbox("seed"), await api.sandbox("seed")
    assert first.json() == again.json()
    assert first.json()["project_id"] == PROJECT
    assert not [u for u in first.json()["users"] if u["role"] == "general_contractor"]


async def test_a_page_elsewhere_cannot_command_the_sandbox(api: Part3Api) -> None:
    answer = await api.client.post("/_sandbox/seed", content="{}")
    assert answer.status_code == 415
