"""What one HTTP connection may cost us, and the generic answer to whoever asks for more."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

REFUSALS = (
    "connections",
    "body_too_slow",
    "head_too_slow",
    "head_too_large",
    "malformed",
    "answer_not_taken",
)
"""Why a connection is ended by the server and not by the application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a listening port; each is per connection unless it says otherwise.

    Attributes:
        head_s: from the connection, or from a later request's first byte, to the whole header.
        body_s: from the whole header to the whole body; then the answer is 408.
        idle_s: between two requests on one connection.
        write_s: how long an answer may wait for a client that does not take it.
        linger_s: how long what a refused client still sends is read and thrown away, so that it
            gets to read the refusal instead of a reset.
        linger_bytes: the most that is thrown away so.
        max_head_bytes: request line and header together.
        max_headers: header lines.
        max_connections: open connections of the port together.
        graceful_s: how long requests under way may take once the program is asked to end.
    """

    head_s: float = 5.0
    body_s: float = 5.0
    idle_s: float = 5.0
    write_s: float = 20.0
    linger_s: float = 1.0
    linger_bytes: int = 1_048_576
    max_head_bytes: int = 16_384
    max_headers: int = 100
    max_connections: int = 2_000
    graceful_s: float = 20.0


CountRefusal = Callable[[str], None]
"""Told one of `REFUSALS`; there is no log line per connection, as strangers decide how many."""


def count_nothing(_reason: str) -> None:
    """Stand in where nobody counts refusals."""


ERRORS = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_encoding",
    431: "header_too_large",
    500: "internal",
    503: "unavailable",
}
"""The word for each status that is answered without a page."""


def error_body(status: int) -> bytes:
    """Return the JSON of a generic error: a fixed word and a request id, nothing that was sent."""
    return json.dumps({"error": ERRORS[status], "request_id": secrets.token_hex(8)}).encode()
