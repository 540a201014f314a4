"""What people do meanwhile: records are asked, renamed and answered, and it is kept what was done.

Each title ends with the number of its change, so that what Part3 showed can be put in order.
"""

import base64
import hashlib
import random
from dataclasses import dataclass, field

from connector.demo.worlds import MAYA
from tests.faults.lab import Lab
from tests.faults.offsets import Offsets

BYTES = b"%PDF-1.4 marked up by the architect\n" * 40


@dataclass(slots=True)
class Item:
    """A record in Procore, as it should stand in Part3 in the end."""

    kind: str
    procore_id: str
    name: str
    change: int = 0

    @property
    def title(self) -> str:
        return f"{self.name}, change {self.change}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A return, and what has to become of it."""

    return_id: str
    item: Item
    author: str  # e-mail
    files: tuple[str, ...]  # sha256
    ends: str = "delivered"


@dataclass(slots=True)
class Work:
    """The people's doings in one scenario."""

    lab: Lab
    chance: random.Random
    offsets: Offsets
    items: list[Item] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    async def rfi(self, name: str, *, shown: bool = True) -> Item:
        """Have Dana ask something; wait until Part3 shows it unless told not to."""
        item = Item("rfi", "", self._named(name))
        item.procore_id = await self.lab.site.ask_rfi(item.title)
        return await self._made(item, shown=shown)

    async def submittal(self, name: str, *, shown: bool = True) -> Item:
        """Have Dana send something; wait until Part3 shows it unless told not to."""
        item = Item("submittal", "", self._named(name))
        item.procore_id = await self.lab.site.send_submittal(item.title)
        return await self._made(item, shown=shown)

    def _named(self, name: str) -> str:
        return f"{name} {self.chance.getrandbits(24):06x}"

    async def _made(self, item: Item, *, shown: bool) -> Item:
        self.items.append(item)
        self.lab.history.note("act", "made", record=item.kind, procore_id=item.procore_id)
        if shown:
            await self.lab.site.until_titled(item.kind, item.procore_id, item.title)
        return item

    async def rename(self, item: Item) -> None:
        """Have Dana change it once more."""
        item.change += 1
        renaming = (
            self.lab.site.rename_rfi if item.kind == "rfi" else self.lab.site.rename_submittal
        )
        await renaming(item.procore_id, item.title)
        self.lab.history.note("act", "renamed", procore_id=item.procore_id, change=item.change)

    async def answer(self, item: Item, *, files: int = 0, ends: str = "delivered") -> Answer:
        """Have Maya answer it."""
        bodies = [BYTES + bytes([65 + one]) * 64 for one in range(files)]
        given = [
            {
                "name": f"marked up {one}.pdf",
                "content_type": "application/pdf",
                "content_base64": base64.b64encode(body).decode(),
            }
            for one, body in enumerate(bodies)
        ]
        site = self.lab.site
        make = site.return_rfi if item.kind == "rfi" else site.return_submittal
        return_id = await make(item.procore_id, f"Answer to {item.name}.", files=given)
        hashes = tuple(hashlib.sha256(body).hexdigest() for body in bodies)
        answer = Answer(return_id, item, MAYA[1], hashes, ends)
        self.answers.append(answer)
        self.lab.history.note("act", "returned", return_id=return_id, procore_id=item.procore_id)
        return answer

    async def settled(self) -> None:
        """Wait until all of it is where it should be."""
        site = self.lab.site
        for item in self.items:
            await site.until_titled(item.kind, item.procore_id, item.title)
        for answer in self.answers:
            await site.until_return(answer.return_id, answer.ends)
