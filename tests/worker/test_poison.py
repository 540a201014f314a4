"""Few records that cannot be read are set aside; many stop the intake of their topic."""

from datetime import UTC, datetime

import pytest

from schemas.notices import PART3_NOTICES, PROCORE_NOTICES
from services.kafka import ConsumedRecord
from services.postgres import Postgres
from sync_worker.consume import Intake, Wakers
from sync_worker.poison import RECENT, PoisonLimit, TooMuchPoison

LIMIT = 20


def test_so_many_are_set_aside_and_no_more() -> None:
    poison = PoisonLimit(LIMIT)
    poison.check(PROCORE_NOTICES, [True] * LIMIT)
    with pytest.raises(TooMuchPoison, match="21 of the last 200 records of procore"):
        poison.check(PROCORE_NOTICES, [True] * (LIMIT + 1))


def test_they_add_up_over_batches_of_one_topic() -> None:
    poison = PoisonLimit(LIMIT)
    for _ in range(LIMIT):
        poison.count(PROCORE_NOTICES, [True, False, False])
    with pytest.raises(TooMuchPoison):
        poison.check(PROCORE_NOTICES, [False, True])
    poison.check(PROCORE_NOTICES, [False] * 50)  # what can be read is never refused
    poison.check(PART3_NOTICES, [True])


def test_what_lies_long_behind_is_forgotten() -> None:
    poison = PoisonLimit(LIMIT)
    poison.count(PROCORE_NOTICES, [True] * LIMIT)
    poison.count(PROCORE_NOTICES, [False] * RECENT)
    poison.check(PROCORE_NOTICES, [True] * LIMIT)


def test_a_limit_of_none_sets_everything_aside() -> None:
    PoisonLimit(0).check(PROCORE_NOTICES, [True] * RECENT)


async def test_a_batch_that_is_refused_buries_nothing_and_is_refused_again() -> None:
    buried: list[ConsumedRecord] = []

    async def bury(record: ConsumedRecord, _cause: str) -> None:
        buried.append(record)

    async def learn(_project_id: str) -> None:
        raise AssertionError

    def nobody() -> None:
        return

    intake = Intake(
        postgres=Postgres.__new__(Postgres),  # never asked
        bury=bury,
        wakers=Wakers(nobody, nobody, nobody),
        look_delay_s=1.0,
        learn=learn,
    )
    batch = [
        ConsumedRecord(
            topic=PROCORE_NOTICES,
            partition=0,
            offset=offset,
            key=b"prj_1",
            value=b'{"version": 99}',
            headers={},
            written_at=datetime.now(UTC),
        )
        for offset in range(LIMIT + 1)
    ]
    for _ in range(3):
        with pytest.raises(TooMuchPoison):
            await intake.handle(batch)
    assert buried == []
