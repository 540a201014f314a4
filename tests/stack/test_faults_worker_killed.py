"""kill -9 of a worker in the middle of a return: nothing is lost and nothing arrives twice."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from tests.stack.fault_stacks import Site

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

MARKED_UP = b"%PDF-1.4 marked up by the architect\n" * 400
FILE = {
    "name": "A-512 marked up.pdf",
    "content_type": "application/pdf",
    "content_base64": base64.b64encode(MARKED_UP).decode(),
}
LONG_S = 15.0
"""A call that takes this long has not ended when its worker is killed."""


@dataclass(frozen=True)
class Answers:
    """Maya's answer to an RFI and her review of a submittal, both under way at once."""

    site: Site
    rfi_id: str
    submittal_id: str
    row_id: str  # Maya's, in the submittal's workflow

    @property
    def replying(self) -> str:
        return f"/rfis/{self.rfi_id}/replies"

    @property
    def responding(self) -> str:
        return f"/submittal_approvers/{self.row_id}"

    async def both_called(self) -> bool:
        replied = await self.site.calls("POST", self.replying)
        return bool(replied and await self.site.calls("PATCH", self.responding))

    async def both_read_again(self) -> bool:
        seen = await self.site.calls("GET", self.replying)
        shown = await self.site.calls("GET", f"/submittals/{self.submittal_id}")
        return bool(seen) and len(shown) > 1

    async def both_bring_files(self) -> bool:
        return len([c for c in await self.site.calls("POST", "/uploads") if _is_open(c)]) > 1


def _is_open(call: dict[str, Any]) -> bool:
    return call["took_ms"] is None


def _on_writes(answers: Answers, kind: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "method": "POST", "path": f"{answers.replying}$", **more},
        {"kind": kind, "method": "PATCH", "path": f"{answers.responding}$", **more},
    ]


def _slow_proof(answers: Answers) -> list[dict[str, Any]]:
    """Hold up what is read after the write; the submittal is read once before it."""
    slow = {"kind": "latency", "method": "GET", "delay_s": LONG_S}
    return [
        {**slow, "path": f"{answers.replying}$"},
        {**slow, "path": f"/submittals/{answers.submittal_id}$", "skip": 1},
    ]


MOMENTS = (
    "while its file is on its way",
    "while the answer is on its way",
    "when Procore took the answer and said nothing",
    "when the answer never reached Procore",
    "while it is read back",
)


def _faults(moment: str, answers: Answers) -> list[dict[str, Any]]:
    match moment:
        case "while its file is on its way":
            slow = {"kind": "latency", "method": "POST", "path": "/uploads$", "delay_s": LONG_S}
            return [slow]
        case "while the answer is on its way":  # done after the next worker's first look for it
            return _on_writes(answers, "latency", delay_s=5.0)
        case "when Procore took the answer and said nothing":
            return _on_writes(answers, "cut_after", count=1) + _slow_proof(answers)
        case "when the answer never reached Procore":
            return _on_writes(answers, "cut_before", count=1) + _slow_proof(answers)
        case _:
            return _slow_proof(answers)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_return_survives_the_death_of_its_worker(site: Site, moment: str) -> None:
    rfi_id = await site.ask_rfi(f"Beam pocket, {moment}")
    submittal_id = await site.send_submittal(f"Anchor bolts, {moment}")
    await site.until_titled("rfi", rfi_id, f"Beam pocket, {moment}")
    await site.until_titled("submittal", submittal_id, f"Anchor bolts, {moment}")
    maya_id = site.procore_id_of(site.maya)
    rows = (await site.submittal(submittal_id))["approvers"]
    row_id = next(str(row["id"]) for row in rows if row["user"]["id"] == maya_id)
    answers = Answers(site, rfi_id, submittal_id, row_id)
    await site.procore_faults(*_faults(moment, answers))

    reply = await site.return_rfi(rfi_id, "Follow detail 5/A-512.", files=[FILE])
    response = await site.return_submittal(submittal_id, "Coordinate spacing.", files=[FILE])
    match moment:
        case "while its file is on its way":
            await site.until("both files are on their way", answers.both_bring_files)
        case "while the answer is on its way":
            await site.until("both are on their way", answers.both_called)
        case _:
            await site.until("both are looked for again", answers.both_read_again)
    worker = site.stack.program("worker-1")
    worker.kill()
    assert [c["path"] for c in (await site.procore_ledger())["calls"] if _is_open(c)], moment
    await site.procore_faults()
    await worker.start()

    await site.until_return(reply, "delivered")
    await site.until_return(response, "delivered")
    await _arrived_once(answers, reply, response)
    sends = 2 if moment == "when the answer never reached Procore" else 1
    assert len(await site.calls("POST", answers.replying)) == sends
    assert len(await site.calls("PATCH", answers.responding)) == sends


async def _arrived_once(answers: Answers, reply: str, response: str) -> None:
    site, maya_id = answers.site, answers.site.procore_id_of(answers.site.maya)
    replies = await site.replies(answers.rfi_id)
    assert [r["created_by_id"] for r in replies] == [maya_id]
    assert "Follow detail 5/A-512." in replies[0]["plain_text_body"]
    assert await _hashes(site, replies[0]["attachments"]) == [hashlib.sha256(MARKED_UP).hexdigest()]
    assert await site.receipts(reply) == [str(replies[0]["id"])]

    rows = (await site.submittal(answers.submittal_id))["approvers"]
    (answered,) = (row for row in rows if row["response"]["considered"] != "pending")
    assert (answered["id"], answered["user"]["id"]) == (int(answers.row_id), maya_id)
    assert answered["response"]["considered"] == "approved as noted"
    assert "Coordinate spacing." in answered["comment"]
    assert await _hashes(site, answered["attachments"]) == [hashlib.sha256(MARKED_UP).hexdigest()]
    assert await site.receipts(response) == [answers.row_id]

    effects = (await site.procore_ledger())["effects"]
    maya_did = [e for e in effects if e["user_id"] == maya_id and e["app"]]
    assert len([e for e in maya_did if e["resource_id"] == str(replies[0]["id"])]) == 1
    assert len([e for e in maya_did if e["resource_id"] == answers.submittal_id]) == 1

    async def echoed() -> bool:
        there = (await site.record("rfi", answers.rfi_id))["replies"]
        return [one["return_id"] for one in there] == [reply]

    await site.until("Part3 shows the reply once, as its own return", echoed)


async def _hashes(site: Site, attachments: list[dict[str, Any]]) -> list[str]:
    return [hashlib.sha256(await site.procore_bytes(one["url"])).hexdigest() for one in attachments]
