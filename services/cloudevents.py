"""CloudEvents 1.0 in Kafka's binary mode: what every event has travels in headers named `ce_…`.

The value is the event's data as JSON. Source: CloudEvents, Kafka Protocol Binding 1.0, section 3.2.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

JSON = b"application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """An event's attributes.

    Attributes:
        id: the sender's; together with `source` it names the event, however often it comes.
        source: which hook or system, as a path.
        type: what happened, e.g. `procore.rfi.update`.
        time: when we took it (aware).
        traceparent: W3C trace context to be carried on, or None.
    """

    id: str
    source: str
    type: str
    time: datetime
    traceparent: str | None = None


SPEC_VERSION = ("ce_specversion", b"1.0")


def event_headers(  # noqa: PLR0917 - in the order of the headers; a delivery pays for each keyword
    event_id: str,
    source: bytes,
    kind: bytes,
    at: bytes,
    traceparent: str | None,
    content_type: bytes = JSON,
) -> list[tuple[str, bytes]]:
    """Return the Kafka headers of an event; for the arguments see `CloudEvent`.

    `at` is the event's time as RFC 3339 writes it, such as `present_moment()`.
    """
    headers = [
        SPEC_VERSION,
        ("ce_id", event_id.encode()),
        ("ce_source", source),
        ("ce_type", kind),
        ("ce_time", at),
        ("content-type", content_type),
    ]
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return headers


def present_moment() -> bytes:
    """Return the present time in UTC as RFC 3339, to the microsecond."""
    seconds, microseconds = divmod(time.time_ns() // 1_000, 1_000_000)
    return b"%b.%06d+00:00" % (_second(seconds), microseconds)


@lru_cache(maxsize=4)  # writing a time out takes as long as all other headers together
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def event_of(headers: Mapping[str, bytes], *, taken_at: datetime) -> CloudEvent | None:
    """Return the event that Kafka headers speak of, or None when they are not a CloudEvent's.

    Args:
        headers: of the record.
        taken_at: the record's own time, for an event whose time cannot be read.
    """
    text = {name: value.decode("utf-8", "replace") for name, value in headers.items()}
    if text.get("ce_specversion") != "1.0" or not (text.get("ce_id") and text.get("ce_source")):
        return None
    return CloudEvent(
        id=text["ce_id"],
        source=text["ce_source"],
        type=text.get("ce_type", ""),
        time=_time(text.get("ce_time")) or taken_at,
        traceparent=text.get("traceparent"),
    )


def _time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
