"""The bytes of files: downloads that are whole or a failure, uploads under the author's grant.

Addresses are short-lived; the bearer goes to Procore's own hosts only, since storage rejects or
leaks it. A download that was cut goes on where it stopped. Source: Procore's documentation,
`tutorials/tutorial_uploads.md` and `best_practices/secure_file_access_tips.md`.
"""

import asyncio
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx2

from schemas.connections import AccessToken
from services.checked_connections import AddressRefused
from services.errors import OutcomeUnknown, TryLater
from services.http_client import HttpClient, NoAnswer, NotSent
from services.procore.arriving import BEYOND, PART, Arriving, TooMuch
from services.procore.call import Caller, Tokens, json_of
from services.procore.counting import unobserved
from services.procore.errors import Refused
from services.procore.models import Attachment, Place
from services.procore.origins import OriginRefused, Origins, joined, origin_of
from services.waits import charging

MOST_REDIRECTS = 5
MOST_CUTS = 3
"""How often a download goes on at once after a cut, each time with a part more."""

CHUNK_BYTES = 256 * 1024
STORAGE_DEADLINE_S = 600.0
UNTYPED = "application/octet-stream"
SUCCESS = range(200, 300)
UNAUTHORIZED = 401
REDIRECTS = (301, 302, 303, 307, 308)
PAGE_TYPES = {
    "text/html": (".html", ".htm", ".xhtml"),
    "application/json": (".json", ".geojson"),
    "application/problem+json": (".json",),
}
"""Types of error pages, with the names that may truly have them."""

PAGE_BEGINNINGS = (b"<!doctype html", b"<html", b'<?xml version="1.0" encoding="utf-8"?>\n<error>')


class FileNotWhole(TryLater):
    """What came is not the file: an error page, nothing, or a part. A fresh address is needed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="file_unavailable")


class FileEmpty(FileNotWhole):
    """A whole answer without a byte: a fault of the storage, or a file that is empty in Procore."""


class FileTooLarge(FileNotWhole):
    """It has more bytes than may be copied; none of them are kept."""

    def __init__(self, attachment: Attachment, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        super().__init__(f"{attachment.name} has more than {most_bytes:,} bytes")


class _TokenRefused(FileNotWhole):
    """A 401 to a call that carried an access token."""


class _Cut(FileNotWhole):
    """The body stopped in the middle."""


@dataclass(frozen=True, slots=True)
class FileBytes:
    """What was written: the hash of the bytes in lower-case hex, how many, and their type."""

    sha256: str
    size: int
    content_type: str


@dataclass(slots=True)
class Files:
    """Copies files from and to Procore and the storage behind it."""

    caller: Caller
    storage: HttpClient
    tokens: Tokens
    origins: Origins
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))

    async def download(
        self,
        place: Place,
        attachment: Attachment,
        into: Path,
        *,
        whose: str,
        most_bytes: int | None = None,
    ) -> FileBytes:
        """Write an attachment's bytes to `into`, at most so many; memory stays flat.

        What an earlier attempt left there is gone on with, if the storage allows it. What finds no
        room on the disk is removed from it, so that smaller files have some.

        Raises:
            FileTooLarge: it has more bytes than `most_bytes`.
            FileNotWhole: it must be tried again, with the record's fresh address.
            TryLater, NeedsPerson: no grant, or the storage is down.
        """
        if attachment.url is None:
            message = f"Procore gives no address for {attachment.name}"
            raise FileNotWhole(message)
        async with self._turns:
            arriving = await Arriving.at(into)
            arriving.most_bytes = most_bytes
            try:
                return await self._on_and_on(place, attachment, arriving, whose)
            except TooMuch as error:
                await arriving.forget()
                raise FileTooLarge(attachment, error.most_bytes) from error
            except OSError as error:
                await arriving.forget()
                message = f"{attachment.name} cannot be kept here: {error.strerror}"
                raise FileNotWhole(message) from error

    async def _on_and_on(
        self, place: Place, attachment: Attachment, arriving: Arriving, whose: str
    ) -> FileBytes:
        """Go on after a cut, as long as that brings more."""
        for _ in range(MOST_CUTS):
            before = arriving.size
            try:
                return await self._follow(place, attachment, arriving, whose)
            except _Cut:
                if arriving.size <= before or not arriving.headers:
                    raise
        return await self._follow(place, attachment, arriving, whose)

    async def _follow(
        self, place: Place, attachment: Attachment, arriving: Arriving, whose: str
    ) -> FileBytes:
        """Go from the attachment's address to wherever the bytes are."""
        url = joined(self.caller.base_url, attachment.url or "")
        for _ in range(MOST_REDIRECTS):
            got = await self._fetch(place, attachment, url, arriving, whose)
            if isinstance(got, FileBytes):
                return got
            url = joined(url, got)
        message = f"the address of {attachment.name} redirects in circles"
        raise FileNotWhole(message)

    async def _fetch(
        self, place: Place, attachment: Attachment, url: str, arriving: Arriving, whose: str
    ) -> FileBytes | str:
        """Follow one address; return the bytes, or where it sends us."""
        self.origins.check(url)
        if not self.origins.takes_bearer(url):
            return await self._get(attachment, url, arriving, {}, unobserved)
        token = await self.tokens.access_token(whose)
        path = urlsplit(url).path

        def observe(status: int) -> None:
            self.caller.observe("GET", path, whose, place.company_id, status)

        try:
            return await self._get(attachment, url, arriving, _signed(place, token), observe)
        except _TokenRefused:
            token = await self.tokens.replacement_for(whose, token)
            return await self._get(attachment, url, arriving, _signed(place, token), observe)

    async def _get(
        self,
        attachment: Attachment,
        url: str,
        arriving: Arriving,
        signed: dict[str, str],
        observe: Callable[[int], None],
    ) -> FileBytes | str:
        try:
            with charging("procore"):
                async with self.storage.streaming(
                    "GET", url, headers=signed | arriving.headers
                ) as answer:
                    observe(answer.status_code)
                    if answer.status_code in REDIRECTS and "location" in answer.headers:
                        return str(answer.headers["location"])
                    if answer.status_code == UNAUTHORIZED and signed:
                        message = f"{attachment.name}: Procore refused the access token"
                        raise _TokenRefused(message)
                    return await _received(attachment, arriving, answer)
        except AddressRefused as error:
            raise OriginRefused(origin_of(url)) from error
        except (NotSent, NoAnswer) as error:
            message = f"{attachment.name}: {error}"
            raise _Cut(message) from error

    async def upload(
        self, place: Place, path: Path, name: str, content_type: str, *, whose: str
    ) -> str:
        """Announce a file and bring its bytes to the storage; return the upload's uuid.

        An upload that is never attached is harmless: Procore purges it after a week.
        """
        size = (await asyncio.to_thread(path.stat)).st_size
        announced = {
            "response_filename": name,
            "response_content_type": content_type,
            "attachment_content_disposition": True,
            "size": size,
        }
        try:
            answer = await self.caller.write(
                "POST",
                place,
                f"/rest/v1.1/projects/{place.project_id}/uploads",
                whose=whose,
                json=announced,
            )
        except OutcomeUnknown as error:
            # nothing to look up: another announcement does no harm
            raise TryLater(str(error), reason="procore_down") from error
        told = json_of(answer)
        uuid, url, fields = _instructions(told)
        self.origins.check(url)
        file = await asyncio.to_thread(path.open, "rb")
        try:
            await self._store(url, fields, name, file, content_type)
        finally:
            await asyncio.to_thread(file.close)
        return uuid

    async def _store(
        self, url: str, fields: dict[str, str], name: str, file: IO[bytes], content_type: str
    ) -> None:
        try:
            with charging("procore"):
                stored = await self.storage.send(
                    "POST",
                    url,
                    data=fields,
                    files={"file": (name, file, content_type)},
                    deadline_s=STORAGE_DEADLINE_S,
                )
        except AddressRefused as error:
            raise OriginRefused(origin_of(url)) from error
        except (NotSent, NoAnswer) as error:
            message = f"the storage did not take {name}: {error}"
            raise TryLater(message, reason="procore_down") from error
        if stored.status not in SUCCESS:
            message = f"the storage answered {stored.status} to {name}"
            if stored.status in (400, 413, 415, 422):
                raise Refused(message)
            raise TryLater(message, reason="procore_down")


def _signed(place: Place, token: AccessToken) -> dict[str, str]:
    return {
        "authorization": f"Bearer {token.access_token}",
        "procore-company-id": place.company_id,
    }


def _refuse_error_page(attachment: Attachment, kind: str) -> None:
    names = PAGE_TYPES.get(kind)
    if names is not None and not attachment.name.lower().endswith(names):
        message = f"{attachment.name} arrived as {kind}, which is an error page"
        raise FileNotWhole(message)


def _looks_like_a_page(attachment: Attachment, beginning: bytes) -> bool:
    """Tell an error page that calls itself something else."""
    if attachment.name.lower().endswith((".html", ".htm", ".xhtml", ".xml", ".txt")):
        return False
    return beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(PAGE_BEGINNINGS)


def _total_of(content_range: str) -> int | None:
    """Return the length of the whole file, of `bytes 5-9/10`, if it is said."""
    total = content_range.rpartition("/")[2]
    return int(total) if total.isdecimal() else None


async def _received(
    attachment: Attachment, arriving: Arriving, answer: httpx2.Response
) -> FileBytes:
    """Write what an answer brings after what is here already. Raises FileNotWhole."""
    status, headers, name = answer.status_code, answer.headers, attachment.name
    total = _total_of(headers.get("content-range", ""))
    if status == BEYOND:
        if total == arriving.size:  # all of it was here: only what followed had failed
            await _refuse_another_size(attachment, arriving)
            return FileBytes(arriving.sha256, total, _type_of(attachment, ""))
        await arriving.forget()
    if status not in SUCCESS:
        message = f"{name}: the storage answered {status}"
        raise FileNotWhole(message)
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    _refuse_error_page(attachment, kind)
    if not await arriving.open(status, headers):
        message = f"{name}: the storage gave another part than was asked for"
        raise FileNotWhole(message)
    await _written(attachment, arriving, answer)
    if status == PART and total is not None and arriving.size != total:
        message = f"{name}: {total} bytes were announced, and {arriving.size} came"
        await arriving.forget()
        raise FileNotWhole(message)
    await _refuse_another_size(attachment, arriving)
    if arriving.size == 0:
        message = f"{name} arrived empty"
        raise FileEmpty(message)
    return FileBytes(arriving.sha256, arriving.size, _type_of(attachment, kind))


async def _refuse_another_size(attachment: Attachment, arriving: Arriving) -> None:
    """Raise FileNotWhole where Procore's record tells another size than came: it begins anew."""
    if attachment.size in (None, arriving.size):
        return
    came = arriving.size
    await arriving.forget()
    message = f"{attachment.name}: {attachment.size} bytes in Procore's record, and {came} came"
    raise FileNotWhole(message)


async def _written(attachment: Attachment, arriving: Arriving, answer: httpx2.Response) -> None:
    until = asyncio.get_running_loop().time() + STORAGE_DEADLINE_S
    announced = answer.headers.get("content-length", "")
    try:
        arriving.expect(int(announced) if announced.isdecimal() else 0)
        async for chunk in answer.aiter_raw(CHUNK_BYTES):
            if arriving.size == 0 and _looks_like_a_page(attachment, chunk):
                message = f"{attachment.name} arrived as an error page"
                raise FileNotWhole(message)
            await arriving.take(chunk)
            if asyncio.get_running_loop().time() > until:
                message = f"{attachment.name} did not come whole in {STORAGE_DEADLINE_S:.0f} s"
                raise FileNotWhole(message)
    finally:
        await arriving.close()


def _type_of(attachment: Attachment, kind: str) -> str:
    guessed, _ = mimetypes.guess_type(attachment.name)
    said = attachment.content_type or kind
    return said if said and said != UNTYPED else guessed or said or UNTYPED


def _instructions(told: Any) -> tuple[str, str, dict[str, str]]:
    match told:
        case {"uuid": str() as uuid, "url": str() as url, **rest}:
            fields = rest.get("fields")
            named = fields if isinstance(fields, dict) else {}
            return uuid, url, {str(name): str(value) for name, value in named.items()}
        case _:
            pass
    message = "Procore's answer to an upload lacks the uuid or the address"
    raise TryLater(message, reason="procore_down")
