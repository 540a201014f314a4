"""From a reading to a record in Kafka: a notice on its topic, or a dead letter."""

import hashlib
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import msgspec

from schemas.notices import DEAD_LETTERS, PART3_NOTICES, PROCORE_NOTICES, Part3Notice, ProcoreNotice
from services.cloudevents import event_headers, present_moment


class Publish(Protocol):
    """Where records go."""

    async def publish(
        self, topic: str, key: bytes | None, value: bytes, headers: Iterable[tuple[str, bytes]] = ()
    ) -> None:
        """Return once all in-sync replicas hold the record; raise TryLater otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An authentic delivery that cannot become a notice.

    Attributes:
        body: the original bytes; the first 256 KiB of a larger one.
        cause: one fixed word.
        source: the path it was sent to.
        project_id: Part3's, where it is known without reading the body.
        content_type: as it was sent.
        content_encoding: as it was sent, or empty.
    """

    body: bytes
    cause: str
    source: bytes
    project_id: str | None
    content_type: bytes
    content_encoding: bytes


class Publishing:
    """Writes notices and dead letters as CloudEvents."""

    def __init__(self, publisher: Publish) -> None:
        self._publisher = publisher
        self._encode = msgspec.json.Encoder().encode

    def notice(
        self, notice: ProcoreNotice | Part3Notice, source: bytes, traceparent: str
    ) -> Awaitable[None]:
        """Publish a notice; raises TryLater when Kafka does not have it in time.

        Args:
            notice: what was read.
            source: the path it was sent to, which names the hook.
            traceparent: W3C trace context to be carried on.
        """
        if isinstance(notice, ProcoreNotice):
            topic, kind = PROCORE_NOTICES, _procore_kind(notice.resource, notice.reason)
        else:
            topic, kind = PART3_NOTICES, _part3_kind(notice.type)
        headers = event_headers(notice.notice_id, source, kind, present_moment(), traceparent)
        key = notice.project_id.encode()
        return self._publisher.publish(topic, key, self._encode(notice), headers)

    async def bury(self, letter: DeadLetter, traceparent: str) -> None:
        """Publish a dead letter; raises TryLater when Kafka does not have it in time."""
        headers = event_headers(
            hashlib.sha256(letter.body).hexdigest()[:32],
            letter.source,
            b"delivery.unreadable",
            present_moment(),
            traceparent,
            letter.content_type or b"application/octet-stream",
        )
        headers.append(("dead_letter_cause", letter.cause.encode()))
        if letter.content_encoding:
            headers.append(("content-encoding", letter.content_encoding))
        key = letter.project_id.encode() if letter.project_id else None
        await self._publisher.publish(DEAD_LETTERS, key, letter.body, headers)


@lru_cache(maxsize=256)  # a sender's words are few
def _procore_kind(resource: str, reason: str) -> bytes:
    return f"procore.{resource}.{reason}".encode()


@lru_cache(maxsize=64)
def _part3_kind(kind: str) -> bytes:
    return f"part3.{kind}".encode()
