"""Where connections for files may lead: checked by whoever connects, with the host's TLS name."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpcore2
import pytest

from services.checked_connections import CheckedBackend, is_public, resolved
from services.http_client import HttpClient, NotSent
from services.procore.client import Procore
from services.procore.files import Files
from services.procore.models import Attachment
from services.procore.origins import OriginRefused, Origins
from tests.procore_client.sides import AMY, API, PLACE, GivenTokens, Side, caller_to

PUBLIC, PRIVATE = "203.0.114.7", "10.0.0.7"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 4\r\n\r\n%PDF"
HOST = "https://files.procore.com"


class Network(httpcore2.AsyncNetworkBackend):
    """Answers whatever is connected to, and keeps to what; `dead` addresses do not answer."""

    def __init__(self) -> None:
        self.connected: list[str] = []
        self.tls_names: list[str | None] = []
        self.dead: set[str] = set()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.connected.append(host)
        if host in self.dead:
            raise httpcore2.ConnectError(host)
        return _Stream(self, [ANSWER])


class _Stream(httpcore2.AsyncMockStream):
    def __init__(self, network: Network, buffer: list[bytes]) -> None:
        super().__init__(buffer)
        self._network = network

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self._network.tls_names.append(server_hostname)
        return self


class Names:
    """A name server whose answers change with each question, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def files_over(network: Network, names: Names, origins: Origins) -> Procore:
    backend = CheckedBackend(origins.literal, names, network)
    caller = caller_to(Side([]), GivenTokens())
    return Procore(
        caller, Files(caller, HttpClient("storage", backend=backend), caller.tokens, origins)
    )


ORIGINS = Origins(("https://*.procore.com", "http://minio.inside:9000"), (), API)


async def download(procore: Procore, url: str, into: Path) -> None:
    attachment = Attachment(id="1", name="a.pdf", url=url)
    await procore.download(PLACE, attachment, into, whose=AMY)


async def test_the_address_that_was_checked_is_the_one_connected_to(tmp_path: Path) -> None:
    network, names = Network(), Names([PUBLIC])
    await download(files_over(network, names, ORIGINS), f"{HOST}/a", tmp_path / "f")
    assert (network.connected, names.asked) == ([PUBLIC], [("files.procore.com", 443)])
    assert network.tls_names == ["files.procore.com"]  # the certificate must be the host's


@pytest.mark.parametrize("answer", [[PRIVATE], [PUBLIC, PRIVATE], ["::ffff:10.0.0.7"], ["fe80::1"]])
async def test_a_name_that_leads_inside_is_not_connected_to(
    answer: list[str], tmp_path: Path
) -> None:
    network = Network()
    with pytest.raises(OriginRefused):
        await download(files_over(network, Names(answer), ORIGINS), f"{HOST}/a", tmp_path / "f")
    assert network.connected == []


async def test_a_name_that_changes_between_two_connections_is_checked_at_each(
    tmp_path: Path,
) -> None:
    network = Network()
    names = Names([PUBLIC], [PRIVATE])
    first, second = (files_over(network, names, ORIGINS) for _ in range(2))
    await download(first, f"{HOST}/a", tmp_path / "f")
    with pytest.raises(OriginRefused):
        await download(second, f"{HOST}/b", tmp_path / "g")
    assert network.connected == [PUBLIC]


async def test_what_stands_in_the_settings_literally_may_be_inside(tmp_path: Path) -> None:
    network = Network()
    procore = files_over(network, Names([PRIVATE]), ORIGINS)
    await download(procore, "http://minio.inside:9000/a", tmp_path / "f")
    assert network.connected == [PRIVATE]
    with pytest.raises(OriginRefused):  # another port of the same host is another place
        await download(procore, "http://minio.inside:9001/a", tmp_path / "g")


async def test_a_further_address_is_tried_when_the_first_does_not_answer(tmp_path: Path) -> None:
    network = Network()
    network.dead = {PUBLIC}
    names = Names([PUBLIC, "203.0.114.8"])
    await download(files_over(network, names, ORIGINS), f"{HOST}/a", tmp_path / "f")
    assert network.connected == [PUBLIC, "203.0.114.8"]


async def test_a_name_that_leads_nowhere_is_surely_not_sent() -> None:
    async def nowhere(_host: str, _port: int) -> list[str]:
        message = "no such name"
        raise OSError(message)

    http = HttpClient("storage", backend=CheckedBackend(frozenset(), nowhere, Network()))
    with pytest.raises(NotSent):
        await http.send("GET", f"{HOST}/a")
    await http.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to refuse
        ("224.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::a00:7", False),
        ("2002:a00:7::", False),
        ("fd00::1%eth0", False),
        ("no address", False),
    ],
)
def test_public_addresses_are_told_from_all_others(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_this_machines_own_names_are_resolved() -> None:
    assert "127.0.0.1" in await resolved("127.0.0.1", 80)
