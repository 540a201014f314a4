"""Promise A19, when something breaks: a secret in an exception's own words is in no log."""

import base64
import secrets
import subprocess
import sys

import pytest

from services.covering import cover
from services.settings import Key, Secret
from tests.stack.canaries import Canaries

PROGRAM = """
import asyncio, os, sys, threading
import structlog
from services.running import run_program
from services.settings import LogSettings, Reader
from services.telemetry import configure_logging

def burst_somewhere(password, keys):
    in_a_local = password.reveal()
    raise ValueError(
        f"refused {in_a_local!r} by {keys.first.secret!r} for {os.environ['TOKEN_ENCRYPTION_KEYS']}"
    )

class Burst:
    def __del__(self):
        burst_somewhere(*self.given)

async def in_a_task():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(burst_somewhere, *given))

async def in_a_callback():
    asyncio.get_running_loop().call_soon(burst_somewhere, *given)
    await asyncio.sleep(0.01)

async def in_a_thread():
    thread = threading.Thread(target=burst_somewhere, args=given)
    thread.start()
    thread.join()

async def in_a_finalizer():
    Burst().given = given

async def caught():
    try:
        burst_somewhere(*given)
    except ValueError:
        structlog.get_logger().exception("something.broke")

async def nowhere():
    burst_somewhere(*given)

reader = Reader()
given = (reader.secret("CANARY"), reader.key_ring("TOKEN_ENCRYPTION_KEYS"))
configure_logging(LogSettings("debug", sys.argv[2]), "canary")
run_program(globals()[sys.argv[1]]())
"""


PLACES = ("nowhere", "caught", "in_a_task", "in_a_callback", "in_a_thread", "in_a_finalizer")


@pytest.mark.parametrize(
    ("where", "form"), [*((where, "json") for where in PLACES), ("caught", "console")]
)
def test_d17_b77_a_crash_shows_no_canary(where: str, form: str) -> None:
    password, key = secrets.token_urlsafe(32), secrets.token_bytes(32)
    encoded = base64.b64encode(key).decode()
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, where, form],
        env={"CANARY": password, "TOKEN_ENCRYPTION_KEYS": f"t1:{encoded}", "PYTHONPATH": "."},
        capture_output=True,
        timeout=60,
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert b"burst_somewhere" in said, "the traceback is of use"
    assert b"ValueError" in said
    assert b"refused" in said
    canaries = Canaries()
    canaries.add("password", password)
    canaries.add("key", key)
    canaries.add("key as it is written", encoded)
    canaries.add("key as Python shows it", repr(key)[2:-1])
    canaries.look_in("last words", [said])
    assert canaries.found == []


@pytest.mark.parametrize(
    "text",
    [
        "authorization: Bearer {}",
        "basic {}",
        '{{"access_token": "{}", "expires_in": 1}}',
        "{{'refresh_token': '{}'}}",
        '"{{\\"client_secret\\": \\"{}\\"}}"',
        "postgresql://connector:{}@db:5432/x",
        "GET https://x.example/oauth/procore/callback?code={}&state=1",
        "eyJhbGciOiJIUzI1NiJ9.{}.sig",
        "whsec_{}",
    ],
)
def test_what_looks_like_a_secret_is_covered_though_nobody_knew_it(text: str) -> None:
    secret = secrets.token_hex(16)
    covered = cover(text.format(secret))
    assert secret not in covered
    assert "***" in covered


def test_plain_words_are_left_as_they_are() -> None:
    words = (
        "ValueError: project p-1 at https://api.procore.com:443/rest/v1.0/rfis?page=2&per_page=100 "
        "answered 500, code: needs_reauthorization, token service away, basic work"
    )
    assert cover(words) == words


def test_what_is_gone_is_forgotten() -> None:
    word = secrets.token_hex(12)
    secret = Secret(word)
    assert word not in cover(word)
    twin = Secret(word)
    del secret
    assert word not in cover(word)
    del twin
    assert cover(word) == word


def test_a_key_is_covered_as_bytes_are_written() -> None:
    key = Key("k", secrets.token_bytes(32))
    for written in (key.secret.hex(), base64.b64encode(key.secret).decode(), repr(key.secret)):
        assert "***" in cover(f"of {written} here")
