"""The bytes of files: downloads that are whole or a failure, uploads under the author's grant.

Source: Procore API contract, section 5. Addresses are opaque and short-lived, hosts change; the
bearer goes to Procore's own hosts only, since storage rejects or leaks it.
"""

import asyncio
import hashlib
import ipaddress
import mimetypes
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx2

from schemas.connections import AccessToken
from services.errors import OutcomeUnknown, TryLater
from services.http_client import HttpClient, NoAnswer, NotSent
from services.procore.call import Caller, Tokens, json_of
from services.procore.errors import Refused
from services.procore.models import Attachment, Place
from services.settings import is_loopback

MOST_REDIRECTS = 5
CHUNK_BYTES = 256 * 1024
STORAGE_DEADLINE_S = 600.0
UNTYPED = "application/octet-stream"
SUCCESS = range(200, 300)
UNAUTHORIZED = 401
REDIRECTS = (301, 302, 303, 307, 308)
PROCORE_HOSTS = "https://*.procore.com"
NO_ORIGIN = "an address that is no URL"


class FileNotWhole(TryLater):
    """What came is not the file: an error page, nothing, or a part. A fresh address is needed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="file_unavailable")


class _TokenRefused(FileNotWhole):
    """A 401 to a call that carried an access token."""


class OriginRefused(TryLater):
    """The address leads where files may not come from, so nothing was asked there."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"files may not come from {origin}: if it is Procore's, add it to PROCORE_FILE_ORIGINS",
            reason="file_origin_refused",
        )


@dataclass(frozen=True, slots=True)
class FileBytes:
    """What was written: the hash of the bytes in lower-case hex, how many, and their type."""

    sha256: str
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Origins:
    """Which origins files may come from and go to.

    Args:
        allowed: origins; `*` stands for one label of a host.
        own: origins of the settings' URLs, which may be private addresses.
        api: origin of the API, which gets the bearer.
    """

    allowed: tuple[str, ...]
    own: tuple[str, ...]
    api: str

    def takes_bearer(self, url: str) -> bool:
        """Tell whether the bearer may go there."""
        origin = origin_of(url)
        return origin == self.api or _matches(origin, PROCORE_HOSTS)

    async def check(self, url: str) -> None:
        """Raise OriginRefused unless a file may come from there."""
        origin = origin_of(url)
        if origin in self.own or origin in self.allowed:
            return
        if not any(_matches(origin, pattern) for pattern in self.allowed):
            raise OriginRefused(origin)
        # The name is resolved once more by the call itself, and may lead elsewhere then: only TLS
        # makes sure that whoever answers is the host that fits the pattern.
        if not origin.startswith("https://"):
            raise OriginRefused(origin)
        if await _leads_inside(httpx2.URL(url).host):
            raise OriginRefused(origin)


@dataclass(slots=True)
class Files:
    """Copies files from and to Procore and the storage behind it."""

    caller: Caller
    storage: HttpClient
    tokens: Tokens
    origins: Origins
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))

    async def download(
        self, place: Place, attachment: Attachment, into: Path, *, whose: str
    ) -> FileBytes:
        """Write an attachment's bytes to `into`; memory stays flat.

        Raises:
            FileNotWhole: it must be tried again, with the record's fresh address.
            TryLater, NeedsPerson: no grant, or the storage is down.
        """
        if attachment.url is None:
            message = f"Procore gives no address for {attachment.name}"
            raise FileNotWhole(message)
        async with self._turns:
            url = _joined(self.caller.base_url, attachment.url)
            for _ in range(MOST_REDIRECTS):
                got = await self._fetch(place, attachment, url, into, whose)
                if isinstance(got, FileBytes):
                    return got
                url = _joined(url, got)
        message = f"the address of {attachment.name} redirects in circles"
        raise FileNotWhole(message)

    async def _fetch(
        self, place: Place, attachment: Attachment, url: str, into: Path, whose: str
    ) -> FileBytes | str:
        """Follow one address; return the bytes, or where it sends us."""
        await self.origins.check(url)
        if not self.origins.takes_bearer(url):
            return await self._get(attachment, url, into, {})
        token = await self.tokens.access_token(whose)
        try:
            return await self._get(attachment, url, into, _signed(place, token))
        except _TokenRefused:
            token = await self.tokens.replacement_for(whose, token)
            return await self._get(attachment, url, into, _signed(place, token))

    async def _get(
        self, attachment: Attachment, url: str, into: Path, headers: dict[str, str]
    ) -> FileBytes | str:
        try:
            async with self.storage.streaming("GET", url, headers=headers) as answer:
                if answer.status_code in REDIRECTS and "location" in answer.headers:
                    return str(answer.headers["location"])
                if answer.status_code == UNAUTHORIZED and headers:
                    message = f"{attachment.name}: Procore refused the access token"
                    raise _TokenRefused(message)
                if answer.status_code not in SUCCESS:
                    message = f"{attachment.name}: the storage answered {answer.status_code}"
                    raise FileNotWhole(message)
                kind = answer.headers.get("content-type", "").split(";")[0].strip()
                _refuse_error_page(attachment, kind)
                sha256, size = await _written(into, answer.aiter_raw(CHUNK_BYTES))
        except (NotSent, NoAnswer) as error:
            message = f"{attachment.name}: {error}"
            raise FileNotWhole(message) from error
        if size == 0:
            message = f"{attachment.name} arrived empty"
            raise FileNotWhole(message)
        return FileBytes(sha256, size, _type_of(attachment, kind))

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
        await self.origins.check(url)
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
            stored = await self.storage.send(
                "POST",
                url,
                data=fields,
                files={"file": (name, file, content_type)},
                deadline_s=STORAGE_DEADLINE_S,
            )
        except (NotSent, NoAnswer) as error:
            message = f"the storage did not take {name}: {error}"
            raise TryLater(message, reason="procore_down") from error
        if stored.status not in SUCCESS:
            message = f"the storage answered {stored.status} to {name}"
            if stored.status in (400, 413, 415, 422):
                raise Refused(message)
            raise TryLater(message, reason="procore_down")


def origin_of(url: str) -> str:
    """Return a URL's origin in lower case, without a default port; no origin for what is no URL.

    Read by the client that will call it, so that both mean the same host.
    """
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL:
        return NO_ORIGIN
    given = f":{parts.port}" if parts.port is not None else ""
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    return f"{parts.scheme}://{host}{given}".lower()


def _joined(base: str, address: str) -> str:
    try:
        return str(httpx2.URL(base).join(address))
    except httpx2.InvalidURL as error:
        raise OriginRefused(NO_ORIGIN) from error


def _signed(place: Place, token: AccessToken) -> dict[str, str]:
    return {
        "authorization": f"Bearer {token.access_token}",
        "procore-company-id": place.company_id,
    }


def origins_of(urls: Sequence[str]) -> tuple[str, ...]:
    """Return the origins of some URLs."""
    return tuple(origin_of(url) for url in urls)


def _matches(origin: str, pattern: str) -> bool:
    """Tell whether an origin fits a pattern in which `*` is exactly one label."""
    mine, theirs = origin.split("."), pattern.lower().split(".")
    if len(mine) != len(theirs):
        return False
    for own, wanted in zip(mine, theirs, strict=True):
        if wanted.endswith("*"):
            prefix = wanted[:-1]
            label = own.removeprefix(prefix)
            if not own.startswith(prefix) or not label or set(label) & set("/:@"):
                return False
        elif own != wanted:
            return False
    return True


async def _leads_inside(host: str) -> bool:
    """Tell whether a host is, or resolves to, an address that is not public."""
    if is_loopback(host):
        return True
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError:
        return False  # the call itself will fail, and say so
    return any(not ipaddress.ip_address(address[4][0]).is_global for address in found)


def _refuse_error_page(attachment: Attachment, kind: str) -> None:
    if kind == "text/html" and not attachment.name.lower().endswith((".html", ".htm")):
        message = f"{attachment.name} arrived as an HTML page"
        raise FileNotWhole(message)


async def _written(into: Path, chunks: AsyncIterator[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    until = asyncio.get_running_loop().time() + STORAGE_DEADLINE_S
    file = await asyncio.to_thread(into.open, "wb")
    try:
        async for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            await asyncio.to_thread(file.write, chunk)
            if asyncio.get_running_loop().time() > until:
                message = f"a file did not come whole in {STORAGE_DEADLINE_S:.0f} s"
                raise FileNotWhole(message)
    finally:
        await asyncio.to_thread(file.close)
    return digest.hexdigest(), size


def _type_of(attachment: Attachment, kind: str) -> str:
    guessed, _ = mimetypes.guess_type(attachment.name)
    said = attachment.content_type or kind
    return (
        said
        if said and said != "application/octet-stream"
        else guessed or said or "application/octet-stream"
    )


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
