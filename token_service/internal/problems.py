"""RFC 9457 problems of the internal port: a code for machines, a sentence for people."""

import math
from datetime import UTC, datetime

import msgspec
from starlette.responses import Response

from schemas.connections import GrantProblem

NO_STORE = {"cache-control": "no-store"}
TITLES = {
    400: "The request is malformed",
    401: "Who calls is not known",
    403: "This caller may not ask for that",
    404: "There is none",
    409: "A person has to do something first",
    413: "The request is too long",
    429: "Too many requests",
    503: "It cannot be done now",
}


def problem(
    status: int, code: str, detail: str = "", *, retry_after_s: float | None = None
) -> Response:
    """Return a problem; `retry_after_s` is said in whole seconds, 1 or more."""
    body = GrantProblem(title=TITLES[status], status=status, code=code, detail=detail)
    headers = dict(NO_STORE)
    if retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after_s)))
    if status == 401:  # noqa: PLR2004 - Unauthorized
        headers["www-authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def seconds_until(moment: datetime | None, default_s: float = 5.0) -> float:
    """Return the seconds until a moment, or the default where none is known."""
    if moment is None:
        return default_s
    return max((moment - datetime.now(UTC)).total_seconds(), 1.0)


def answer(body: msgspec.Struct | dict[str, str]) -> Response:
    """Return a JSON answer that nobody may keep."""
    return Response(msgspec.json.encode(body), media_type="application/json", headers=NO_STORE)
