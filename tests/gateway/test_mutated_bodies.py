"""Promise A4: whatever stands in an authentic body, its sender hears 2xx and the next event flows.

Any other answer would make Procore hold back everything that waits behind the body.
"""

import base64
import hashlib
import hmac
import json
import random

from schemas.notices import DEAD_LETTERS, PART3_NOTICES, PROCORE_NOTICES
from tests.gateway.mutating import mutated
from tests.gateway.stage import NOW, PART3_SECRETS, V4, Stage, part3, procore, signed, stage
from tests.http_server.raw import answers_of

BATCHES, BATCH = 50, 100  # of each sender
V2 = {
    "id": 7,
    "ulid": "01JE0000000000000000000009",
    "timestamp": "2026-11-24T08:15:30Z",
    "event_type": "update",
    "company_id": 4264100,
    "project_id": 9007199254740993,
    "resource_name": "Submittals",
    "resource_id": 88,
    "metadata": {"source_user_id": 1, "source_application_id": None},
}
EVENT = {
    "type": "return.created",
    "timestamp": "2026-11-24T08:15:30Z",
    "data": {"project_id": "project-1", "kind": "rfi", "procore_id": "12", "return_id": "ret-1"},
}
SEED = 20_261_124


async def test_b35_to_b48_5000_mutated_bodies_of_procore_stop_nothing() -> None:
    chance = random.Random(SEED)
    goods = [json.dumps(good).encode() for good in (V4, V2)]
    async with stage() as gateway:
        for batch in range(BATCHES):
            bodies = [mutated(chance.choice(goods), chance) for _ in range(BATCH)]
            good = V4 | {"resource_id": str(batch + 1)}
            await _all_are_taken(gateway, [procore(body) for body in bodies], procore(good), 204)
            last = gateway.kafka.written[-1]
            assert (last.topic, last.json["record_id"]) == (PROCORE_NOTICES, str(batch + 1))
        _nothing_is_unaccounted_for(gateway, "procore")


async def test_b35_to_b48_5000_mutated_bodies_of_part3_stop_nothing() -> None:
    chance = random.Random(SEED)
    good = json.dumps(EVENT).encode()
    async with stage() as gateway:
        for _ in range(BATCHES):
            bodies = [mutated(good, chance) for _ in range(BATCH)]
            signed_ones = [part3(body, _signed(body)) for body in bodies]
            await _all_are_taken(gateway, signed_ones, part3(EVENT), 202)
            assert gateway.kafka.written[-1].topic == PART3_NOTICES
        _nothing_is_unaccounted_for(gateway, "part3")


async def _all_are_taken(gateway: Stage, requests: list[bytes], good: bytes, status: int) -> None:
    answers = await answers_of(gateway.port, BATCH + 1, *requests, good)
    assert answers.statuses == [status] * (BATCH + 1)


def _nothing_is_unaccounted_for(gateway: Stage, sender: str) -> None:
    """Every body is a notice, a dead letter with its bytes, or about what is not mirrored."""
    outcomes = {
        word: int(gateway.count(sender, word)) for word in ("published", "dead_letter", "ignored")
    }
    assert sum(outcomes.values()) == BATCHES * (BATCH + 1)
    assert outcomes["published"] > BATCHES  # some mutants are harmless
    assert outcomes["dead_letter"] > BATCHES * BATCH / 2  # most are not
    buried = [letter for letter in gateway.kafka.written if letter.topic == DEAD_LETTERS]
    assert len(buried) == outcomes["dead_letter"]
    assert all(letter.headers["dead_letter_cause"] for letter in buried)


def _signed(body: bytes) -> dict[str, str]:
    """Sign any bytes; the reference library signs text only."""
    key = base64.b64decode(PART3_SECRETS[0].removeprefix("whsec_"))
    mac = hmac.digest(key, b"msg_1.%d." % NOW + body, hashlib.sha256)
    claim = signed(b"{}")
    return claim | {"webhook-signature": "v1," + base64.b64encode(mac).decode()}
