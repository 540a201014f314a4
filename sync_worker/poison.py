"""When too many records of a topic cannot be read: then it is us, and setting all aside hides it.

One record that nobody can read is set aside with its cause and keeps nobody waiting. Many in a row
mean that this worker is of the wrong version, or a writer is: the intake of those records stops,
they stay in Kafka for a worker that can read them, and the program says that it is not ready.
"""

from collections import deque
from collections.abc import Sequence

from services.errors import TryLater

MOST_POISON = 20
RECENT = 200
"""Of so many records of a topic, more than the limit may not be unreadable."""


class TooMuchPoison(TryLater):
    """The intake of a topic has stopped at records that cannot be read."""

    def __init__(self, topic: str, found: int, limit: int) -> None:
        super().__init__(
            f"{found} of the last {RECENT} records of {topic} cannot be read; more than {limit} "
            "are not set aside: deploy a version that reads them, or set POISON_LIMIT=0",
            reason="poison",
        )


class PoisonLimit:
    """Counts what was unreadable lately, topic by topic.

    Args:
        limit: how many of the last 200 records of a topic are set aside; 0 for however many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._recent: dict[str, deque[bool]] = {}

    def check(self, topic: str, unreadable: Sequence[bool]) -> None:
        """Raise TooMuchPoison when these records are more than may be set aside.

        Nothing is counted yet: a batch that is repeated counts once, see `count`.
        """
        if not self._limit or not any(unreadable):
            return
        found = sum([*self._recent.get(topic, ()), *unreadable][-RECENT:])
        if found > self._limit:
            raise TooMuchPoison(topic, found, self._limit)

    def count(self, topic: str, unreadable: Sequence[bool]) -> None:
        """Remember records that were taken."""
        self._recent.setdefault(topic, deque(maxlen=RECENT)).extend(unreadable)
