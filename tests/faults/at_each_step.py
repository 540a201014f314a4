"""kill -9, a standstill and a fault at every step of the way, from G1 to W7."""

import asyncio
from functools import partial

from tests.faults.scenarios import Scenario, add
from tests.faults.workload import Work

GATEWAY_STEPS = {"g1": (1,), "g2": (2,), "g3": (2,)}
NOTICE_STEPS = {"w1": (4,), "w1-noted": (8, 28), "w7": (8,)}
LOOK_STEPS = {"l1": (4,), "l2": (4,), "l3": (8,), "l4": (8,)}
RETURN_STEPS = {
    "f1": (10,),
    "f2": (10,),
    "w2": (5,),
    "w5": (7,),
    "w6-inside": (9,),
    "w6": (8,),
    "w6-told": (8,),
}
ACTIONS = ("kill", "stop", "raise")
STANDSTILL_S = 8.0
"""Longer than a worker's Kafka session, a write's deadline and the quiet period."""

SHORT = {(one, "kill") for one in ("g2", "w1-noted", "w2")}
ENDS_THE_WORKER = ("Traceback",)


async def at_a_step(work: Work, *, point: str, action: str, where: str) -> None:
    """Strike at a step while a record changes and its return is on the way."""
    lab = work.lab
    make = work.chance.choice([work.rfi, work.submittal])
    item = await make(f"{action} at {point}")
    # another record is renamed: a question that changes before its answer goes holds that answer
    renamed = await make(f"{action} at {point}, renamed")
    programs = ("gateway",) if where == "gateway" else ()
    # a later arrival is another batch, look or file of the same work
    at = work.chance.choice([1, 2]) if point in ("g1", "g2", "g3", "f1", "f2") else 1
    lab.arm(f"{point}={action}@{at}", *programs)
    files = 2 if where == "return" else 0
    if where != "return":
        await work.rename(renamed)
    _ = await work.answer(item, files=files)
    _ = await lab.until_struck(*programs)
    if where == "return":
        await work.rename(renamed)
    match action:
        case "kill":
            await lab.revive()  # the other worker may have come there at the same moment
        case "stop":
            await asyncio.sleep(STANDSTILL_S)
            await lab.revive()
        case _:
            pass
    await work.settled()


def _add_all() -> None:
    for where, steps in (
        ("gateway", GATEWAY_STEPS),
        ("notice", NOTICE_STEPS),
        ("look", LOOK_STEPS),
        ("return", RETURN_STEPS),
    ):
        for point, rows in steps.items():
            for action in ACTIONS:
                also = (56,) if action == "raise" else (33,) if action == "stop" else ()
                add(
                    Scenario(
                        name=f"{point}-{action}",
                        rows=(*rows, *also),
                        play=partial(at_a_step, point=point, action=action, where=where),
                        must=(f"{point} {action}",),
                        allows=ENDS_THE_WORKER if action == "raise" else (),
                        short=(point, action) in SHORT,
                    )
                )


_add_all()
