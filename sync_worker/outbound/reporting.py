"""Telling Part3 where a return stands: what is news, once, and never backwards."""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from msgspec.structs import replace

from schemas.returns import Delivery, Return
from services.errors import TryLater
from services.part3.client import Part3Refused
from sync_worker.outbound.delivery_store import Task
from sync_worker.outbound.outside import Part3Returns
from sync_worker.outbound.standing import Standing

log = structlog.get_logger()

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reporter:
    """What Part3 is told during one attempt.

    Attributes:
        told: what Part3 acknowledged during this attempt, or None.
    """

    def __init__(self, task: Task, part3: Part3Returns, clock: Callable[[], datetime]) -> None:
        self._task = task
        self._part3 = part3
        self._clock = clock
        self.told: Delivery | None = None
        self._in_doubt = False

    def is_news(self, standing: Standing, answer: Return | None) -> bool:
        """Tell whether Part3 does not know it yet."""
        if answer is not None and answer.state in ("delivered", "failed"):
            return False
        known = self.told or self._task.reported
        if self._in_doubt or known is None or replace(known, as_of=EPOCH) != standing.report(EPOCH):
            return True
        # confirmed since: Part3 shows it as pending, so it hears again that it is held
        return standing.state == "held" and self._task.asked > self._task.reported_asked

    async def tell(self, standing: Standing) -> bool:
        """Report; False while Part3 does not take it, and it has to be told again."""
        report = standing.report(self._clock())
        try:
            await self._part3.report(self._task.project_id, self._task.return_id, report)
        except TryLater as error:
            log.info("return.not_reported", return_id=self._task.return_id, why=str(error))
            self._in_doubt = True  # it may have arrived, so what Part3 shows is not known
            return False
        except Part3Refused as error:
            # it holds another final report, or does not know the return: again would be noise
            log.warning("return.report_refused", return_id=self._task.return_id, why=str(error))
        self.told, self._in_doubt = report, False
        return True
