"""`make bench`: all measurements in one run, into docs/performance.json, its page and its pictures.

About ten minutes, and never more than a quarter of an hour. `--only` measures some parts anew and
keeps what was found of the others. A busy machine spoils every figure: its load is noted.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import uvloop

from bench import backfill, charts, freshness, ingest, report, worker
from deploy.local.runs import DATA_FOLDER
from deploy.local.servers import LocalServers, local_servers

WITHIN_S = 900.0
Part = Callable[[LocalServers, argparse.Namespace], Awaitable[dict[str, Any]]]

PARTS: dict[str, Part] = {
    "ingest": lambda servers, asked: ingest.measure(
        servers.run, servers.kafka_bootstrap, repeats=asked.repeats
    ),
    "freshness": lambda servers, asked: freshness.measure(servers, seconds=asked.seconds),
    "worker": lambda servers, _: worker.measure(servers),
    "backfill": lambda servers, asked: backfill.measure(servers, records=asked.records),
}


async def main() -> int:
    asked = _arguments()
    found: dict[str, Any] = {"machine": machine()}
    if report.FOUND.exists():
        found = json.loads(report.FOUND.read_text(encoding="utf-8")) | found
    async with asyncio.timeout(WITHIN_S), local_servers(DATA_FOLDER) as servers:
        for name in asked.only:
            began = time.monotonic()
            found[name] = await PARTS[name](servers, asked)
            report.keep(found)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    if found.keys() >= PARTS.keys():
        report.write(found)
        charts.draw(found)
    else:
        print("the page waits for all parts")
        return 0
    for name in asked.only:
        for what, goal, value, met in report.goals(found)[name]:
            print(f"{name:10} {what:60.60} {goal:>9} {value:>9} {'' if met else 'MISSED'}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--repeats", type=int, default=5, help="of each load on the gateway")
    parser.add_argument("--seconds", type=float, default=45.0, help="of each scene of changes")
    parser.add_argument(
        "--records", type=int, default=10_000, help="RFIs, and as many submittals, of the backfill"
    )
    return parser.parse_args()


def machine() -> dict[str, str]:
    """Return what this ran on, and how busy that was before."""
    told = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = {line.split(":")[1].strip() for line in told if line.startswith("model name")}
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": f"{', '.join(models)}, {os.cpu_count()} of its cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "uvicorn, aiokafka": f"{version('uvicorn')}, {version('aiokafka')}",
        "Kafka, PostgreSQL": "one broker and one server, on the same machine, with local settings",
        "load before it began": f"{os.getloadavg()[0]:.1f} over a minute",
    }


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
