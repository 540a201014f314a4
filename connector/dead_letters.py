"""Dead letters: deliveries that could not be read, and how to hand them in again.

A letter keeps the original bytes, so after a release that can read them the gateway gets them once
more, as the sender would have sent them. One that still cannot be read is buried again.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import unquote

import httpx2

from schemas.notices import DEAD_LETTERS
from services import kafka
from services.hook_secrets import hook_secret
from services.kafka import ConsumedRecord
from services.settings import KafkaSettings, KeyRing, Reader, Secret

TIMEOUT_S = 10.0
TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class LetterSettings:
    """What it takes to read the dead letters and to hand them in."""

    kafka: KafkaSettings
    gateway_url: str
    hook_keys: KeyRing
    part3_secret: Secret

    @classmethod
    def read(cls, reader: Reader) -> "LetterSettings":
        """Read the environment."""
        return cls(
            kafka=KafkaSettings.read(reader),
            gateway_url=reader.url("GATEWAY_PUBLIC_URL"),
            hook_keys=reader.key_ring("WEBHOOK_SECRET_KEYS"),
            part3_secret=_first_secret(reader),
        )


def _first_secret(reader: Reader) -> Secret:
    """Read the first of `PART3_WEBHOOK_SECRETS`. Faults never show a secret."""
    first = reader.text("PART3_WEBHOOK_SECRETS").split(",")[0].strip()
    try:
        base64.b64decode(_padded(first.removeprefix("whsec_")), validate=True)
    except binascii.Error:
        reader.faults.append("PART3_WEBHOOK_SECRETS: the first one is not whsec_ and base64")
    return Secret(first)


def _padded(encoded: str) -> str:
    return encoded + "=" * (-len(encoded) % 4)


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `source` is the path it was sent to; an empty one came from a worker."""

    source: str
    event_id: str
    cause: str
    project_id: str | None
    body: bytes


async def letters(settings: LetterSettings, project_id: str | None) -> list[Letter]:
    """Return the dead letters of a project, or all of them, oldest first in each partition.

    One that was buried again after it had been handed in is there several times, and given once.
    """
    found: dict[tuple[str, bytes], Letter] = {}
    async with aclosing(kafka.read_all(settings.kafka, DEAD_LETTERS)) as records:
        async for record in records:
            letter = letter_of(record)
            if project_id in (None, letter.project_id):
                found.setdefault((letter.source, letter.body), letter)
    return list(found.values())


def letter_of(record: ConsumedRecord) -> Letter:
    """Read a record of the dead letters; whatever it lacks is left empty."""
    text = {name: value.decode("utf-8", "replace") for name, value in record.headers.items()}
    return Letter(
        source=text.get("ce_source", ""),
        event_id=text.get("ce_id", ""),
        cause=text.get("dead_letter_cause", "no cause given"),
        project_id=record.key.decode("utf-8", "replace") if record.key else None,
        body=record.value or b"",
    )


def headers_for(letter: Letter, settings: LetterSettings, *, now: float) -> dict[str, str] | None:
    """Return the headers that prove a letter to the gateway, or None when it has no address."""
    match letter.source.strip("/").split("/"):
        case ["procore", project_id, generation] if generation.isdecimal():
            key = settings.hook_keys.first
            return {"authorization": hook_secret(key.secret, unquote(project_id), int(generation))}
        case ["part3", "events"]:
            signed = f"{letter.event_id}.{int(now)}.".encode() + letter.body
            encoded = settings.part3_secret.reveal().removeprefix("whsec_")
            secret = base64.b64decode(_padded(encoded))
            digest = hmac.new(secret, signed, hashlib.sha256).digest()
            return {
                "webhook-id": letter.event_id,
                "webhook-timestamp": str(int(now)),
                "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
            }
        case _:
            return None


async def hand_in(settings: LetterSettings, found: list[Letter]) -> Counter[str]:
    """Send letters to the gateway again; return how many were taken, refused or had no address."""
    outcomes: Counter[str] = Counter()
    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
        for letter in found:
            headers = headers_for(letter, settings, now=time.time())
            if headers is None:
                outcomes["without an address"] += 1
                continue
            try:
                answer = await client.post(
                    settings.gateway_url + letter.source,
                    content=letter.body,
                    headers={**headers, "content-type": "application/json"},
                )
            except httpx2.HTTPError:
                outcomes["not reached"] += 1
                continue
            outcomes[TAKEN if answer.is_success else f"refused ({answer.status_code})"] += 1
    return outcomes
