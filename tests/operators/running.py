"""Runs the operators' command and the programs as an operator does: as processes."""

import asyncio
import base64
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

ENDS_WITHIN_S = 60.0
KEPT = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
KEY = base64.b64encode(b"k" * 32).decode()


@dataclass(frozen=True)
class Ended:
    """How a process ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


async def run_module(module: str, *arguments: str, environment: Mapping[str, str]) -> Ended:
    """Run `python -m module` to its end, with nothing but `environment` of the variables."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in KEPT if name in os.environ} | dict(environment),
    )
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"{module} did not end by itself: {out!r} {err!r}") from None
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def connector(*arguments: str, environment: Mapping[str, str]) -> Ended:
    """Run `connector`; whatever happens, it never shows a traceback."""
    ended = await run_module("connector", *arguments, environment=environment)
    assert "Traceback" not in ended.said, ended.said
    return ended


def whole_environment(*, port: int) -> dict[str, str]:
    """Return settings for all programs, well-formed, all of them leading to one closed port."""
    here = f"http://127.0.0.1:{port}"
    return {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "DATABASE_URL": f"postgresql://somebody:hidden@127.0.0.1:{port}/nothing",
        "WEBHOOK_SECRET_KEYS": f"w1:{KEY}",
        "PART3_WEBHOOK_SECRETS": f"whsec_{KEY}",
        "TOKEN_ENCRYPTION_KEYS": f"t1:{KEY}",
        "PART3_LAUNCH_KEYS": f"l1:{KEY}",
        "INTERNAL_API_KEYS": f"i1:{KEY}",
        "PROCORE_LOGIN_URL": here,
        "PROCORE_API_URL": here,
        "PROCORE_CLIENT_ID": "client",
        "PROCORE_CLIENT_SECRET": "hidden",
        "PUBLIC_URL": here,
        "GATEWAY_PUBLIC_URL": here,
        "PART3_API_URL": here,
        "PART3_API_TOKEN": "hidden",
        "PART3_ORIGIN": here,
        "TOKEN_SERVICE_URL": here,
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": "0",
        "INTERNAL_PORT": "0",
        "METRICS_PORT": "0",
    }
