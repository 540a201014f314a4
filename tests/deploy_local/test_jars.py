import gc
import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.local.jars import DownloadFailed, Jar, fetch_jars, pinned_jars

# jgo leaves its connections to the garbage collector, which says so where it comes by.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
    "ignore:unclosed <socket:ResourceWarning",
)

CONTENT = b"PK" + bytes(range(256)) * 400


class Repository:
    """A Maven repository of one jar, which counts how often it is asked for it."""

    def __init__(self) -> None:
        self.asked = 0
        self.cut_short = 0
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.path == "/org/example/thing/1.0/thing-1.0.jar"
                self.send_response(200 if wanted else 404)
                body = CONTENT if wanted else b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if wanted:
                    repository.asked += 1
                    if repository.cut_short:
                        repository.cut_short -= 1
                        body = body[:100]
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as inherited
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    made = Repository()
    monkeypatch.setenv("MAVEN_MIRROR_URL", f"http://127.0.0.1:{made.server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    serving = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    yield made
    made.server.shutdown()
    serving.join()
    made.server.server_close()
    gc.collect()


def thing(content: bytes = CONTENT) -> Jar:
    sha256 = hashlib.sha256(content).hexdigest()
    return Jar(group="org.example", name="thing", version="1.0", size=len(content), sha256=sha256)


def test_a_jar_is_downloaded_once_and_then_found(repository: Repository, tmp_path: Path) -> None:
    for _ in range(2):
        (path,) = fetch_jars([thing()], tmp_path, threading.Event())
        assert path.read_bytes() == CONTENT
    assert repository.asked == 1


def test_the_download_says_how_far_it_is(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch_jars([thing()], tmp_path, threading.Event())
    said = capsys.readouterr().err
    assert "  0 %" in said
    assert "100 %, 0.1 of 0.1 MB, 1 of 1 files, done" in said


def test_a_download_that_breaks_off_is_tried_again(repository: Repository, tmp_path: Path) -> None:
    repository.cut_short = 1
    (path,) = fetch_jars([thing()], tmp_path, threading.Event())
    assert path.read_bytes() == CONTENT
    assert repository.asked == 2


def test_a_jar_that_is_not_the_pinned_one_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    other = thing(CONTENT[::-1])
    with pytest.raises(DownloadFailed, match=r"org\.example:thing:1\.0 is not the file"):
        fetch_jars([other], tmp_path, threading.Event())
    assert list(tmp_path.rglob("*.jar")) == []


def test_a_jar_that_nobody_has_is_named(repository: Repository, tmp_path: Path) -> None:
    missing = Jar(group="org.example", name="nothing", version="2", size=9, sha256="")
    with pytest.raises(DownloadFailed, match=r"org\.example:nothing:2 could not be downloaded"):
        fetch_jars([missing], tmp_path, threading.Event())


def test_two_runs_that_begin_together_download_once(repository: Repository, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as runs:
        waiting = [
            runs.submit(fetch_jars, [thing()], tmp_path, threading.Event()) for _ in range(2)
        ]
        assert {path.read_bytes() for each in waiting for path in each.result()} == {CONTENT}
    assert repository.asked == 1


def test_a_download_that_was_given_up_leaves_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    given_up = threading.Event()
    given_up.set()
    with pytest.raises(DownloadFailed, match="given up"):
        fetch_jars([thing()], tmp_path, given_up)
    assert [path for path in tmp_path.rglob("*") if path.suffix == ".jar"] == []


def test_every_pinned_jar_has_a_size_and_a_hash() -> None:
    jars = pinned_jars()
    assert {"kafka_2.13", "kafka-clients", "slf4j-simple"} <= {jar.name for jar in jars}
    assert all(jar.size > 0 and len(jar.sha256) == 64 for jar in jars)
