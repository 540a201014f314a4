"""Files: whole or a failure, from allowed places only, and the bearer for Procore alone."""

import hashlib
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import OutcomeUnknown, TryLater
from services.procore.errors import Refused
from services.procore.files import FileEmpty, FileNotWhole
from services.procore.models import Attachment
from services.procore.origins import OriginRefused, Origins, origin_of
from services.procore.reading import read_submittal
from tests.procore_client.sides import AMY, API, PLACE, Side, json_answer, procore_at

PDF = b"%PDF-1.7 " + b"x" * 500_000
STORAGE = "https://storage.test"


def attachment(url: str | None, name: str = "beam.pdf", *, size: int | None = None) -> Attachment:
    return Attachment(id="71", name=name, url=url, size=size)


def pdf(body: bytes = PDF) -> httpx2.Response:
    return httpx2.Response(200, content=body, headers={"content-type": "application/pdf"})


async def test_a_file_is_copied_with_its_hash_and_size(tmp_path: Path) -> None:
    side = Side([pdf()])
    got = await procore_at(side).download(
        PLACE, attachment(f"{STORAGE}/a"), tmp_path / "f", whose=AMY
    )
    assert (tmp_path / "f").read_bytes() == PDF
    assert (got.sha256, got.size) == (hashlib.sha256(PDF).hexdigest(), len(PDF))
    assert got.content_type == "application/pdf"


async def test_the_bearer_goes_to_the_api_and_is_dropped_at_the_redirect(tmp_path: Path) -> None:
    moved = httpx2.Response(302, headers={"location": f"{STORAGE}/presigned?sig=1"})
    side = Side([moved, pdf()])
    await procore_at(side).download(PLACE, attachment("/files/71"), tmp_path / "f", whose=AMY)
    first, second = side.requests
    assert str(first.url) == f"{API}/files/71"
    assert first.headers["authorization"] == "Bearer first"
    assert "authorization" not in second.headers
    assert "procore-company-id" not in second.headers


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://storage.test/a",
        "https://127.0.0.1/",
        "https://evil.test/",
        "https://storage.test.evil.test/",
        "https://storage.test@evil.test/",
        "file:///etc/passwd",
        "https://[bad/",
        "https://storage.test:nine/",
        "//evil.test/a",
    ],
)
async def test_a_redirect_elsewhere_is_not_followed(target: str, tmp_path: Path) -> None:
    side = Side([httpx2.Response(302, headers={"location": target})])
    with pytest.raises(TryLater):
        await procore_at(side).download(
            PLACE, attachment(f"{STORAGE}/a"), tmp_path / "f", whose=AMY
        )
    assert len(side.requests) == 1


async def test_redirects_in_circles_end(tmp_path: Path) -> None:
    side = Side([httpx2.Response(302, headers={"location": f"{STORAGE}/again"})])
    with pytest.raises(FileNotWhole, match="circles"):
        await procore_at(side).download(
            PLACE, attachment(f"{STORAGE}/a"), tmp_path / "f", whose=AMY
        )
    assert len(side.requests) < 10


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(
            200, content=b"<html>expired</html>", headers={"content-type": "text/html"}
        ),
        httpx2.Response(200, content=b"Expired.", headers={"content-type": "text/html"}),
        pdf(b""),
        httpx2.Response(403, content=b"<Error>expired</Error>"),
        httpx2.Response(500),
        httpx2.RemoteProtocolError("cut"),
        httpx2.ReadTimeout("late"),
    ],
)
async def test_what_is_not_the_whole_file_is_fetched_again_later(
    answer: Any, tmp_path: Path
) -> None:
    with pytest.raises(FileNotWhole):
        await procore_at(Side([answer])).download(
            PLACE, attachment(f"{STORAGE}/a"), tmp_path / "f", whose=AMY
        )


@pytest.mark.parametrize(("told", "body"), [(len(PDF) + 1, PDF), (0, PDF), (7, b"")])
async def test_a_file_of_another_size_than_procores_record_tells_is_not_taken(
    told: int, body: bytes, tmp_path: Path
) -> None:
    with pytest.raises(
        FileNotWhole, match=f"{told} bytes in Procore's record, and {len(body)}"
    ) as e:
        await procore_at(Side([pdf(body)])).download(
            PLACE, attachment(f"{STORAGE}/a", size=told), tmp_path / "f", whose=AMY
        )
    assert not isinstance(e.value, FileEmpty)  # which a file with bytes never is
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("body", [PDF, b""])
async def test_the_size_that_procores_record_tells_is_believed(body: bytes, tmp_path: Path) -> None:
    answer = procore_at(Side([pdf(body)])).download(
        PLACE, attachment(f"{STORAGE}/a", size=len(body)), tmp_path / "f", whose=AMY
    )
    if body:
        assert (await answer).size == len(body)
    else:
        with pytest.raises(FileEmpty):
            await answer


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ({"size": 12}, 12),
        ({"size": "12"}, 12),
        ({"file_size": 12}, 12),
        ({"size": 0, "file_size": 12}, 0),
        ({}, None),
        *(({"size": odd}, None) for odd in (None, -1, 1.5, True, "1.2 MB", "٣", 10**30, [12])),
    ],
)
def test_a_files_size_is_read_where_procore_tells_it(
    told: dict[str, Any], size: int | None
) -> None:
    read = read_submittal(
        {"id": 1, "updated_at": "2026-11-20T10:00:00Z", "attachments": [{"id": 7} | told]}
    )
    assert [one.size for one in read.attachments] == [size]


@pytest.mark.parametrize(
    "answer", [httpx2.Response(403), httpx2.RemoteProtocolError("cut"), pdf(b"")]
)
async def test_no_error_tells_the_signed_address(answer: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotWhole) as raised:
        await procore_at(Side([answer])).download(
            PLACE, attachment(f"{STORAGE}/a?signature=s3cr3t"), tmp_path / "f", whose=AMY
        )
    assert "s3cr3t" not in str(raised.value)


async def test_an_html_file_may_be_html(tmp_path: Path) -> None:
    page = httpx2.Response(200, content=b"<html>", headers={"content-type": "text/html"})
    got = await procore_at(Side([page])).download(
        PLACE, attachment(f"{STORAGE}/a", "notes.HTML"), tmp_path / "f", whose=AMY
    )
    assert got.size == 6


async def test_a_file_without_an_address_is_fetched_again_later(tmp_path: Path) -> None:
    with pytest.raises(FileNotWhole):
        await procore_at(Side([pdf()])).download(PLACE, attachment(None), tmp_path / "f", whose=AMY)


async def test_a_token_refused_by_procores_files_is_replaced_once(tmp_path: Path) -> None:
    side = Side([httpx2.Response(401), pdf()])
    await procore_at(side).download(PLACE, attachment("/files/71"), tmp_path / "f", whose=AMY)
    assert [one.headers["authorization"] for one in side.requests] == [
        "Bearer first",
        "Bearer second",
    ]


async def test_an_upload_is_announced_with_the_grant_and_stored_without_it(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"drawing")
    told = {"uuid": "u-1", "url": f"{STORAGE}/bucket", "fields": {"key": "k", "policy": "p"}}
    api, storage = Side([json_answer(told, 201)]), Side([httpx2.Response(204)])
    uuid = await procore_at(api, storage=storage).upload(
        PLACE, path, "Stamp é.pdf", "application/pdf", whose=AMY
    )
    assert uuid == "u-1"
    announced = msgspec.json.decode(api.requests[0].content)
    assert (announced["response_filename"], announced["size"]) == ("Stamp é.pdf", 7)
    assert api.requests[0].headers["authorization"] == "Bearer first"
    stored = storage.requests[0]
    assert "authorization" not in stored.headers
    body = stored.content
    assert body.index(b'name="key"') < body.index(b'name="policy"') < body.index(b'name="file"')
    assert b"drawing" in body


@pytest.mark.parametrize("answer", [json_answer({}, 503), httpx2.ReadTimeout("late")])
async def test_an_upload_may_always_be_announced_again(answer: Any, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"drawing")
    with pytest.raises(TryLater) as caught:
        await procore_at(Side([answer])).upload(PLACE, path, "a.pdf", "x/y", whose=AMY)
    assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize(("status", "error"), [(400, Refused), (413, Refused), (503, TryLater)])
async def test_what_the_storage_says_is_sorted(
    status: int, error: type[Exception], tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"drawing")
    api = Side([json_answer({"uuid": "u-1", "url": f"{STORAGE}/b"}, 201)])
    with pytest.raises(error):
        await procore_at(api, storage=Side([httpx2.Response(status)])).upload(
            PLACE, path, "a.pdf", "x/y", whose=AMY
        )


async def test_a_file_does_not_go_to_a_storage_that_nobody_allowed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"drawing")
    side = Side([json_answer({"uuid": "u-1", "url": "https://evil.test/b"}, 201)])
    with pytest.raises(OriginRefused, match="PROCORE_FILE_ORIGINS"):
        await procore_at(side).upload(PLACE, path, "a.pdf", "x/y", whose=AMY)
    assert len(side.requests) == 1


PRODUCTION = Origins(
    ("https://*.procore.com", "https://*.amazonaws.com", "http://10.0.0.7:9000"),
    ("https://api.procore.com", "http://127.0.0.1:7100"),
    "https://api.procore.com",
)


@pytest.mark.parametrize(
    ("url", "takes"),
    [
        ("https://api.procore.com/x", True),
        ("https://storage.procore.com/x", True),
        ("https://STORAGE.procore.com:443/x", True),
        ("http://storage.procore.com/x", False),
        ("https://storage.procore.com:8443/x", False),
        ("https://procore.com/x", False),
        ("https://a.b.procore.com/x", False),
        ("https://evilprocore.com/x", False),
        ("https://s3.amazonaws.com/x", False),
        ("https://storage.procore.com@evil.test/x", False),
        ("https://evil.test/storage.procore.com", False),
        ("http://127.0.0.1:7100/x", False),
    ],
)
def test_the_bearer_goes_to_procore_only(url: str, takes: bool) -> None:
    assert PRODUCTION.takes_bearer(url) is takes


@pytest.mark.parametrize("url", ["http://127.0.0.1:7100/f", "http://10.0.0.7:9000/f"])
def test_a_private_address_is_allowed_where_it_stands_literally(url: str) -> None:
    PRODUCTION.check(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "[::1]", "169.254.169.254", "localhost"])
def test_a_private_address_that_only_fits_a_pattern_is_refused(host: str) -> None:
    labels = host.split(".")
    pattern = ".".join(["https://*", *labels[1:]]) if len(labels) > 1 else "https://*"
    with pytest.raises(OriginRefused):
        Origins((pattern,), (), API).check(f"https://{host}/f")


@given(st.text(max_size=40))
def test_no_text_whatever_is_an_address_that_crashes_or_gets_the_bearer(text: str) -> None:
    for url in (text, f"https://{text}", f"https://storage.procore.com{text}"):
        if PRODUCTION.takes_bearer(url):
            host = httpx2.URL(url).host
            assert host.endswith(".procore.com"), url
        assert isinstance(origin_of(url), str)


PAGE = b"\n<!DOCTYPE html><title>Sign in</title>"
S3_ERROR = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/pdf", PAGE),
        ("application/octet-stream", b"\xef\xbb\xbf<HTML>"),
        ("application/xml", S3_ERROR),
        ("application/json", b'{"error": "expired"}'),
    ],
)
async def test_an_error_page_is_no_file_whatever_it_calls_itself(
    kind: str, body: bytes, tmp_path: Path
) -> None:
    answer = httpx2.Response(200, content=body, headers={"content-type": kind})
    with pytest.raises(FileNotWhole, match="error page"):
        await procore_at(Side([answer])).download(
            PLACE, attachment(f"{STORAGE}/a"), tmp_path / "f", whose=AMY
        )
