"""Threat 28: a release with a known flaw is noticed; on a database of flaws on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.advisories import ask, pinned

FLAWED = ("jinja2", "3.1.5")


class Osv(BaseHTTPRequestHandler):
    """https://google.github.io/osv.dev/api/: one flaw, of one release."""

    asked: list[tuple[str, str]]

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        about = [(one["package"]["name"], one["version"]) for one in queries]
        self.asked += about
        flaw = {"vulns": [{"id": "GHSA-1", "modified": "2025-01-01T00:00:00Z"}]}
        self._answer({"results": [flaw if one == FLAWED else {} for one in about]})

    def do_GET(self) -> None:
        self._answer(
            {"id": "GHSA-1", "modified": "2025-01-01T00:00:00Z", "summary": "x", "affected": []}
        )

    def _answer(self, found: object) -> None:
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def osv() -> Iterator[HTTPServer]:
    Osv.asked = []
    with HTTPServer(("127.0.0.1", 0), Osv) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def service(server: HTTPServer) -> tuple[str, ...]:
    return ("--service-url", f"http://127.0.0.1:{server.server_port}/", "--no-cache")


def test_d28_every_pinned_release_is_asked_about(osv: HTTPServer) -> None:
    assert ask(pinned(), *service(osv)) == 0
    assert sorted(Osv.asked) == pinned()
    assert len(Osv.asked) > 60


def test_d28_a_release_with_a_known_flaw_is_named(
    osv: HTTPServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ask([FLAWED, ("markupsafe", "3.0.2")], *service(osv)) != 0
    said = "".join(capfd.readouterr())
    assert "GHSA-1" in said
    assert "jinja2 3.1.5" in said


def test_d28_a_database_that_does_not_answer_is_no_all_clear(osv: HTTPServer) -> None:
    options = service(osv)
    osv.socket.close()
    assert ask([FLAWED], *options) != 0
