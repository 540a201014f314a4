"""What is owed to Postgres is paid once it is back, in order, and each of it once."""

import pytest

from services.errors import TryLater
from sync_worker.keeping import Owed


async def test_what_is_owed_is_paid_once_postgres_is_back() -> None:
    owed, paid = Owed(), []
    away = True

    async def give_back(what: str) -> None:
        if away and what == "b":
            raise TryLater("away", reason="postgres_down")
        paid.append(what)

    for what in "abc":
        owed.add(lambda what=what: give_back(what))  # type: ignore[misc] # bound per turn
    with pytest.raises(TryLater):
        await owed.pay()
    away = False
    await owed.pay()
    await owed.pay()
    assert paid == ["a", "b", "c"]
