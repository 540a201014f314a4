"""`make bench-ingest`: the gateway beside the bare floor of its libraries, on one Kafka.

Both take the same deliveries from the same generator in turns, so that what else this machine does
falls on both; what counts is their ratio. Everything listens on 127.0.0.1 and ends within two
minutes. Written to .data/bench/ingest.json as well.
"""

import argparse
import asyncio
import base64
import json
import os
import secrets
import statistics
import sys
from dataclasses import dataclass
from typing import Any

import psutil

from deploy.local.kafka import start_kafka
from deploy.local.ports import free_port
from deploy.local.processes import Program
from deploy.local.readiness import http_ready, port_ready
from deploy.local.runs import DATA_FOLDER, ROOT, Run, open_run
from deploy.local.servers import named_kafka
from schemas.notices import PROCORE_NOTICES
from services.kafka import create_topics
from services.settings import KafkaSettings

WITHIN_S = 120.0
PARTITIONS = 12
STEADY_S = 4.0
PYTHON = sys.executable
HOOK_KEY = secrets.token_bytes(32)


@dataclass
class Server:
    """A program under load."""

    name: str
    port: int
    process: psutil.Process

    @property
    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def resident_mib(self) -> float:
        return float(self.process.memory_info().rss) / 1_048_576


@dataclass
class Turn:
    """One load on one server."""

    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    longest_ms: float


async def measure(
    run: Run, bootstrap: str, *, repeats: int = 5, seconds: float = 2.0
) -> dict[str, Any]:
    """Return both programs' figures: as fast as it goes at 64 and 256 connections, and at 500/s."""
    bare, gateway = await _start_both(run, bootstrap)
    for server in (bare, gateway):  # fills caches, opens connections to Kafka
        await _load(server, 64, 1.0)
    report: dict[str, Any] = {"repeats": repeats}
    for connections in (64, 256):
        report[f"connections_{connections}"] = await _compare(
            bare, gateway, connections, repeats, seconds
        )
    report["at_500_a_second"] = await _steadily(bare, gateway, repeats)
    report["resident_mib"] = gateway.resident_mib
    report["floor_resident_mib"] = bare.resident_mib
    return report


async def _steadily(bare: Server, gateway: Server, repeats: int) -> dict[str, float]:
    pairs = [
        (await _load(bare, 64, STEADY_S, rate=500), await _load(gateway, 64, STEADY_S, rate=500))
        for _ in range(min(repeats, 3))
    ]
    return {
        "floor_p50_ms": statistics.median(floor.p50_ms for floor, _ in pairs),
        "floor_p99_ms": statistics.median(floor.p99_ms for floor, _ in pairs),
        "gateway_p50_ms": statistics.median(ours.p50_ms for _, ours in pairs),
        "gateway_p99_ms": statistics.median(ours.p99_ms for _, ours in pairs),
        "gateway_longest_ms": max(ours.longest_ms for _, ours in pairs),
        "gateway_cpu_us": statistics.median(ours.cpu_us for _, ours in pairs),
    }


async def main() -> int:
    arguments = _arguments()
    async with asyncio.timeout(WITHIN_S), open_run(DATA_FOLDER) as run:
        bootstrap = named_kafka()
        if not bootstrap:
            bootstrap = (await start_kafka(run, DATA_FOLDER / "cache")).bootstrap_servers
        report = await measure(run, bootstrap, repeats=arguments.repeats, seconds=arguments.seconds)
    _tell(report)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, choices=range(1, 9))
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load, at most 2.5")
    arguments = parser.parse_args()
    arguments.seconds = min(arguments.seconds, 2.5)
    return arguments


async def _start_both(run: Run, bootstrap: str) -> tuple[Server, Server]:
    prefix = f"bench{secrets.token_hex(4)}."
    kafka = KafkaSettings(
        bootstrap_servers=bootstrap,
        topic_prefix=prefix,
        security_protocol="PLAINTEXT",
        sasl_mechanism=None,
        sasl_username=None,
        sasl_password=None,
        ca_file=None,
    )
    await create_topics(kafka, partitions=PARTITIONS, replication=1)
    ports = {name: free_port() for name in ("bare", "gateway", "metrics")}
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_TOPIC_PREFIX": prefix,
        "WEBHOOK_SECRET_KEYS": "bench:" + base64.b64encode(HOOK_KEY).decode(),
        "PART3_WEBHOOK_SECRETS": secret,
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(ports["gateway"]),
        "METRICS_PORT": str(ports["metrics"]),
        "LOG_LEVEL": "warning",
    }
    gateway = await run.start(
        "gateway",
        [PYTHON, "-m", "webhook_gateway"],
        environment=environment,
        working_folder=ROOT,
        ready=http_ready(f"http://127.0.0.1:{ports['gateway']}/readyz"),
    )
    bare = await run.start(
        "bare",
        [PYTHON, "-m", "bench.bare", str(ports["bare"]), prefix + PROCORE_NOTICES],
        environment=environment,
        working_folder=ROOT,
        ready=port_ready(ports["bare"]),
    )
    return _server("bare", ports["bare"], bare), _server("gateway", ports["gateway"], gateway)


def _server(name: str, port: int, program: Program) -> Server:
    for process in (found := psutil.Process(program.pid)), *found.children(recursive=True):
        if any(kept.laddr.port == port for kept in process.net_connections("tcp4")):
            return Server(name, port, process)
    raise RuntimeError(f"{name} does not listen on {port}")


async def _compare(
    bare: Server, gateway: Server, connections: int, repeats: int, seconds: float
) -> dict[str, float]:
    pairs = []
    for _ in range(repeats):
        floor = await _load(bare, connections, seconds)
        ours = await _load(gateway, connections, seconds)
        pairs.append((floor, ours))
    return {
        "floor_per_s": statistics.median(floor.per_s for floor, _ in pairs),
        "gateway_per_s": statistics.median(ours.per_s for _, ours in pairs),
        "ratio": statistics.median(ours.per_s / floor.per_s for floor, ours in pairs),
        "cpu_ratio": statistics.median(floor.cpu_us / ours.cpu_us for floor, ours in pairs),
        "floor_cpu_us": statistics.median(floor.cpu_us for floor, _ in pairs),
        "gateway_cpu_us": statistics.median(ours.cpu_us for _, ours in pairs),
        "gateway_p50_ms": statistics.median(ours.p50_ms for _, ours in pairs),
        "gateway_p99_ms": statistics.median(ours.p99_ms for _, ours in pairs),
    }


async def _load(server: Server, connections: int, seconds: float, *, rate: float = 0) -> Turn:
    before = server.cpu_s
    generator = await asyncio.create_subprocess_exec(
        *(PYTHON, "-m", "bench.load", str(server.port), str(connections), str(seconds), str(rate)),
        cwd=ROOT,
        env=os.environ | {"BENCH_HOOK_KEY": HOOK_KEY.hex()},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await generator.communicate()
    said = json.loads(output)
    taken = said["statuses"].pop("204", 0)
    if said["statuses"] or not taken:
        raise RuntimeError(f"{server.name} did not take all: {said['statuses']} beside {taken}")
    return Turn(
        per_s=taken / seconds,
        cpu_us=1e6 * (server.cpu_s - before) / taken,
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
        longest_ms=said["longest_ms"],
    )


def _tell(report: dict[str, Any]) -> None:
    folder = DATA_FOLDER / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ingest.json").write_text(json.dumps(report, indent=2) + "\n")
    for name, value in report.items():
        if isinstance(value, dict):
            print(name)
            for inner, figure in value.items():
                print(f"  {inner:16} {figure:10.2f}")
        else:
            print(f"{name:18} {value:10.2f}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
