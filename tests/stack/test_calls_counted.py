"""What the mirror costs in calls on Procore, counted from its ledger."""

import pytest

from bench.calls import BINNED, COUNTED, PACE, SETTLED, all_ratios
from tests.seven_observations import OBSERVATIONS, observed_in
from tests.stack.fault_stacks import site_on
from tests.stack.stacks import running_stack

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),
]


async def test_the_mirror_keeps_its_five_ratios(kafka_bootstrap: str, database_url: str) -> None:
    async with (
        running_stack(kafka_bootstrap, database_url, workers=2, overrides=PACE) as stack,
        site_on(stack, rfis=20, submittals=90) as site,
    ):
        ratios = await all_ratios(site, pages=2, changes=6, apart_s=1.2)
        assert [str(ratio) for ratio in ratios if not ratio.holds] == []
        for beside in (COUNTED, BINNED, SETTLED):  # the same for a project of any size
            assert f" 2 {beside}" in ratios[0].beside
        called = (await site.procore_ledger())["calls"]
        counts = {name: len(calls) for name, calls in observed_in(called).items()}
        assert counts == dict.fromkeys(OBSERVATIONS, 0) | {"rate_limited": 1}  # it was asked for
        assert not [call for call in called if "called_despite_429" in (call["fault"] or "")]
