"""The probe's tokens: none is left alive, none stands in a report, none goes to another's host."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from connector.probe.answers import read_answers
from connector.probe.asks_files import ask_for_files
from connector.probe.asks_platform import ask_about_refreshing
from connector.probe.authorizing import OUT_OF_BAND, App, end
from connector.probe.person import Terminal
from connector.probe.probing import Probe
from connector.probe.wire import Faulty, Session, seen_of
from services.settings import Secret

API = "https://sandbox.procore.com"
LOGIN = "https://login-sandbox.procore.com"


class Forgiving:
    """A Procore that gives a new pair for a refresh token as often as it comes."""

    def __init__(self) -> None:
        self.pairs = 0
        self.revoked: set[str] = set()
        self.bearers: list[tuple[str, str | None]] = []
        self.file_url = ""
        self.revocation: int | None = 200  # its status; None: the line breaks

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.bearers.append((request.url.host, request.headers.get("authorization")))
        form = parse_qs(request.content.decode("utf-8", "replace"))
        if path == "/oauth/token":
            self.pairs += 1
            pair = {
                "access_token": f"access-{self.pairs}-given",
                "refresh_token": f"refresh-{self.pairs}-given",
            }
            return httpx2.Response(200, json=pair)
        if path == "/oauth/revoke":
            self.revoked.add(form["token"][0])
            if self.revocation is None:
                raise httpx2.ReadError("cut")
            return httpx2.Response(self.revocation, json={})
        if path.endswith("/submittal_statuses"):
            return httpx2.Response(200, json=[])
        if path.endswith("/uploads"):
            upload = {"uuid": "up-1", "url": f"{API}/stored", "fields": {}}
            return httpx2.Response(200, json=upload)
        record = {"id": 7, "attachments": [{"url": self.file_url}]}
        return httpx2.Response(200, json=record)


@pytest.fixture
def procore() -> Forgiving:
    return Forgiving()


@pytest.fixture
async def probe(procore: Forgiving, tmp_path: Path) -> AsyncIterator[Probe]:
    app = App(
        login_url=LOGIN,
        api_url=API,
        client_id="app",
        client_secret=Secret("hidden"),
        redirect_uri=OUT_OF_BAND,
    )
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(procore.answer)) as http:
        pair = (Secret("access-0-given"), Secret("refresh-0-given"))
        settled: dict[str, Any] = {"hook_url": "", "other_id": "", "other_name": ""}
        yield Probe(
            app=app,
            person=Terminal(yes_to_writes=True, asks=False),
            answers=read_answers(tmp_path / "answers.json", run="0a1b2c"),
            first=Session(http, API, "the first person", *pair, company_id="1", user_id="2"),
            second=None,
            **settled,
        )


async def test_a_spent_token_that_is_taken_again_is_told_without_what_it_gave(
    procore: Forgiving, probe: Probe, tmp_path: Path
) -> None:
    await ask_about_refreshing(probe)
    noted = (tmp_path / "answers.json").read_text()
    assert "200: it is taken again" in noted
    assert procore.pairs == 2
    assert "-given" not in noted


def test_what_an_answer_gives_is_not_told_as_its_words() -> None:
    given, refused = {"access_token": "a-given"}, {"error": "invalid_grant"}
    assert seen_of(httpx2.Response(200, json=given), "GET /me").words == ""
    assert seen_of(httpx2.Response(400, json=refused), "GET /me").words == "invalid_grant"


async def test_every_pair_that_was_given_is_revoked_in_the_end(
    procore: Forgiving, probe: Probe
) -> None:
    await ask_about_refreshing(probe)
    assert await end(probe.app, probe.first)
    assert procore.revoked >= {"access-0-given", "access-1-given", "access-2-given"}
    assert "refresh-2-given" in procore.revoked


@pytest.mark.parametrize("revocation", [None, 302, 503])
async def test_a_revocation_that_procore_did_not_take_is_told_and_the_rest_still_sent(
    procore: Forgiving, probe: Probe, revocation: int | None
) -> None:
    procore.revocation = revocation
    assert not await end(probe.app, probe.first)
    assert procore.revoked == {"access-0-given", "refresh-0-given"}


@pytest.mark.parametrize(
    ("url", "is_procores"),
    [
        (f"{API}/rest/files/1", True),
        ("https://files.procore.com/1", True),
        ("https://storage.example/1", False),
        ("http://files.procore.com/1", False),
        ("https://procore.com.example/1", False),
    ],
)
async def test_an_attachments_address_gets_the_bearer_only_where_it_is_procores(
    procore: Forgiving, probe: Probe, url: str, is_procores: bool
) -> None:
    procore.file_url = url
    with pytest.raises(Faulty, match="answers 200, not a redirect"):
        await ask_for_files(probe)
    host = httpx2.URL(url).host
    asked = [(bearer or "") for at, bearer in procore.bearers if at == host]
    assert asked
    assert ("Bearer access-0-given" in asked) is is_procores
