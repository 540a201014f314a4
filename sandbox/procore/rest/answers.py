"""Answers: JSON, pages of lists with their headers, refusals in all of Procore's shapes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from sandbox.procore.errors import Refusal
from sandbox.procore.rest import params
from sandbox.procore.rest.call import Call
from sandbox.procore.world import World

T = TypeVar("T")

HTML_ERROR = """<html>
<head><title>{status} {words}</title></head>
<body><center><h1>{status} {words}</h1></center><hr><center>cloudflare</center></body>
</html>
"""
REASONS = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND"}


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        headers=headers,
        media_type="application/json; charset=utf-8",
    )


def no_content() -> Response:
    return Response(status_code=204)


def page(
    call: Call, found: Sequence[T], present: Callable[[T], Any], *, v2: bool = False
) -> Response:
    """One page of a list with `Total`, `Per-Page` and `Link`; v2 lists in an envelope."""
    switches = call.world.switches
    default, most = (10, 100) if v2 else (switches.default_per_page, switches.max_per_page)
    per_page = min(_positive(call.query.get("per_page"), default), most)
    number = _positive(call.query.get("page"), 1)
    start = (number - 1) * per_page
    items = [present(item) for item in found[start : start + per_page]]
    headers = {"Total": str(len(found)), "Per-Page": str(per_page)}
    if link := _link(call, number, per_page, len(found)):
        headers["Link"] = link
    return json_response({"data": items} if v2 else items, headers=headers)


def _positive(text: Any, default: int) -> int:
    try:
        number = int(params.digits(text)) if isinstance(text, str) else 0
    except ValueError:
        return default
    return number or default


def _link(call: Call, number: int, per_page: int, total: int) -> str:
    last = max(1, -(-total // per_page))
    wanted = {"first": 1, "prev": number - 1, "next": number + 1, "last": last}
    if last == 1 and number == 1:
        return ""
    pairs = [
        (k, v) for k, v in call.request.query_params.multi_items() if k not in ("page", "per_page")
    ]
    path = call.world.public_url + call.request.url.path
    shown = []
    for rel, target in wanted.items():
        if 1 <= target <= last and (rel in ("first", "last") or target != number):
            query = urlencode([*pairs, ("page", target), ("per_page", per_page)])
            shown.append(f'<{path}?{query}>; rel="{rel}"')
    return ", ".join(shown)


def refused(world: World, refusal: Refusal, path: str) -> Response:
    """The refusal in its own shape, or in the one that the switch asks for."""
    shape = world.switches.error_bodies
    words = "; ".join(refusal.words)
    if shape == "html":
        return html_error(refusal.status, words)
    if shape == "message":
        return json_response({"message": words}, refusal.status)
    if shape == "error":
        return json_response(
            {"error": {"code": str(refusal.status), "message": words}}, refusal.status
        )
    if shape == "v2" or (path.startswith("/rest/v2.") and refusal.status != 401):
        return json_response(_v2(refusal), refusal.status)
    return json_response(refusal.body(), refusal.status)


def _v2(refusal: Refusal) -> Any:
    details = [
        {"reason_code": "INVALID_PARAMETER", "message": f"{name} {word}", "source": name}
        for name, words in refusal.fields.items()
        for word in words
    ]
    code = REASONS.get(refusal.status, "UNPROCESSABLE_ENTITY")
    return {"error": {"code": code, "message": "; ".join(refusal.words), "details": details}}


def html_error(status: int, words: str) -> Response:
    return Response(
        HTML_ERROR.format(status=status, words=words), status_code=status, media_type="text/html"
    )
