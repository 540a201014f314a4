"""Part3's API as its contract says. Every write is idempotent, so all of them are retried."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote

import msgspec
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from schemas.records import File, Kind, Record, StoredRecord
from schemas.returns import Delivery, Project, Readiness, Return
from services.errors import ConnectorError, TryLater
from services.http_client import Answer, HttpClient, NoAnswer, NotSent
from services.settings import Secret
from services.tracing import trace_headers
from services.waits import charging

T = TypeVar("T")

ATTEMPTS = 3
DEADLINE_S = 30.0
FILE_DEADLINE_S = 600.0
CHUNK_BYTES = 256 * 1024
MOST_IN_A_BATCH = 100
NOT_FOUND, CONFLICT, PRECONDITION_FAILED, SERVER_ERROR = 404, 409, 412, 500
SUCCESS = range(200, 300)
UNAUTHORIZED = (401, 403)


class Part3Refused(ConnectorError):  # noqa: N818 - says what happened
    """Part3 refused what was sent (4xx): a mistake of ours or of its data; retrying is no use."""


class Outdated(ConnectorError):  # noqa: N818 - says what the version is
    """Part3 holds a newer version of the record than the one we named."""


class Part3:
    """The calls of the workers and of the pages.

    Args:
        http: pool towards Part3.
        base_url: PART3_API_URL.
        token: PART3_API_TOKEN.
    """

    def __init__(self, http: HttpClient, base_url: str, token: Secret) -> None:
        self._http = http
        self._base_url = base_url
        self._token = token

    async def project(self, project_id: str) -> Project | None:
        """Return a project with its team, or None when there is none of that id."""
        answer = await self._ask("GET", _project(project_id), takes=(NOT_FOUND,))
        return None if answer.status == NOT_FOUND else _read(answer, Project)

    async def record(self, project_id: str, kind: Kind, procore_id: str) -> StoredRecord | None:
        """Return a record as Part3 holds it, or None."""
        answer = await self._ask("GET", _record(project_id, kind, procore_id), takes=(NOT_FOUND,))
        return None if answer.status == NOT_FOUND else _read(answer, StoredRecord)

    async def put_record(
        self, project_id: str, record: Record, *, if_match: str | None = None
    ) -> StoredRecord:
        """Create or replace what the GC owns of a record.

        Raises:
            Outdated: Part3 holds a newer version than `if_match`, or any where that is None.
            Part3Refused: it names files that are not stored, or is otherwise wrong.
        """
        answer = await self._ask(
            "PUT",
            _record(project_id, record.kind, record.procore_id),
            content=msgspec.json.encode(record),
            # unconditional, a put that is executed late would replace what came after it
            headers={"if-match": if_match} if if_match else {"if-none-match": "*"},
        )
        return _read(answer, StoredRecord)

    async def put_records(
        self, project_id: str, records: Sequence[Record]
    ) -> list[StoredRecord | str]:
        """Create up to 100 records in one call; for each the stored one, or why it was refused.

        What Part3 holds already is refused: only its own put knows which version it replaces.
        """
        answer = await self._ask(
            "POST",
            f"{_project(project_id)}/records:batch",
            content=msgspec.json.encode({"records": records}),
            headers={"if-none-match": "*"},
        )
        results = _convert(_read(answer, dict).get("results"), list[Any])
        if len(results) != len(records):
            message = f"Part3 answered {len(results)} results to {len(records)} records"
            raise TryLater(message, reason="part3_down")
        return [_result(one) for one in results]

    async def records(
        self, project_id: str, *, kind: Kind | None = None, cursor: str | None = None
    ) -> tuple[list[StoredRecord], str | None]:
        """Return a page of the mirrored records, oldest change first, and the next cursor."""
        params = {"kind": kind, "cursor": cursor, "limit": "200"}
        answer = await self._ask("GET", f"{_project(project_id)}/records", params=_given(params))
        found = _read(answer, dict)
        items = _convert(found.get("items", []), list[StoredRecord])
        return items, found.get("next_cursor")

    async def has_file(self, project_id: str, sha256: str) -> bool:
        """Tell whether Part3 has the bytes with this hash."""
        answer = await self._ask("HEAD", _file(project_id, sha256), takes=(NOT_FOUND,))
        return answer.status in SUCCESS

    async def put_file(self, project_id: str, path: Path, file: File) -> None:
        """Store a file under the hash of its bytes; streamed, so memory stays flat."""

        async def bytes_of() -> AsyncIterator[bytes]:
            opened = await asyncio.to_thread(path.open, "rb")
            try:
                while chunk := await asyncio.to_thread(opened.read, CHUNK_BYTES):
                    yield chunk
            finally:
                await asyncio.to_thread(opened.close)

        await self._ask(
            "PUT",
            _file(project_id, file.sha256),
            make_content=bytes_of,
            headers={
                "x-file-name": quote(file.name, safe=""),
                "content-type": "application/octet-stream",
                "content-length": str(file.size),
            },
            deadline_s=FILE_DEADLINE_S,
        )

    async def fetch_file(self, project_id: str, sha256: str, into: Path) -> bool:
        """Write a file's bytes to `into`; False when Part3 does not have it.

        Raises:
            TryLater: the bytes did not come whole.
        """
        url = self._base_url + _file(project_id, sha256)
        try:
            with charging("part3"):
                digest = await self._written(url, into)
        except (NotSent, NoAnswer) as error:
            raise _down(str(error)) from error
        if digest not in (None, sha256):
            raise _down("the bytes of a file have another hash than its name")
        return digest is not None

    async def _written(self, url: str, into: Path) -> str | None:
        """Write what an address holds, and return its hash; None where nothing is."""
        async with self._http.streaming("GET", url, headers=self._headers()) as answer:
            if answer.status_code == NOT_FOUND:
                return None
            if answer.status_code not in SUCCESS:
                raise _down(f"status {answer.status_code}")
            file = await asyncio.to_thread(into.open, "wb")
            try:
                return await _copy(answer.aiter_raw(CHUNK_BYTES), file)
            finally:
                await asyncio.to_thread(file.close)

    async def fetch_return(self, project_id: str, return_id: str) -> Return | None:
        """Read one return; None when Part3 has none of that id."""
        answer = await self._ask("GET", _return(project_id, return_id), takes=(NOT_FOUND,))
        return None if answer.status == NOT_FOUND else _read(answer, Return)

    async def pending_returns(self, project_id: str) -> tuple[Return, ...]:
        """List what is pending, oldest first, every page of it."""
        found: dict[str, Return] = {}
        cursor: str | None = None
        while True:
            params = _given({"state": "pending", "cursor": cursor})
            answer = await self._ask(
                "GET", f"{_project(project_id)}/returns", params=params, takes=(NOT_FOUND,)
            )
            if answer.status == NOT_FOUND:
                return ()
            page = _read(answer, dict)
            known = len(found)
            found |= {one.id: one for one in _convert(page.get("items", []), list[Return])}
            cursor = page.get("next_cursor")
            if not cursor or len(found) == known:  # an end, or pages that go round
                return tuple(found.values())

    async def report(self, project_id: str, return_id: str, delivery: Delivery) -> None:
        """Tell where a return stands; when Part3 has its last word already, it keeps that."""
        await self._ask(
            "PUT",
            f"{_return(project_id, return_id)}/delivery",
            content=msgspec.json.encode(delivery),
            takes=(CONFLICT,),
        )

    async def put_readiness(
        self, project_id: str, kind: str, procore_id: str, readiness: Readiness
    ) -> None:
        """Tell who could return a record now."""
        await self._ask(
            "PUT",
            f"{_record(project_id, kind, procore_id)}/readiness",
            content=msgspec.json.encode(readiness),
        )

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        deadline_s: float = DEADLINE_S,
        make_content: Any = None,
        takes: Collection[int] = (),
        **request: Any,
    ) -> Answer:
        """Call Part3, a few times when it is briefly down; every call here may be repeated.

        Args:
            method: HTTP method.
            path: below the base URL.
            headers: beside those of every call.
            deadline_s: of one attempt.
            make_content: makes the body anew for each attempt.
            takes: statuses that are an answer too, beside success.
            request: as `HttpClient.send`.

        Raises:
            TryLater, Outdated, Part3Refused: for every other status.
        """
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception_type(TryLater),
            reraise=True,
        ):
            with attempt, charging("part3"):
                if make_content is not None:
                    request["content"] = make_content()
                answer = await self._once(method, path, headers or {}, deadline_s, request)
                return answer if answer.status in takes else _judged(method, path, answer)
        raise AssertionError  # tenacity returns or raises

    async def _once(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        deadline_s: float,
        request: dict[str, Any],
    ) -> Answer:
        url = self._base_url + path
        try:
            return await self._http.send(
                method, url, headers=self._headers() | headers, deadline_s=deadline_s, **request
            )
        except (NotSent, NoAnswer) as error:
            raise _down(str(error)) from error

    def _headers(self) -> dict[str, str]:
        return {
            "authorization": f"Bearer {self._token.reveal()}",
            "content-type": "application/json",
            "accept": "application/json",
            **trace_headers(),
        }


def _judged(method: str, path: str, answer: Answer) -> Answer:
    """Return a good answer; raise what any other means."""
    if answer.status in SUCCESS:
        return answer
    if answer.status == PRECONDITION_FAILED:
        message = "Part3 holds a newer version of this record"
        raise Outdated(message)
    if answer.status in UNAUTHORIZED:
        raise _down("it refuses our PART3_API_TOKEN")
    if answer.status >= SERVER_ERROR or answer.status in (408, 429):
        raise _down(f"status {answer.status}")
    message = f"Part3 refused {method} {path}: {answer.status} {_detail(answer)}"
    raise Part3Refused(message)


def _down(why: str) -> TryLater:
    return TryLater(f"Part3 gives no answer now: {why}", reason="part3_down")


def _read(answer: Answer, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except msgspec.DecodeError as error:
        raise _down(f"its answer is not what the contract says ({error})") from error


def _convert(value: Any, shape: type[T]) -> T:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise _down(f"its answer is not what the contract says ({error})") from error


def _result(value: Any) -> StoredRecord | str:
    if isinstance(value, dict) and "content_version" in value and "version" in value:
        return _convert(value, StoredRecord)
    problem = value if isinstance(value, dict) else {}
    return str(problem.get("detail") or problem.get("title") or "refused without words")


def _detail(answer: Answer) -> str:
    try:
        problem = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return ""
    return str(problem.get("detail") or problem.get("title")) if isinstance(problem, dict) else ""


async def _copy(chunks: AsyncIterator[bytes], file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
        await asyncio.to_thread(file.write, chunk)
    return digest.hexdigest()


def _given(params: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in params.items() if value}


def _project(project_id: str) -> str:
    return f"/v1/projects/{quote(project_id, safe='')}"


def _record(project_id: str, kind: str, procore_id: str) -> str:
    return f"{_project(project_id)}/records/{kind}/{quote(procore_id, safe='')}"


def _file(project_id: str, sha256: str) -> str:
    return f"{_project(project_id)}/files/{sha256}"


def _return(project_id: str, return_id: str) -> str:
    return f"{_project(project_id)}/returns/{quote(return_id, safe='')}"
