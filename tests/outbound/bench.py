"""The outbound half on fakes: one return, one record, one attempt after the other."""

from dataclasses import dataclass, field

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
from tests.outbound.samples import PROJECT

LIMITS = Limits(quiet_s=180, recheck_s=60, retry_max_s=900)


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
