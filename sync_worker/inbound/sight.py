"""Whether a record that Procore does not show is hidden from this reader alone.

Whoever reads a project is Admin on both tools, and an Admin sees what is private: that a record
became private is read off its own flag, and hides it in Part3 at once. A reader who is no longer
Admin gets 404 for it instead, and Part3 would go on showing it to all. Then somebody else has to
read. Source: Procore's support pages on the RFI tool's permissions, and behaviour 48 of
docs/stand-ins.md.
"""

import time
from collections.abc import Callable

from services.procore.errors import NotAllowed
from sync_worker.inbound.mirror import Reader
from sync_worker.leases import Key
from sync_worker.listing import Levels
from sync_worker.projects import NotReadable

KEPT_S = 30.0


class Sight:
    """Asks whether a reader sees everything; a yes stands for a moment, also for other records."""

    def __init__(self, procore: Levels, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._procore = procore
        self._monotonic = monotonic
        self._sure_at: dict[tuple[str, str], float] = {}

    async def make_sure(self, key: Key, reader: Reader) -> None:
        """Raise NotReadable where the reader is no Admin, so that a 404 says nothing.

        Raises:
            NotReadable: they are Admin on both tools no longer.
            TryLater, NeedsPerson, NotAllowed, NotVisible, Refused: Procore does not say.
        """
        known = (reader.project_id, reader.whose)
        if self._monotonic() - self._sure_at.get(known, -KEPT_S) < KEPT_S:
            return
        if not await self._procore.is_admin_of_both(reader.place, whose=reader.whose):
            message = f"{key.kind} {key.procore_id} is not shown, and they are not Admin any more"
            raise NotReadable(NotAllowed(message))
        self._sure_at[known] = self._monotonic()
