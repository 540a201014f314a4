"""A few faults on the real system; `make faults` plays all of them."""

import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults import catalogue
from tests.faults.lab import Lab, open_lab
from tests.faults.scenarios import play

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
    # The laboratory asks Kafka for offsets while Kafka is what it breaks; aiokafka leaves a
    # connection open whose making was cut off, and says so whenever it is collected.
    *(
        pytest.mark.filterwarnings(
            f"ignore:Exception ignored in. <function {name}:pytest.PytestUnraisableExceptionWarning"
        )
        for name in ("AIOKafkaConnection.__del__", "StreamWriter.__del__")
    ),
]

SEED = 20_261_128
SHORT = [name for name, one in catalogue.SCENARIOS.items() if one.short]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("faults")
    async with open_lab(folder, rfis=1, submittals=1) as opened:
        yield opened
    gc.collect()  # here, where it is expected, and not in another test


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SHORT)
async def test_nothing_is_lost_or_doubled_by(lab: Lab, name: str) -> None:
    outcome = await play(lab, catalogue.SCENARIOS[name], SEED)
    assert outcome.wrong == []
    assert outcome.not_reached == []
