"""The token service dies at each step of a refresh; storms of refreshes are tried elsewhere."""

from functools import partial

from tests.faults.notices import advance
from tests.faults.scenarios import Scenario, add
from tests.faults.workload import Work

TWO_HOURS_S = 7_200.0
"""Longer than an access token lasts: each grant's next call is refused, and refreshes it."""

ALIVE = {"r1": (44,), "r3": (42,), "r4": (42,)}
"""Steps at which nothing is lost: not sent yet, or on the disk already."""


async def _refresh(work: Work, *, point: str) -> None:
    """Die at a step of a refresh; the grant lives on, and everything arrives."""
    lab = work.lab
    item = await work.rfi(f"Refresh dies at {point}")
    await advance(lab, TWO_HOURS_S)
    lab.arm(f"{point}=kill", "token-service")
    await work.rename(item)
    _ = await lab.until_struck("token-service")
    await lab.revive()
    await work.settled()
    _ = await work.answer(item)
    await work.settled()


async def _answer_is_lost(work: Work) -> None:
    """The new pair dies with the process: its person is asked, and then everything arrives."""
    lab, site = work.lab, work.lab.site
    item = await work.rfi("Refresh dies with the answer")
    await advance(lab, TWO_HOURS_S)
    await work.rename(item)  # Dana's grant is refreshed
    await work.settled()
    lab.arm("r2=kill", "token-service")
    answer = await work.answer(item)
    _ = await lab.until_struck("token-service")
    await lab.revive()
    await site.until_return(answer.return_id, "held")
    lab.reached["asked to authorize again"] += 1
    await site.maya.authorize()  # she is still logged in to Part3
    await work.settled()


for _point, _rows in ALIVE.items():
    add(
        Scenario(
            name=f"refresh-{_point}-kill",
            rows=_rows,
            play=partial(_refresh, point=_point),
            must=(f"{_point} kill",),
            allows=("refresh.unanswered",),
        )
    )
add(
    Scenario(
        name="refresh-r2-kill",
        rows=(43,),
        play=_answer_is_lost,
        must=("r2 kill", "asked to authorize again"),
        allows=("refresh.",),
    )
)
