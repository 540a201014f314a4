"""The probe's own parts: codes from the command line, storage addresses, consent, what it names."""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import httpx2
import pytest
from click.testing import CliRunner

from connector.__main__ import main
from connector.probe import running
from connector.probe.answers import read_answers
from connector.probe.asks_files import seconds_served
from connector.probe.authorizing import App, ask_for_code, code_in
from connector.probe.events import Watch
from connector.probe.person import Terminal
from connector.probe.unknowns import PARTS
from connector.probe.wire import Faulty, Session
from deploy.local.ports import free_port
from services.settings import Secret

NAME = re.compile(r"\b(?:[a-z]+(?:_[a-z]+)+|(?:[A-Z][a-z]+){2,})\b")
"""Names of our code in words about it."""
DATE = "Tue, 01 Sep 2026 12:00:00 GMT"
UNIX = 1_788_264_000  # that moment


@pytest.mark.parametrize(
    ("pasted", "code"),
    [
        (" abc ", "abc"),
        ("https://us.example/oauth/procore/callback?code=abc&state=s1", "abc"),
        ("/back?state=s1&code=a%2Bc", "a+c"),
    ],
)
def test_a_code_is_pasted_alone_or_with_the_address_it_came_in(pasted: str, code: str) -> None:
    assert code_in(pasted, "s1").reveal() == code


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("", "no code was given"),
        ("/back?code=abc&state=s2", "of another attempt"),
        ("/back?code=abc", "of another attempt"),
        ("/back?error=access_denied&state=s1", "access_denied"),
        ("/back?state=s1", "holds no code"),
    ],
)
def test_what_is_no_code_of_this_attempt_is_refused(pasted: str, words: str) -> None:
    with pytest.raises(Faulty, match=words):
        code_in(pasted, "s1")


async def test_a_localhost_address_is_listened_on_and_no_other_path_counts() -> None:
    port = free_port()
    app = App(
        login_url="https://login.example",
        api_url="https://api.example",
        client_id="app",
        client_secret=Secret("hidden"),
        redirect_uri=f"http://127.0.0.1:{port}/back",
    )
    link: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    class Told(Terminal):
        def say(self, words: str) -> None:
            if "/oauth/authorize" in words and not link.done():
                link.set_result(words.strip())

    person = Told(yes_to_writes=False, asks=False)
    asked = asyncio.create_task(ask_for_code(app, person, "the first person", "verifier" * 8))
    state = httpx2.URL(await link).params["state"]
    async with httpx2.AsyncClient(
        transport=httpx2.AsyncHTTPTransport(retries=5), base_url=f"http://127.0.0.1:{port}"
    ) as browser:
        await browser.get("/favicon.ico")
        page = await browser.get("/back", params={"code": "abc", "state": state})
    assert "closed" in page.text
    assert (await asked).reveal() == "abc"


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("X-Amz-Date=20260901T120000Z&X-Amz-Expires=300", 300),
        (f"X-Amz-Expires={UNIX + 120}", 120),
        (f"Expires={UNIX + 60}&Signature=x", 60),
        ("sig=x", None),
    ],
)
def test_a_storage_address_says_for_how_long_it_serves(query: str, seconds: int | None) -> None:
    assert seconds_served(f"https://storage.example/files/x?{query}", DATE) == seconds


async def test_without_a_terminal_nothing_is_agreed_to_and_nothing_is_guessed() -> None:
    silent = Terminal(yes_to_writes=False, asks=False)
    assert not await silent.agree("make an RFI")
    assert await silent.ask("Did a mail arrive?") == ""
    with pytest.raises(click.ClickException, match="name one by its option"):
        await silent.choose("Which project?", [("1", "One"), ("2", "Two")])
    assert await silent.choose("Which project?", [("1", "One")]) == "1"
    assert await Terminal(yes_to_writes=True, asks=False).agree("make an RFI")


def typed(answers: str, ask: Callable[[Terminal], Any]) -> Any:
    """Run something at a terminal where these lines are typed."""

    @click.command()
    def command() -> None:
        click.echo(f"={asyncio.run(ask(Terminal(yes_to_writes=False, asks=True)))}")

    return CliRunner().invoke(command, input=answers).output.rpartition("=")[2].strip()


def test_each_write_is_asked_for_until_all_are_agreed_to() -> None:
    async def three(person: Terminal) -> list[bool]:
        return [await person.agree(f"write {number}") for number in range(3)]

    assert typed("y\nn\n\n", three) == "[True, False, False]"
    assert typed("n\nall\n", three) == "[False, True, True]"


@pytest.mark.parametrize(
    "asked",
    [
        lambda person: person.ask("Did a mail arrive?"),
        lambda person: person.choose("Which project?", [("1", "One")]),
        lambda person: person.agree("make an RFI"),
    ],
)
async def test_ctrl_c_ends_every_question(
    monkeypatch: pytest.MonkeyPatch, asked: Callable[[Terminal], Awaitable[Any]]
) -> None:
    """Asyncio's own handler would hear it only once the question is answered."""

    def prompt(*_words: Any, **_how: Any) -> int:
        heard_by.append(signal.getsignal(signal.SIGINT))
        return 1

    heard_by: list[Any] = []
    monkeypatch.setattr(click, "prompt", prompt)
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        await asked(Terminal(yes_to_writes=False, asks=True))
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard_by == [signal.default_int_handler]


async def test_an_event_is_told_once_however_often_it_is_delivered() -> None:
    payload = {"resource_type": "RFIs", "reason": "update", "resource_id": "7"}
    listed = {"data": [{"id": "b", "payload": payload}, {"id": "a", "payload": payload}]}

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=listed)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        session = Session(http, "https://api.example", "the first person", Secret("a"), Secret("r"))
        watch = Watch(session, "/deliveries", 0.0)
        assert len(await watch.look()) == 2
        assert await watch.look() == []
        listed["data"].append({"id": "b", "payload": payload})
        assert await watch.look() == []


def test_a_file_that_is_none_of_ours_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match="does not hold the answers of a probe"):
        read_answers(path, run="1")


def test_production_is_refused_before_anything_is_asked() -> None:
    environment = {
        "PROCORE_LOGIN_URL": "https://login.procore.com",
        "PROCORE_API_URL": "https://api.procore.com",
        "PROCORE_CLIENT_ID": "app",
        "PROCORE_CLIENT_SECRET": "hidden",
    }
    ended = CliRunner(env=environment).invoke(main, ["probe"])
    assert ended.exit_code == 1
    assert "is production" in ended.output
    assert "oauth/authorize" not in ended.output


def test_what_rests_on_an_assumption_is_code_that_there_is() -> None:
    rests_on = [one.partition(": ") for part in PARTS.values() for one in part.rests_on]
    named = [(Path(path), words) for path, _, words in rests_on if path.endswith(".py")]
    assert len(named) >= len(PARTS) - 2
    assert [path for path, _ in named if not path.is_file()] == []
    spoken = [(path, name) for path, words in named for name in NAME.findall(words)]
    assert (Path("services/procore/oauth.py"), "read_token_answer") in spoken
    assert [(path, name) for path, name in spoken if name not in path.read_text()] == []


def test_each_part_is_asked_in_one_place() -> None:
    asked = [key for ask in running.ASKS for key in ask.parts]
    assert sorted(asked) == sorted(PARTS)
