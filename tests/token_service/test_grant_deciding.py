from datetime import UTC, datetime
from typing import Any

import pytest

from token_service.grants.deciding import (
    OUTCOME_LOST,
    UNREADABLE,
    AwaitOther,
    Grant,
    Lost,
    Renew,
    SettleLost,
    Step,
    TooSoon,
    TryToOpen,
    UseStored,
    next_step,
)
from token_service.grants.seal import Sealed

HASH = "a" * 64
RENEW, LAST_TRY = (
    Renew(last_try=False, stored_serves=True),
    Renew(last_try=True, stored_serves=True),
)
RENEW_OR_NOTHING = Renew(last_try=False, stored_serves=False)
UNKNOWN: dict[str, Any] = {"outcome_unknown": True}


def grant(**changed: Any) -> Grant:
    values: dict[str, Any] = {
        "user_id": "u1",
        "procore_user_id": "501",
        "procore_login": "a@b",
        "procore_name": "A",
        "state": "authorized",
        "reason": None,
        "version": 3,
        "access": Sealed("k", b""),
        "refresh": Sealed("k", b""),
        "access_fingerprint": HASH,
        "lasts_s": 5400.0,
        "seconds_left": 5000.0,
        "expires_at": datetime(2026, 11, 24, tzinfo=UTC),
        "authorized_at": datetime(2026, 11, 24, tzinfo=UTC),
    }
    return Grant(**(values | changed))


CASES: list[tuple[dict[str, Any], str | None, Step]] = [
    # fresh enough: more than a third is left
    ({}, None, UseStored()),
    ({"seconds_left": 1800.0}, None, UseStored()),
    ({"seconds_left": 1799.9}, None, RENEW),
    ({"seconds_left": -1.0}, None, RENEW_OR_NOTHING),
    # rejected: only the very token that is stored
    ({}, HASH, RENEW_OR_NOTHING),
    ({}, "b" * 64, UseStored()),
    # somebody refreshes now
    ({"lease_left_s": 60.0}, None, UseStored()),
    ({"lease_left_s": 60.0, "seconds_left": 900.0}, None, AwaitOther(stored_serves=True)),
    ({"lease_left_s": 60.0, "seconds_left": -5.0}, None, AwaitOther(stored_serves=False)),
    ({"lease_left_s": 60.0}, HASH, AwaitOther(stored_serves=False)),
    (
        {"lease_left_s": 60.0, "seconds_left": 200.0, **UNKNOWN},
        None,
        AwaitOther(stored_serves=True),
    ),
    # a refresh began and nobody said how it ended
    ({"lease_left_s": 0.0}, None, SettleLost()),
    ({"lease_left_s": -90.0, "seconds_left": 900.0}, HASH, SettleLost()),
    # sent and never answered: the old token is used until it is nearly over, then one last try
    ({"seconds_left": 900.0, **UNKNOWN}, None, UseStored()),
    ({"seconds_left": 301.0, **UNKNOWN}, None, UseStored()),
    ({"seconds_left": 299.0, **UNKNOWN}, None, LAST_TRY),
    ({"seconds_left": 900.0, **UNKNOWN}, HASH, Renew(last_try=True, stored_serves=False)),
    ({"seconds_left": 20.0, "lasts_s": 900.0, **UNKNOWN}, None, LAST_TRY),
    ({"seconds_left": 60.0, "lasts_s": 900.0, **UNKNOWN}, None, UseStored()),
    ({"seconds_left": 200.0, "last_try_made": True, **UNKNOWN}, None, UseStored()),
    ({"seconds_left": -1.0, "last_try_made": True, **UNKNOWN}, None, Lost(newly=OUTCOME_LOST)),
    ({"last_try_made": True, **UNKNOWN}, HASH, Lost(newly=OUTCOME_LOST)),
    # Procore asked to wait
    ({"seconds_left": 900.0, "wait_s": 20.0}, None, UseStored()),
    ({"seconds_left": -1.0, "wait_s": 20.0}, None, TooSoon(20.0)),
    ({"seconds_left": 200.0, "wait_s": 20.0, **UNKNOWN}, HASH, TooSoon(20.0)),
    # only the person can mend it
    ({"state": "needs_reauthorization", "reason": "refused_by_procore"}, None, Lost()),
    ({"state": "needs_reauthorization", "reason": UNREADABLE}, None, TryToOpen()),
]


@pytest.mark.parametrize(("changed", "rejected", "expected"), CASES)
def test_next_step(changed: dict[str, Any], rejected: str | None, expected: Step) -> None:
    assert next_step(grant(**changed), rejected) == expected
