"""What to do when somebody wants a person's access token: decided from the row's values alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from token_service.grants.seal import Sealed

GrantState = Literal["authorized", "needs_reauthorization"]
UNREADABLE = "unreadable"
REFUSED_BY_PROCORE = "refused_by_procore"
OUTCOME_LOST = "refresh_outcome_lost"

RENEW_BELOW_SHARE = 1 / 3
"""Early, so that the old access token still serves if the new pair is lost on its way."""
LAST_TRY_BELOW_SHARE = 1 / 18
LAST_TRY_BELOW_S = 300.0
"""After a refresh without an answer the old access token is used until this close to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One person's grant as its row was read. Durations are seconds by the database's clock.

    Attributes:
        version: changes when, and only when, the stored pair does.
        lasts_s: how long the access token lasts in all.
        seconds_left: until it ends; negative once it has.
        lease_left_s: until the lease of whoever refreshes ends, None when nobody does.
        outcome_unknown: a refresh of this very pair was sent and never answered.
        last_try_made: its refresh token was sent one time more after that.
        wait_s: until Procore may be asked for a new pair again.
    """

    user_id: str
    procore_user_id: str
    procore_login: str
    procore_name: str
    state: GrantState
    reason: str | None
    version: int
    access: Sealed
    refresh: Sealed
    access_fingerprint: str
    lasts_s: float
    seconds_left: float
    expires_at: datetime
    authorized_at: datetime
    attempt: int = 0
    lease_left_s: float | None = None
    outcome_unknown: bool = False
    last_try_made: bool = False
    wait_s: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether the access token has not ended."""
        return self.seconds_left > 0


@dataclass(frozen=True, slots=True)
class UseStored:
    """Hand out the stored access token."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Get a new pair first.

    Attributes:
        last_try: an earlier refresh of this pair was never answered; nothing is left to lose.
        stored_serves: the stored access token may go out if the new one is long in coming.
    """

    last_try: bool
    stored_serves: bool


@dataclass(frozen=True, slots=True)
class AwaitOther:
    """Somebody refreshes now; read the row again soon."""

    stored_serves: bool


@dataclass(frozen=True, slots=True)
class SettleLost:
    """A refresh began and nobody ever wrote down how it ended: note its outcome as unknown."""


@dataclass(frozen=True, slots=True)
class TooSoon:
    """Procore was away or asked to wait, and the stored access token is of no use."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Lost:
    """Only the person can mend it. `newly` tells a reason that has to be written down first."""

    newly: str | None = None


@dataclass(frozen=True, slots=True)
class TryToOpen:
    """Its seal did not open earlier; perhaps the key is back."""


Step: TypeAlias = UseStored | Renew | AwaitOther | SettleLost | TooSoon | Lost | TryToOpen


def next_step(grant: Grant, rejected: str | None) -> Step:
    """Say what to do for whoever asks for the access token.

    Args:
        grant: the row as it is now.
        rejected: SHA-256, hex, of an access token that Procore answered with 401.
    """
    if grant.state == "needs_reauthorization":
        return TryToOpen() if grant.reason == UNREADABLE else Lost()
    is_rejected = rejected == grant.access_fingerprint
    serves = grant.usable and not is_rejected
    if grant.lease_left_s is not None and grant.lease_left_s <= 0:
        return SettleLost()
    if grant.outcome_unknown and grant.lease_left_s is None:
        return _after_unknown(grant, serves=serves)
    if serves and not _is_due(grant):
        return UseStored()
    if grant.lease_left_s is not None:
        return AwaitOther(serves)
    return _renew(grant, last_try=False, serves=serves)


def _renew(grant: Grant, *, last_try: bool, serves: bool) -> Step:
    if grant.wait_s > 0:
        return UseStored() if serves else TooSoon(grant.wait_s)
    return Renew(last_try, serves)


def _after_unknown(grant: Grant, *, serves: bool) -> Step:
    last_try_below_s = min(LAST_TRY_BELOW_S, grant.lasts_s * LAST_TRY_BELOW_SHARE)
    if serves and grant.seconds_left > last_try_below_s:
        return UseStored()
    if grant.last_try_made:
        return UseStored() if serves else Lost(newly=OUTCOME_LOST)
    return _renew(grant, last_try=True, serves=serves)


def _is_due(grant: Grant) -> bool:
    return grant.seconds_left < grant.lasts_s * RENEW_BELOW_SHARE
