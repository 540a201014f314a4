"""Refusals, as RFC 9457 problem details."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

TITLES = {
    400: "The request cannot be read",
    401: "The service token is missing or wrong",
    404: "Not found",
    405: "No such method here",
    409: "A report never goes back",
    412: "Part3 holds a newer version",
    413: "Too large",
    415: "Wrong content type",
    422: "The content cannot be taken",
}


class Problem(Exception):  # noqa: N818  RFC 9457's word
    def __init__(self, status: int, detail: str, *, procore_id: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.procore_id = procore_id

    def body(self) -> dict[str, str | int]:
        body: dict[str, str | int] = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Refused"),
            "status": self.status,
            "detail": self.detail,
        }
        return body | ({"procore_id": self.procore_id} if self.procore_id else {})


def problem_response(problem: Problem) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="part3"'} if problem.status == 401 else {}
    return Response(
        msgspec.json.encode(problem.body()),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers,
    )


async def answer_problem(_: Request, error: Exception) -> Response:
    """Starlette's handler for a Problem that an API endpoint raised."""
    if not isinstance(error, Problem):
        raise error
    return problem_response(error)
