"""The stand-in and the inbox as processes of their own, for what only a real one shows."""

import asyncio
import base64
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

from tests.sandbox.part3.conftest import LAUNCH_SECRET, TOKEN, WEBHOOK_SECRET


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "PART3_API_TOKEN": TOKEN,
        "PART3_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "GATEWAY_URL": "http://127.0.0.1:9",
        "PART3_LAUNCH_KEYS": f"k1:{base64.b64encode(LAUNCH_SECRET).decode()}",
        "CONNECTOR_PUBLIC_URL": "http://127.0.0.1:8081",
        **more,
    }


def start(module: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def stop(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """End it as a person would; returns its exit code and what it said on stderr."""
    process.terminate()
    _, err = process.communicate(timeout=20)
    return process.returncode, err


@contextlib.asynccontextmanager
async def running(module: str, url: str, env: dict[str, str]) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a program that answers; it is ended afterwards and must end well."""
    process = start(module, env)
    ended: tuple[int, bytes] | None = None
    try:
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
            async with asyncio.timeout(30):
                while not await _answers(client):
                    assert process.poll() is None, process.communicate()
                    await asyncio.sleep(0.05)
            yield client
    finally:
        ended = await asyncio.to_thread(stop, process)
    assert ended == (0, b""), ended


async def _answers(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/_sandbox/health")).is_success
    except httpx2.TransportError:
        return False
