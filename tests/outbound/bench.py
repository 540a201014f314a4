"""The outbound half on fakes: one return, one record, one attempt after the other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from schemas.returns import Delivery, Return
from services.procore.models import Rfi, Submittal
from sync_worker.outbound.attempt import Attempts
from sync_worker.outbound.codes import CodeBook
from sync_worker.outbound.deliver import Deliverer
from sync_worker.outbound.delivery_store import Task
from sync_worker.outbound.errand import Limits
from sync_worker.outbound.outside import Authority, ProcoreWrites
from tests.outbound.fake_procore import FakeProcore
from tests.outbound.fakes import (
    Clock,
    FakeDeliveries,
    FakeGrants,
    FakeIntents,
    FakeMemory,
    FakePart3,
    FakeUploads,
)
from tests.outbound.samples import PROJECT, answer_to, file_of, rfi, submittal

LIMITS = Limits(quiet_s=180, recheck_s=60, retry_max_s=900)
SKETCH = b"%PDF sketch"
COVER = b"%PDF cover"


@dataclass
class Bench:
    """Everything a worker has; `attempt()` is one claim and one attempt."""

    record: Rfi | Submittal
    answer: Return
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.procore = FakeProcore(self.record, self.clock)
        self.part3 = FakePart3({self.answer.id: self.answer})
        self.grants = FakeGrants()
        self.writes: ProcoreWrites = self.procore  # or the real client
        self.authority: Authority = self.grants
        self.codes = CodeBook(
            self.grants, self.part3, LIMITS.recheck_s, lambda: self.clock().timestamp()
        )
        self.intents = FakeIntents(self.clock, lease=0)
        self.uploads = FakeUploads()
        self.memory = FakeMemory.of(self.record)
        self.store = FakeDeliveries(self.clock)
        self.store.tasks[self.answer.id] = Task(
            return_id=self.answer.id, project_id=PROJECT, state="new", fence=0, attempts=0
        )
        self.store.due_at[self.answer.id] = self.clock()

    def worker(self) -> Attempts:
        self.codes.agreements, self.codes.teams = self.authority, self.part3
        deliverer = Deliverer(
            grants=self.authority,
            procore=self.writes,
            part3=self.part3,
            intents=self.intents,
            uploads=self.uploads,
            memory=self.memory,
            codes=self.codes,
            limits=LIMITS,
        )
        return Attempts(
            store=self.store,
            deliverer=deliverer,
            part3=self.part3,
            memory=self.memory,
            limits=LIMITS,
            clock=self.clock,
        )

    async def attempt(self) -> Task:
        self.clock.forward(0.001)
        task = self.store.claim(self.answer.id)
        self.intents.lease = task.fence
        await self.worker().attempt(task)
        return self.task

    async def until_due(self) -> Task:
        """Wait until it is due again, and attempt it."""
        due = self.due_in_s
        assert due is not None, "nothing is due any more"
        self.clock.forward(max(due, 0))
        return await self.attempt()

    def ask(self) -> None:
        """An event of Part3: created, confirmed or withdrawn."""
        row = self.task
        self.store.tasks[row.return_id] = type(row)(
            **{name: getattr(row, name) for name in row.__struct_fields__}
            | {"asked": row.asked + 1}
        )

    @property
    def task(self) -> Task:
        return self.store.tasks[self.answer.id]

    @property
    def due_in_s(self) -> float | None:
        due = self.store.due_at[self.answer.id]
        return None if due is None else (due - self.clock()).total_seconds()

    @property
    def told(self) -> list[str]:
        return self.part3.states(self.answer.id)

    @property
    def last_told(self) -> Delivery:
        return self.part3.reports[-1][1]


def raising_once(step: str, error: BaseException) -> Callable[[str], None]:
    """Make a fault that lets one step fail once, as it does when nobody hears an answer."""
    left = [error]

    def fault(at: str) -> None:
        if at == step and left:
            raise left.pop()

    return fault


def rfi_bench(**changes: Any) -> Bench:
    files = (file_of(SKETCH, "sketch.pdf"),)
    plain = {"files": files, "cover_page": file_of(COVER, "Cover page.pdf")}
    bench = Bench(rfi(), answer_to(rfi(), **(plain | changes)))
    bench.part3.store(SKETCH)
    bench.part3.store(COVER)
    return bench


def submittal_bench() -> Bench:
    bench = Bench(submittal(), answer_to(submittal(), cover_page=file_of(COVER, "c.pdf")))
    bench.part3.store(COVER)
    return bench


BENCHES = pytest.mark.parametrize("make", [rfi_bench, submittal_bench])
