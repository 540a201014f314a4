"""When a receipt says that a response was given."""

from datetime import datetime, timedelta

import pytest

from schemas.returns import Receipt
from sync_worker.outbound.compose import compose
from sync_worker.outbound.read_back import response_receipt
from tests.outbound.samples import AMY_REF, AS_NOTED, NOON, answer_to, approver, submittal

MIDNIGHT = NOON.replace(hour=0)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (None, NOON),
        (NOON - timedelta(minutes=2), NOON - timedelta(minutes=2)),
        (MIDNIGHT, NOON),  # a day only, and it is today
        (MIDNIGHT - timedelta(days=1), MIDNIGHT - timedelta(days=1)),
    ],
)
def test_a_receipt_has_the_time_nearest_to_the_response(
    kept: datetime | None, said: datetime
) -> None:
    sent = compose(answer_to(submittal()), "P3-7KQ2M9XR4T")
    row = approver("301", AMY_REF, 2, response=AS_NOTED, comment=sent.body, returned_at=kept)
    receipt = response_receipt(sent, row, response=AS_NOTED, me=AMY_REF.id, files=(), read_at=NOON)
    assert isinstance(receipt, Receipt)
    assert receipt.at == said
