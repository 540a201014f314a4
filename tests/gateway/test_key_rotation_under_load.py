"""Bad input 28, threats 12 and 23: both senders' secrets change, and no delivery is refused.

Played on two gateways as docs/configuration.md tells it; a sender changes over once both keys are
known.
"""

import asyncio
import base64
import json
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from services.hook_secrets import hook_secret
from services.settings import Key, KeyRing
from tests.gateway.stage import V4, Stage, part3, procore, signed, stage

ENOUGH = 30
OLD, NEW = Key("old", b"o" * 32), Key("new", b"n" * 32)
OLD_SECRET, NEW_SECRET = ("whsec_" + base64.b64encode(one * 24).decode() for one in (b"o", b"n"))
EVENT = json.dumps({"type": "return.created", "data": {"project_id": "project-1"}}).encode()


class Rolling:
    """Two gateways behind one address, restarted one after the other while senders go on."""

    def __init__(self, life: AsyncExitStack) -> None:
        self._life = life
        self._chance = random.Random(3)
        self.stages: list[Stage] = []
        self.delivered = 0
        self.refused: list[int] = []

    async def restart(self, keys: Sequence[Key], secrets: Sequence[str]) -> None:
        for place in (0, 1):
            one = await self._life.enter_async_context(stage(KeyRing(tuple(keys)), secrets))
            self.stages[place : place + 1] = [one]
            wanted = self.delivered + ENOUGH
            async with asyncio.timeout(30):
                while self.delivered < wanted and not self.refused and len(self.stages) == 2:
                    await asyncio.sleep(0.01)

    async def deliver(self, request: Callable[[], bytes], expected: int) -> None:
        while True:
            answers = await self._chance.choice(self.stages).send(request())
            if answers.statuses != [expected]:
                self.refused += answers.statuses
            self.delivered += 1


async def test_b28_d12_d23_secrets_of_both_senders_are_rotated_and_none_is_refused() -> None:
    signing = {"hook": OLD, "secret": OLD_SECRET}

    def from_procore() -> bytes:
        key = signing["hook"]
        assert isinstance(key, Key)
        return procore(V4, authorization=hook_secret(key.secret, "project-1", 3).encode())

    def from_part3() -> bytes:
        return part3(EVENT, signed(EVENT, secret=str(signing["secret"])))

    async with AsyncExitStack() as life:
        rolling = Rolling(life)
        for _ in range(2):
            first = await life.enter_async_context(stage(KeyRing((OLD,)), [OLD_SECRET]))
            rolling.stages.append(first)
        senders = [
            asyncio.create_task(rolling.deliver(from_procore, 204)),
            asyncio.create_task(rolling.deliver(from_part3, 202)),
        ]
        await rolling.restart([OLD, NEW], [OLD_SECRET, NEW_SECRET])
        await rolling.restart([NEW, OLD], [NEW_SECRET, OLD_SECRET])
        signing |= {"hook": NEW, "secret": NEW_SECRET}  # `rotate hooks`, and Part3's own doing
        await asyncio.sleep(0.2)  # what was signed before is delivered
        await rolling.restart([NEW], [NEW_SECRET])
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        assert rolling.refused == []
        assert rolling.delivered >= 6 * ENOUGH
        late = procore(V4, authorization=hook_secret(OLD.secret, "project-1", 3).encode())
        assert (await rolling.stages[0].send(late)).statuses == [401]
        late = part3(EVENT, signed(EVENT, secret=OLD_SECRET))
        assert (await rolling.stages[0].send(late)).statuses == [401]
