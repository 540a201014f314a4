"""The API of schemas/contracts/part3.openapi.yaml: bearer token, JSON, problem details."""

import hmac
import re
import time
from datetime import datetime
from typing import Any, TypeVar, get_args
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.part3.files import SHA256
from sandbox.part3.house import House
from sandbox.part3.problems import Problem, problem_response
from sandbox.part3.records import Page
from sandbox.part3.wire import (
    AwareTime,
    Delivery,
    Kind,
    Readiness,
    Record,
    ReturnState,
)

MAX_JSON_BYTES = 32 * 1024 * 1024
MAX_BATCH = 100
MAX_LIMIT = 200
DEFAULT_LIMIT = 100
T = TypeVar("T")


def _json(value: object, status: int = 200, **headers: str) -> Response:
    body = msgspec.json.encode(value)
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def _page(page: Page[Any]) -> Response:
    return _json({"items": page.items, "next_cursor": page.next_cursor})


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            raise Problem(413, f"A JSON body may have {MAX_JSON_BYTES} bytes at most.")
    return bytes(body)


async def _read(request: Request, shape: type[T]) -> T:
    """The body in one of the contract's shapes; raises Problem 415, 413, 400 or 422."""
    if not re.fullmatch(
        r"application/json(;.*)?", request.headers.get("content-type", "").strip(), re.IGNORECASE
    ):
        raise Problem(415, "Send application/json.")
    try:
        return msgspec.json.decode(await _body(request), type=shape)
    except msgspec.ValidationError as error:
        raise Problem(422, str(error)) from error
    except msgspec.DecodeError as error:
        raise Problem(400, f"The body is not JSON: {error}") from error


def _query(request: Request, name: str, shape: Any) -> Any:
    """A query parameter in its shape, or None when it is not there; raises Problem 422.

    Only numbers are read out of text: a time must be RFC 3339 and not, say, seconds.
    """
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        return msgspec.convert(value, shape, strict=shape is not int)
    except msgspec.ValidationError as error:
        raise Problem(422, f"{name}: {error}") from error


def _kind(request: Request, status: int = 404) -> str:
    kind: str = request.path_params["kind"]
    if kind not in get_args(Kind):
        raise Problem(status, f"There is no kind {kind!r}: rfi or submittal.")
    return kind


def _sha256(request: Request, status: int = 404) -> str:
    sha256: str = request.path_params["sha256"]
    if not SHA256.fullmatch(sha256):
        raise Problem(status, "A file is named by 64 lower-case hex digits.")
    return sha256


def _file_name(request: Request) -> str:
    raw = request.headers.get("x-file-name", "")
    try:
        name = unquote_to_bytes(raw).decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise Problem(422, "X-File-Name is not percent-encoded UTF-8.") from error
    if not name or not raw.isascii():
        raise Problem(422, "X-File-Name, percent-encoded UTF-8, is required.")
    return name


def _wants_only_new(request: Request) -> bool:
    """If-None-Match: * asks for a record to be created, never replaced."""
    return request.headers.get("if-none-match") == "*"


class Api:
    """One method an operation; the project is looked up first in each."""

    def __init__(self, house: House) -> None:
        self._house = house

    def _project_id(self, request: Request) -> str:
        project_id: str = request.path_params["project_id"]
        return self._house.people.project(project_id).id

    async def project(self, request: Request) -> Response:
        return _json(self._house.people.project(request.path_params["project_id"]))

    async def get_record(self, request: Request) -> Response:
        record = self._house.records.get(
            self._project_id(request), _kind(request), request.path_params["procore_id"]
        )
        return _json(record, ETag=f'"{record.version}"')

    async def put_record(self, request: Request) -> Response:
        project_id, kind = self._project_id(request), _kind(request, 422)
        record = await _read(request, Record)
        if (record.kind, record.procore_id) != (kind, request.path_params["procore_id"]):
            raise Problem(
                422,
                f"The body is {record.kind} {record.procore_id}, the path is another record.",
                procore_id=record.procore_id,
            )
        put = self._house.records.put(
            project_id,
            record,
            if_match=request.headers.get("if-match"),
            only_new=_wants_only_new(request),
        )
        status = 201 if put.created else 200
        return _json(put.record, status, ETag=f'"{put.record.version}"')

    async def list_records(self, request: Request) -> Response:
        project_id = self._project_id(request)
        limit: int | None = _query(request, "limit", int)
        if limit is not None and not 1 <= limit <= MAX_LIMIT:
            raise Problem(422, f"limit: 1 to {MAX_LIMIT}.")
        kind: str | None = _query(request, "kind", Kind)
        after: datetime | None = _query(request, "updated_after", AwareTime)
        page = self._house.records.page(
            project_id,
            kind=kind,
            updated_after=after,
            cursor=request.query_params.get("cursor"),
            limit=limit or DEFAULT_LIMIT,
        )
        return _page(page)

    async def batch(self, request: Request) -> Response:
        project_id = self._project_id(request)
        body: dict[str, Any] = await _read(request, dict[str, Any])
        records = body.get("records")
        if not isinstance(records, list) or len(records) > MAX_BATCH:
            raise Problem(422, f"records: a list of {MAX_BATCH} at most.")
        only_new = _wants_only_new(request)
        results = [self._put_one(project_id, record, only_new=only_new) for record in records]
        return _json({"results": results})

    def _put_one(self, project_id: str, raw: Any, *, only_new: bool) -> object:
        try:
            record = msgspec.convert(raw, Record)
            return self._house.records.put(project_id, record, only_new=only_new).record
        except msgspec.ValidationError as error:
            named = raw.get("procore_id") if isinstance(raw, dict) else None
            procore_id = named if isinstance(named, str) else None
            return Problem(422, str(error), procore_id=procore_id).body()
        except Problem as problem:
            return problem.body()

    async def get_file(self, request: Request) -> Response:
        project_id, sha256 = self._project_id(request), _sha256(request)
        if not self._house.files.holds(project_id, sha256):
            raise Problem(404, f"This project has no file {sha256}.")
        path = self._house.files.path(sha256)
        return FileResponse(path, media_type="application/octet-stream")

    async def put_file(self, request: Request) -> Response:
        project_id, sha256 = self._project_id(request), _sha256(request, 422)
        name = _file_name(request)
        blob = await self._house.files.receive(request.stream())
        if blob.sha256 != sha256:
            blob.path.unlink()
            raise Problem(422, f"These bytes hash to {blob.sha256}, not to {sha256}.")
        added = self._house.files.keep(project_id, blob, name=name, by="api")
        return Response(status_code=201 if added else 200)

    async def list_returns(self, request: Request) -> Response:
        project_id = self._project_id(request)
        state: ReturnState | None = _query(request, "state", ReturnState)
        after: datetime | None = _query(request, "updated_after", AwareTime)
        page = self._house.returns.page(
            project_id,
            state=state,
            updated_after=after,
            cursor=request.query_params.get("cursor"),
        )
        return _page(page)

    async def get_return(self, request: Request) -> Response:
        project_id = self._project_id(request)
        return _json(self._house.returns.get(project_id, request.path_params["return_id"]))

    async def put_delivery(self, request: Request) -> Response:
        project_id = self._project_id(request)
        delivery = await _read(request, Delivery)
        self._house.returns.report(project_id, request.path_params["return_id"], delivery)
        return Response(status_code=204)

    async def put_readiness(self, request: Request) -> Response:
        project_id, kind = self._project_id(request), _kind(request, 422)
        readiness = await _read(request, Readiness)
        procore_id = request.path_params["procore_id"]
        self._house.records.put_readiness(project_id, kind, procore_id, readiness)
        return Response(status_code=204)

    def routes(self) -> list[Route]:
        project = "/projects/{project_id}"
        record = project + "/records/{kind}/{procore_id}"
        one_file = project + "/files/{sha256}"
        one_return = project + "/returns/{return_id}"
        return [
            Route(project, self.project, methods=["GET"]),
            Route(record, self.get_record, methods=["GET"]),
            Route(record, self.put_record, methods=["PUT"]),
            Route(record + "/readiness", self.put_readiness, methods=["PUT"]),
            Route(project + "/records", self.list_records, methods=["GET"]),
            Route(project + "/records:batch", self.batch, methods=["POST"]),
            Route(one_file, self.get_file, methods=["GET", "HEAD"]),
            Route(one_file, self.put_file, methods=["PUT"]),
            Route(project + "/returns", self.list_returns, methods=["GET"]),
            Route(one_return, self.get_return, methods=["GET"]),
            Route(one_return + "/delivery", self.put_delivery, methods=["PUT"]),
        ]


class ServiceOnly:
    """Lets in who bears PART3_API_TOKEN, and writes every call into the ledger."""

    def __init__(self, app: ASGIApp, house: House, token: str) -> None:
        self._app = app
        self._house = house
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        request = Request(scope)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), self._token):
                await self._app(scope, receive, noting)
            else:
                refusal = problem_response(Problem(401, "Bear PART3_API_TOKEN."))
                await refusal(scope, receive, noting)
        except HTTPException as error:  # Starlette's own: a method this path does not have
            refusal = problem_response(Problem(error.status_code, error.detail))
            await refusal(scope, receive, noting)
        finally:
            took_ms = round((time.perf_counter() - started) * 1000, 1)
            self._note(request, status, took_ms)

    def _note(self, request: Request, status: int, took_ms: float) -> None:
        path = request.url.path
        parts = path.split("/")
        self._house.ledger.note(
            "call",
            f"{request.method} {status}",
            parts[3] if len(parts) > 3 else None,
            method=request.method,
            path=path,
            query=request.url.query,
            status=status,
            took_ms=took_ms,
        )


def api_mount(house: House, token: str) -> Mount:
    async def no_route(request: Request) -> Response:
        raise Problem(404, f"There is no {request.url.path}.")

    routes = [*Api(house).routes(), Route("/{rest:path}", no_route)]
    inner = Mount("/", routes=routes)
    return Mount("/v1", app=ServiceOnly(inner, house, token))
