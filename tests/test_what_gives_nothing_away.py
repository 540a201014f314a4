"""Secrets are compared so that time tells nothing, and logs so that lines tell nothing."""

import hmac
import io
import logging
from collections.abc import Callable, Iterator

import httpx2
import pytest
import structlog

from tests.logged import logged_by
from token_service.public.csrf import is_own_form
from webhook_gateway.part3 import Claim, is_authentic

SIGNING = b"k" * 24
SIGNED = hmac.digest(SIGNING, b"m-1.1795000000.{}", "sha256")


def part3_signature(sent: bytes) -> bool:
    return is_authentic(Claim(b"m-1", b"1795000000", (sent,)), b"{}", [SIGNING])


def form_token(sent: bytes) -> bool:
    return is_own_form(SIGNED.hex(), sent.hex(), {}, "https://connector.test")


@pytest.mark.parametrize(
    ("is_right", "expected"), [(part3_signature, SIGNED), (form_token, SIGNED.hex().encode())]
)
def test_a_secret_is_compared_in_constant_time(
    is_right: Callable[[bytes], bool], expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    really = hmac.compare_digest

    def compare_digest(ours: bytes, sent: bytes) -> bool:
        compared.append(ours)
        return really(ours, sent)

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    assert is_right(SIGNED)
    assert not is_right(b"\0" * len(SIGNED))
    assert compared == [expected, expected]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a program writes when it logs all it can."""
    with logged_by("sync_worker") as written:
        yield written


async def test_no_line_tells_the_address_that_a_client_called(lines: io.StringIO) -> None:
    answers = httpx2.MockTransport(lambda _request: httpx2.Response(200))
    async with httpx2.AsyncClient(transport=answers) as client:
        await client.get("https://storage.test/beam.pdf?signature=s3cr3t")
    logging.getLogger("sync_worker").warning("written")
    assert "written" in lines.getvalue()
    assert "s3cr3t" not in lines.getvalue()


def test_a_field_that_is_called_a_secret_is_covered(lines: io.StringIO) -> None:
    structlog.get_logger().error("call.failed", access_token="s3cr3t", authorization="s3cr3t")
    assert "call.failed" in lines.getvalue()
    assert "s3cr3t" not in lines.getvalue()
