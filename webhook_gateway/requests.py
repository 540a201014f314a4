"""Reading a request without trusting it, and answering without saying much.

Raw ASGI: a delivery costs no more objects than it needs, and no body byte is read before it should.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from services.http_exchange import Headers, Message, Receive, Scope, Send
from services.http_limits import error_body

MAX_BODY_BYTES = 262_144
MAX_PATH_BYTES = 1_300
HOOK_PATH = re.compile(rb"/procore/([^/]{1,1200})/([1-9][0-9]{0,8})")
BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
PROJECT_ID = re.compile(r"[^\x00-\x20\x7f-\x9f\u2028\u2029]{1,200}")
END: Message = {"type": "http.response.body", "body": b""}
NO_STORE = (b"cache-control", b"no-store")
NO_CODING = (b"", b"identity")
EMPTY = (NO_STORE, (b"content-length", b"0"))
NO_CONTENT = 204


class Gone(Exception):  # noqa: N818 - reads as what the sender is
    """The sender hung up before its body was complete, or was cut off."""


def hook_of(raw_path: bytes) -> tuple[str, int] | None:
    """Return the Part3 project id and the generation that a hook's path names, or None."""
    return _hook_of(raw_path) if len(raw_path) <= MAX_PATH_BYTES else None


@lru_cache(maxsize=1_024)
def _hook_of(raw_path: bytes) -> tuple[str, int] | None:
    found = HOOK_PATH.fullmatch(raw_path)
    if found is None or BAD_ESCAPE.search(found[1]):
        return None
    try:
        project_id = unquote_to_bytes(found[1]).decode("utf-8")
    except UnicodeDecodeError:
        return None
    if project_id in (".", "..") or not PROJECT_ID.fullmatch(project_id):
        return None
    return project_id, int(found[2])


def values_of(headers: Headers, name: bytes) -> Sequence[bytes]:
    """Return every value of a header; names are in lower case."""
    return [value for key, value in headers if key == name]


def is_encoded(headers: Headers) -> bool:
    """Tell whether the body is sent in a coding, which is never undone here."""
    for name, coding in headers:
        if name == b"content-encoding" and coding.strip().lower() not in NO_CODING:
            return True
    return False


async def read_body(receive: Receive) -> tuple[bytes, bool]:
    """Return the body and whether it is whole; no more than `MAX_BODY_BYTES` of it.

    The server limits how long this takes: it answers 408 itself.

    Raises:
        Gone: the sender hung up, or was too slow.
    """
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        body += message["body"]
        if len(body) > MAX_BODY_BYTES:
            return body[:MAX_BODY_BYTES], False
        if not message["more_body"]:
            return body, True


def announces_too_much(headers: Headers) -> bool:
    """Tell whether the sender announces more than `MAX_BODY_BYTES`."""
    lengths = values_of(headers, b"content-length")
    return bool(lengths) and int(lengths[0]) > MAX_BODY_BYTES


async def answer(send: Send, status: int) -> None:
    """Answer without a body."""
    headers = (NO_STORE,) if status == NO_CONTENT else EMPTY  # tuples: written out only once
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send(END)


async def refuse(send: Send, status: int, *more: tuple[bytes, bytes]) -> None:
    """Answer with a generic error: nothing that was sent comes back, and not why exactly."""
    body = error_body(status)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        NO_STORE,
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def greet(scope: Scope, send: Send) -> bool:
    """Answer what is not a POST: a probe gets its 200, the rest a 405. False for a POST."""
    method = scope["method"]
    if method == "POST":
        return False
    if method == "HEAD":
        await answer(send, 200)
    else:
        await refuse(send, 405, (b"allow", b"POST, HEAD"))
    return True
