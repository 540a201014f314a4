"""What lies in Procore's recycle bins, remembered for a moment.

Somebody who deletes fifty records at once costs one listing of the bin, not fifty.
"""

import time
from collections.abc import Callable

from schemas.records import Kind
from sync_worker.inbound.mirror import Reader
from sync_worker.leases import Key
from sync_worker.listing import Bins

KEPT_S = 30.0


class RecycleBins:
    """Answers whether a record that Procore does not show lies in the bin."""

    def __init__(self, procore: Bins, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._procore = procore
        self._monotonic = monotonic
        self._seen: dict[tuple[str, Kind], tuple[float, frozenset[str]]] = {}

    async def around(self, key: Key, reader: Reader) -> frozenset[str] | None:
        """Return what lies in the bin with a record, or None; only that it does is remembered."""
        read_at, ids = self._seen.get((key.project_id, key.kind), (0.0, frozenset()))
        if key.procore_id in ids and self._monotonic() - read_at < KEPT_S:
            return ids
        ids = await self._procore.recycled(key.kind, reader.place, whose=reader.whose)
        self._seen[key.project_id, key.kind] = (self._monotonic(), ids)
        return ids if key.procore_id in ids else None
