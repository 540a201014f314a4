"""Where a delivery stands after one attempt, and when it is tried again."""

import random
from datetime import datetime

import msgspec

from schemas.records import Person
from schemas.returns import Delivery, DeliveryState, Receipt
from services.errors import NeedsPerson, TryLater
from sync_worker.outbound.holds import Hold

FIRST_RETRY_S = 2.0


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery's state with its words, and what is due next.

    `again_at` (aware UTC) or `again_in_s`, or neither: delivered and failed are done once Part3
    has been told.
    """

    state: DeliveryState
    reason: str | None = None
    message: str | None = None
    mended_by: Person | None = None
    receipt: Receipt | None = None
    again_at: datetime | None = None
    again_in_s: float | None = None

    @property
    def is_final(self) -> bool:
        """Tell whether nothing is left but to report it."""
        return self.state in ("delivered", "failed")

    def report(self, as_of: datetime) -> Delivery:
        """Return it as Part3 is told."""
        return Delivery(
            state=self.state,
            as_of=as_of,
            reason=self.reason,
            message=self.message,
            mended_by=self.mended_by,
            receipt=self.receipt,
        )


def held(hold: Hold, *, recheck_s: float) -> Standing:
    """Wait for a person; look every `recheck_s` whether the cause is gone."""
    return Standing(
        state="held",
        reason=hold.reason,
        message=hold.message,
        mended_by=hold.mended_by,
        again_in_s=recheck_s,
    )


def held_for(error: NeedsPerson, *, recheck_s: float) -> Standing:
    """Wait for the person an error names."""
    hold = Hold(error.reason, str(error), error.mended_by)
    return held(hold, recheck_s=recheck_s)


def waiting_for(error: TryLater, *, attempts: int, longest_s: float, chance: float) -> Standing:
    """Wait as long as the other side asked, else back off.

    Args:
        error: why it does not work now.
        attempts: how often it was tried since it last got on.
        longest_s: longest back-off.
        chance: from 0 to 1, spreads those who fail together.
    """
    pause = min(longest_s, FIRST_RETRY_S * 2 ** min(attempts - 1, 30))
    return Standing(
        state="waiting",
        reason=error.reason,
        message=str(error),
        again_at=error.not_before,
        again_in_s=pause * (0.5 + chance / 2) if error.not_before is None else None,
    )


def chance() -> float:
    """Return the chance for one back-off."""
    return random.random()  # noqa: S311 - spreads retries, guards nothing


def withdrawn() -> Standing:
    """Its author took it back before anything was sent."""
    return Standing(
        state="failed",
        reason="withdrawn",
        message="Withdrawn by its author. Nothing was sent to Procore.",
    )


def in_doubt(at: datetime) -> Standing:
    """Procore did not say whether it arrived."""
    return Standing(
        state="waiting",
        reason="outcome_unknown",
        message="Procore did not say whether this return arrived. It is being looked for there, "
        "and goes again only if it is surely absent.",
        again_at=at,
    )
