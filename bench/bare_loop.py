"""The floor of a worker: the same two calls for a change, and nothing else.

It reads an RFI from Procore and puts a record into Part3, so many at once, and remembers, compares,
translates and checks nothing. Says, as JSON, how long that took and what it cost.
"""

import asyncio
import json
import sys
import time

import httpx2
import uvloop

RECORD = {"kind": "rfi", "title": "As built", "number": "1", "status": "open"}


async def loop(url: str, changes: int, at_once: int) -> float:
    """Make both calls for each change; return the seconds it took."""
    places = asyncio.Semaphore(at_once)
    limits = httpx2.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx2.AsyncClient(timeout=30.0, trust_env=False, limits=limits) as http:

        async def one(number: int) -> None:
            async with places:
                read = await http.get(
                    f"{url}/rest/v1.0/projects/{9_000_001 + number % 10}/rfis/{number % 10 + 1}",
                    headers={"authorization": "Bearer token", "procore-company-id": "77"},
                )
                record = RECORD | {"procore_id": str(read.json()["id"])}
                put = await http.put(
                    f"{url}/v1/projects/bare/records/rfi/{record['procore_id']}",
                    json=record,
                    headers={"authorization": "Bearer token", "if-match": "1"},
                )
                put.raise_for_status()

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(changes):
                group.create_task(one(number))
        return time.perf_counter() - began


if __name__ == "__main__":
    before = time.process_time()
    took_s = uvloop.run(loop(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps({"took_s": took_s, "cpu_s": time.process_time() - before}))
