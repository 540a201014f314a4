"""Is one record written to too often? Pure: a loop must not fill a thread before a person sees it.

Nobody answers one record so many times in a few minutes; a program that returns in a circle does.
"""

from schemas.returns import Return
from sync_worker.outbound.holds import Hold, author_of

MOST_WRITES = 10
WRITES_WITHIN_MIN = 10
REASON = "too_many_writes"


def too_many_writes(answer: Return, record_name: str, writes: int) -> Hold | None:
    """Hold a return to a record that was written to too often; None when it may go.

    Args:
        answer: what its author finished in Part3; confirming `too_many_writes` lets it go at once.
        record_name: as people say it.
        writes: how often we sent something to that record in the last `WRITES_WITHIN_MIN` minutes.
    """
    if writes < MOST_WRITES or REASON in answer.confirmed_despite:
        return None
    return Hold(
        REASON,
        f"{record_name} was answered {writes} times from Part3 within {WRITES_WITHIN_MIN} minutes, "
        "which looks like a loop. Confirm it to send this one at once; otherwise it goes by "
        f"itself once {WRITES_WITHIN_MIN} minutes have passed with fewer than {MOST_WRITES}.",
        author_of(answer),
    )
