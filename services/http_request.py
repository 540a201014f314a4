"""Reads one request after another: what of its header and framing we serve, as an ASGI scope.

llhttp parses, in its strict mode; what it would let pass and a proxy might read differently (a
second host, a coding, bytes that are not ASCII) is refused here. How long a request may take and
how large it may be is the connection's matter.
"""

import re
from collections.abc import Callable
from urllib.parse import unquote

import httptools

from services.http_exchange import Headers, Scope

HOST = re.compile(rb"[0-9A-Za-z._:\[\]-]{1,255}")
UPGRADE = re.compile(rb"(?i)\r\nupgrade:[^\r\n]*(?=\r\n)")
ASGI = {"version": "3.0", "spec_version": "2.3"}
FORMATS = {"1.0", "1.1"}
FRAMING = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))
Address = tuple[str, int] | None


class Refused(Exception):  # noqa: N818 - reads as what happened to the request
    """A header or a body is not one we serve; `status` is the answer."""

    def __init__(self, status: int = 400) -> None:
        self.status = status
        super().__init__(status)


class RequestReader:
    """What llhttp tells of the request that one connection is reading.

    Attributes:
        complete: whether the request has been read to its end.
        is_chunked: whether its body says itself where it ends.
        keeps_alive: whether the client wants to send another one after it.
        expects_continue: whether the client waits for a word before it sends the body.
    """

    def __init__(
        self, take_body: Callable[[bytes], None], *, server: Address, client: Address
    ) -> None:
        """Read for one connection.

        Args:
            take_body: is given each piece of a body as it comes.
            server: address and port that the client connected to.
            client: its own.
        """
        self._parser = httptools.HttpRequestParser(self)
        self._take_body = take_body
        self._server = server
        self._client = client
        self._in_body = False
        self._forget()

    def close(self) -> None:
        """Read no more, and let go of the parser and the connection.

        Both hold this reader too. Left to the garbage collector, a connection's memory stays for
        as long as it takes for enough others to end.
        """
        del self._parser, self._take_body

    def _forget(self) -> None:
        self._url = b""
        self._version = ""
        self._headers: Headers = []
        self._hosts = 0
        self._body_left = 0
        self.keeps_alive = False
        self.is_chunked = False
        self.expects_continue = False
        self.complete = False

    def read_head(self, head: bytes) -> Scope:
        """Return what a whole header, its empty line included, asks for; raise Refused."""
        self._in_body = False
        if not head.isascii():
            raise Refused
        if b"pgrade:" in head or b"PGRADE:" in head:
            head = UPGRADE.sub(b"", head)  # we offer no other protocol, so it is as if not asked
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade as error:
            raise Refused(405) from error  # CONNECT
        except httptools.HttpParserError as error:
            raise Refused from error
        self._in_body = True
        return self._scope()

    def read_body(self, data: bytes) -> bytes:
        """Take what of the data belongs to the body; return the rest. Raises Refused.

        What follows a chunked body is dropped: it starts where a parser thinks that the body ends.
        """
        mine = data if self.is_chunked else data[: self._body_left]
        self._body_left -= len(mine)
        try:
            self._parser.feed_data(mine)
        except httptools.HttpParserError as error:
            if not self.complete:  # after the end, it is what a chunked body was followed by
                raise Refused from error
        return b"" if self.is_chunked else data[len(mine) :]

    # What llhttp calls while it is fed.

    def on_message_begin(self) -> None:
        """Forget the request before; a second one in one piece follows a chunked body."""
        if self._in_body:
            raise Refused
        self._forget()

    def on_url(self, url: bytes) -> None:
        """Collect the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header line, and note what decides about the body."""
        if self._in_body:
            return  # a trailer of a chunked body
        name = name.lower()
        if name in FRAMING:
            self._note(name, value)
        self._headers.append((name, value))

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
            if HOST.fullmatch(value) is None:
                raise Refused
        elif name == b"content-length":
            self._body_left = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or self.is_chunked:
                raise Refused
            self.is_chunked = True
        else:
            self.expects_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Note what the parser forgets once the request is complete."""
        if not self._in_body:
            self._version = self._parser.get_http_version()
            self.keeps_alive = self._version == "1.1" and self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on."""
        self._take_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the request."""
        self.complete = True

    def _scope(self) -> Scope:
        version = self._version
        wanted_hosts = (1,) if version == "1.1" else (0, 1)
        url = self._url
        if (
            version not in FORMATS
            or self._hosts not in wanted_hosts
            or not url.startswith(b"/")
            or b"#" in url
            or (self.is_chunked and version == "1.0")
        ):
            raise Refused
        raw_path, _, query = url.partition(b"?")
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "server": self._server,
            "client": self._client,
            "state": {},
        }
