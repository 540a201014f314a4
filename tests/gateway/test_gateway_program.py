"""The program itself, with a real Kafka: started by its environment, ended by a signal."""

import asyncio
import json
import os
import resource
import secrets
import signal
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.kafka import LocalKafka
from schemas.notices import DEAD_LETTERS, PART3_NOTICES, PROCORE_NOTICES
from services.settings import KafkaSettings
from tests.gateway.stage import HOST, KEYS, PART3_SECRETS, V4, now_signed, part3, procore
from tests.http_server.raw import Answers, answers_of
from tests.kafka_topics import kafka_settings, records_of, with_topics

pytestmark = pytest.mark.kafka
PROCORE_WAITS_S = 5
ROOT = Path(__file__).parents[2]


def environment_of(settings: KafkaSettings) -> dict[str, str]:
    ring = ",".join(f"{key.id}:{b64encode(key.secret).decode()}" for key in KEYS.keys)
    return {
        "PATH": os.environ["PATH"],
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": settings.topic_prefix,
        "WEBHOOK_SECRET_KEYS": ring,
        "PART3_WEBHOOK_SECRETS": ",".join(PART3_SECRETS),
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": "0",
        "METRICS_PORT": "0",
    }


@dataclass
class Program:
    process: asyncio.subprocess.Process
    port: int
    metrics_port: int
    log: list[str]

    async def send(self, request: bytes) -> Answers:
        return await answers_of(self.port, 1, request)

    async def get(self, path: str, port: int | None = None) -> Answers:
        request = b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), HOST)
        return await answers_of(port or self.port, 1, request)

    async def until_ready(self) -> None:
        async with asyncio.timeout(60):
            while (await self.get("/readyz")).statuses != [200]:
                await asyncio.sleep(0.05)


async def start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "webhook_gateway",
        cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@asynccontextmanager
async def gateway(settings: KafkaSettings) -> AsyncIterator[Program]:
    process = await start(environment_of(settings))
    assert process.stderr is not None
    ports: dict[str, int] = {}
    log: list[str] = []
    async with asyncio.timeout(30):
        while len(ports) < 2:
            line = (await process.stderr.readline()).decode()
            assert line, f"the gateway ended: {log}"
            log.append(line)
            event = json.loads(line)
            if event["event"] == "http.listening":
                ports[event["site"]] = event["port"]
    drain = asyncio.create_task(_keep(process.stderr, log))
    try:
        yield Program(process, ports["public"], ports["metrics"], log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            code = await process.wait()
            await drain
        process._transport.close()  # type: ignore[attr-defined] # or its pipes complain at the end
    assert code == 0


async def _keep(stream: asyncio.StreamReader, log: list[str]) -> None:
    while line := await stream.readline():
        log.append(line.decode())


async def test_what_is_answered_2xx_is_in_kafka(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap)
    event = {
        "type": "return.created",
        "timestamp": "2026-11-24T08:15:30Z",
        "data": {"project_id": "project-1", "return_id": "ret-1"},
    }
    content = json.dumps(event).encode()
    async with gateway(settings) as program:
        await program.until_ready()
        assert (await program.send(procore(V4))).statuses == [204]
        assert (await program.send(part3(content, now_signed(content)))).statuses == [202]
        assert (await program.send(procore(b"\x00 no JSON"))).statuses == [204]
        assert (await program.send(procore(V4, authorization=b"Bearer no"))).statuses == [401]
        shown = (await program.get("/metrics", program.metrics_port)).body.decode()
    [notice] = await records_of(settings, PROCORE_NOTICES)
    assert notice.key == b"project-1"
    assert notice.headers["ce_id"] == V4["id"].encode()
    assert json.loads(notice.value or b"")["record_id"] == "12345"
    [answer] = await records_of(settings, PART3_NOTICES)
    assert json.loads(answer.value or b"")["return_id"] == "ret-1"
    [letter] = await records_of(settings, DEAD_LETTERS)
    assert letter.value == b"\x00 no JSON"
    assert letter.headers["dead_letter_cause"] == b"not_json"
    series = 'connector_gateway_deliveries_total{outcome="%s",sender="%s"} 1.0'
    for outcome in ("published", "dead_letter", "unauthentic"):
        assert series % (outcome, "procore") in shown


async def test_the_same_delivery_twenty_times_is_twenty_records_of_one_notice(
    kafka_bootstrap: str,
) -> None:
    settings = await with_topics(kafka_bootstrap)
    async with gateway(settings) as program:
        await program.until_ready()
        answers = await asyncio.gather(*(program.send(procore(V4)) for _ in range(20)))
        assert [answer.statuses for answer in answers] == [[204]] * 20
    records = await records_of(settings, PROCORE_NOTICES)
    assert len(records) == 20
    assert {json.loads(record.value or b"")["notice_id"] for record in records} == {V4["id"]}
    assert len({record.partition for record in records}) == 1


async def test_while_kafka_is_down_senders_hear_503_in_time_and_then_it_flows_again(
    local_kafka: LocalKafka,
) -> None:
    settings = await with_topics(local_kafka.bootstrap_servers)
    async with gateway(settings) as program:
        await program.until_ready()
        assert (await program.send(procore(V4))).statuses == [204]
        local_kafka.program.kill()
        for _ in range(3):
            async with asyncio.timeout(PROCORE_WAITS_S):
                assert (await program.send(procore(V4))).statuses == [503]
        assert (await program.get("/readyz")).statuses == [503]
        assert (await program.get("/livez")).statuses == [200]
        await local_kafka.program.start()
        await program.until_ready()
        token = str(secrets.randbelow(10**12) + 1)
        async with asyncio.timeout(60):
            while (await program.send(procore(V4 | {"resource_id": token}))).statuses != [204]:
                await asyncio.sleep(0.1)
    ids = [
        json.loads(record.value or b"")["record_id"]
        for record in await records_of(settings, PROCORE_NOTICES)
    ]
    assert ids[0] == V4["resource_id"]
    assert ids[-1] == token


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
async def test_while_kafkas_disk_is_full_senders_hear_503_and_what_was_answered_is_kept(
    local_kafka: LocalKafka,
) -> None:
    settings = await with_topics(local_kafka.bootstrap_servers)
    answered: dict[str, int] = {}

    async def deliver(record_id: str) -> int:
        async with asyncio.timeout(PROCORE_WAITS_S):
            [answered[record_id]] = (
                await program.send(procore(V4 | {"resource_id": record_id}))
            ).statuses
        return answered[record_id]

    async with gateway(settings) as program:
        await program.until_ready()
        assert await deliver("1") == 204
        allow_no_larger_files(local_kafka, to_bytes=400)
        async with asyncio.timeout(60):
            while await deliver(str(len(answered) + 1)) == 204:
                pass
            while local_kafka.program.is_running:  # a broker without a folder that works ends
                await asyncio.sleep(0.05)
        assert set(answered.values()) == {204, 503}
        await local_kafka.program.start()
        async with asyncio.timeout(60):
            while await deliver(str(len(answered) + 1)) == 503:
                await asyncio.sleep(0.1)
    kept = {
        json.loads(record.value or b"")["record_id"]
        for record in await records_of(settings, PROCORE_NOTICES)
    }
    assert {one for one, status in answered.items() if status == 204} <= kept


def allow_no_larger_files(kafka: LocalKafka, *, to_bytes: int) -> None:
    """Let each further byte of a file fail, as where a disk is full; until it is started again."""
    pid = kafka.program.pid
    assert pid is not None
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (to_bytes, hard))


async def test_the_program_starts_before_kafka_and_finds_it_later(local_kafka: LocalKafka) -> None:
    settings = await with_topics(local_kafka.bootstrap_servers)
    local_kafka.program.kill()
    async with gateway(settings) as program:
        ready = await program.get("/readyz")
        assert ready.statuses == [503]
        assert "no connection to Kafka" in json.loads(ready.body)["checks"]["kafka"]["reason"]
        assert (await program.send(procore(V4))).statuses == [503]
        await local_kafka.program.start()
        await program.until_ready()
        assert (await program.send(procore(V4))).statuses == [204]


async def test_a_gateway_told_to_end_finishes_what_it_has_taken(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap)
    async with gateway(settings) as program:
        await program.until_ready()
        reader, writer = await asyncio.open_connection("127.0.0.1", program.port)
        request = procore(V4)
        writer.write(request[:-1])
        await writer.drain()
        await asyncio.sleep(0.3)
        program.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        writer.write(request[-1:])
        assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert len(await records_of(settings, PROCORE_NOTICES)) == 1


async def test_bad_settings_are_all_named_and_end_with_78() -> None:
    environment = environment_of(kafka_settings("127.0.0.1:1", ""))
    environment |= {
        "WEBHOOK_SECRET_KEYS": "k:%%",
        "PART3_WEBHOOK_SECRETS": "whsec_YWJj",
        "HTTP_PORT": "x",
    }
    del environment["KAFKA_BOOTSTRAP_SERVERS"]
    process = await start(environment)
    _, said = await process.communicate()
    assert process.returncode == 78
    for name in (
        "KAFKA_BOOTSTRAP_SERVERS",
        "WEBHOOK_SECRET_KEYS",
        "PART3_WEBHOOK_SECRETS",
        "HTTP_PORT",
    ):
        assert name in said.decode()
    assert "YWJj" not in said.decode()


async def test_no_secret_and_no_body_stands_in_the_log(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap)
    canary = "canary" + secrets.token_hex(8)
    async with gateway(settings) as program:
        await program.until_ready()
        await program.send(procore(canary.encode()))
        await program.send(procore(V4, authorization=b"Bearer " + canary.encode()))
        await program.send(procore(V4, path=b"/" + canary.encode()))
        await program.send(procore(V4))
    log = "".join(program.log)
    assert canary not in log
    assert b64encode(KEYS.first.secret).decode() not in log
    assert PART3_SECRETS[0] not in log
