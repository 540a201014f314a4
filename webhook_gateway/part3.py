"""Part3's deliveries: signed as Standard Webhooks 1.0 says, with HMAC-SHA256 (`v1`)."""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

from schemas.notices import Part3EventType, Part3Notice
from webhook_gateway.fields import moment, name, optional_name
from webhook_gateway.readings import Ignored, Unreadable
from webhook_gateway.strict_json import NotReadable, read_object

TOLERANCE_S = 300
MAX_SIGNATURES = 8
MESSAGE_ID = re.compile(rb"[!-~]{1,128}")
UNIX_SECONDS = re.compile(rb"[1-9][0-9]{0,11}")
EVENT_TYPES = frozenset(get_args(Part3EventType))


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request's headers claim; whether it is true, the body decides."""

    message_id: bytes
    timestamp: bytes
    signatures: tuple[bytes, ...]

    @property
    def sent_at(self) -> datetime:
        """When this attempt was signed."""
        return datetime.fromtimestamp(int(self.timestamp), UTC)


def read_claim(
    ids: Sequence[bytes], timestamps: Sequence[bytes], signatures: Sequence[bytes], *, now: float
) -> Claim | None:
    """Return the claim of a request worth reading the body of, or None.

    Args:
        ids: every `webhook-id` value.
        timestamps: every `webhook-timestamp` value.
        signatures: every `webhook-signature` value.
        now: Unix seconds; a claim is at most 5 minutes off.
    """
    if not len(ids) == len(timestamps) == len(signatures) == 1:
        return None
    if not (MESSAGE_ID.fullmatch(ids[0]) and UNIX_SECONDS.fullmatch(timestamps[0])):
        return None
    if abs(now - int(timestamps[0])) > TOLERANCE_S:
        return None
    offered = signatures[0].split(b" ")
    if len(offered) > MAX_SIGNATURES:  # nobody rotates through so many secrets
        return None
    digests = tuple(digest for one in offered if (digest := _digest_of(one)))
    return Claim(ids[0], timestamps[0], digests) if digests else None


def is_authentic(claim: Claim, body: bytes, secrets: Sequence[bytes]) -> bool:
    """Tell whether one of the secrets signed this body; all are tried, in constant time."""
    message = b"%b.%b.%b" % (claim.message_id, claim.timestamp, body)
    authentic = False
    for secret in secrets:
        expected = hmac.digest(secret, message, "sha256")
        for signature in claim.signatures:
            authentic |= hmac.compare_digest(expected, signature)
    return authentic


def read_part3(body: bytes, claim: Claim) -> Part3Notice | Unreadable | Ignored:
    """Read an authentic delivery; never raises."""
    try:
        fields = read_object(body)
        kind = name(fields, "type")
        data = fields.get("data")
        if not isinstance(data, dict):
            raise NotReadable("no_data")  # noqa: TRY301 - one way to say what cannot be read
        project_id = name(data, "project_id")
        if kind not in EVENT_TYPES:
            return Ignored()
        return Part3Notice(
            project_id=project_id,
            notice_id=claim.message_id.decode(),
            type=kind,  # type: ignore[arg-type] # one of EVENT_TYPES
            occurred_at=moment(fields.get("timestamp")) or claim.sent_at,
            kind=optional_name(data, "kind"),
            procore_id=optional_name(data, "procore_id"),
            return_id=optional_name(data, "return_id"),
            user_id=optional_name(data, "user_id"),
        )
    except NotReadable as error:
        return Unreadable(error.cause)


def secret_of(text: str) -> bytes:
    """Return the key of a `whsec_…` secret; raises ValueError when it is none."""
    if not text.startswith("whsec_"):
        raise ValueError("it must begin with whsec_")
    try:
        unpadded = text.removeprefix("whsec_").rstrip("=")
        key = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("what follows whsec_ must be base64") from error
    if len(key) < 16:  # noqa: PLR2004 - bytes; Standard Webhooks makes them of 24 to 64
        raise ValueError("its key must have at least 16 bytes")
    return key


def _digest_of(signature: bytes) -> bytes | None:
    version, _, encoded = signature.partition(b",")
    if version != b"v1":
        return None
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return digest if len(digest) == hmac.new(b"", digestmod="sha256").digest_size else None
