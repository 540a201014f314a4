"""SIGTERM in the middle of work: each program ends with 0 in time, and nothing is lost."""

import asyncio

import pytest

from tests.stack.fault_stacks import Site

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

GRACE_S = 25.0
"""A program that is still there then is killed, and its return code says so."""


@pytest.mark.parametrize("name", ["worker-1", "token-service", "gateway"])
async def test_a_program_that_is_asked_to_end_loses_nothing(site: Site, name: str) -> None:
    rfi_id = await site.ask_rfi(f"Roof drain, {name}")
    await site.until_titled("rfi", rfi_id, f"Roof drain, {name}")
    replying = f"/rfis/{rfi_id}/replies"
    slow = {"kind": "latency", "method": "POST", "path": f"{replying}$", "delay_s": 1.5}
    await site.procore_faults(slow)
    return_id = await site.return_rfi(rfi_id, "Two drains, 100 mm each.")
    await site.until("the answer is on its way", lambda: site.calls("POST", replying))
    program = site.stack.program(name)
    async with asyncio.TaskGroup() as meanwhile:
        ending = meanwhile.create_task(program.stop(GRACE_S))
        await site.rename_rfi(rfi_id, f"Roof drain and overflow, {name}")
        await ending
    assert program.returncode == 0
    await program.start()
    await site.until_return(return_id, "delivered")
    replies = await site.replies(rfi_id)
    assert [reply["created_by_id"] for reply in replies] == [site.procore_id_of(site.maya)]
    assert await site.receipts(return_id) == [str(replies[0]["id"])]
    assert len(await site.calls("POST", replying)) == 1
    await site.until_titled("rfi", rfi_id, f"Roof drain and overflow, {name}")
