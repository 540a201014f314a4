"""Whatever happens at whatever step: at most one lasting effect, and never a return that is lost.

A worker dies at any call, answers get lost, Procore does things late and shows things late, Part3
goes away, grants come and go. At the end of each history everything works again, and the return
must be in Procore exactly once and reported so, or stand before a person with nothing doubled.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.errors import OutcomeUnknown, TryLater
from sync_worker.outbound.intent_store import LeaseLost
from tests.outbound.bench import LIMITS, Bench
from tests.outbound.fakes import Crash, FakeIntents, FakePart3
from tests.outbound.samples import PROCORE_IDS, answer_to, file_of, rfi, submittal

CONTENT = b"%PDF content"
STEPS = ("read", "upload", "reply", "respond", "write.lost", "write.answer", "download")
STORE_STEPS = ("plan", "arm", "disarm", "leave_unknown", "confirm", "fetch_return", "report")
ERRORS: dict[str, Callable[[], BaseException]] = {
    "crash": Crash,
    "later": lambda: TryLater("away", reason="procore_down"),
    "unknown": lambda: OutcomeUnknown("cut"),
}
LONGEST_LATE_S = LIMITS.quiet_s - 1
"""Procore executes what it still has in its queue within the quiet period, or never."""


def after(fault: Callable[[str], None], name: str, real: Any) -> Any:
    """Let a store's or Part3's method fail before or after it took effect."""

    async def method(*args: Any, **kwargs: Any) -> Any:
        fault(f"{name}:before")
        result = await real(*args, **kwargs)
        fault(f"{name}:after")
        return result

    return method


class ReturnUnderFaults(RuleBasedStateMachine):
    @initialize(kind=st.sampled_from(["rfi", "submittal"]))
    def begin(self, kind: str) -> None:
        record = rfi() if kind == "rfi" else submittal()
        answer = answer_to(record, files=(file_of(CONTENT, "a.pdf"),))
        self.bench = Bench(record, answer)
        self.bench.part3.store(CONTENT)
        self.bench.procore.fault = self.fault
        self.planned: dict[str, list[BaseException]] = {}
        for target, kind_of in ((self.bench.intents, FakeIntents), (self.bench.part3, FakePart3)):
            for name in STORE_STEPS:
                if hasattr(kind_of, name):
                    setattr(target, name, after(self.fault, name, getattr(target, name)))

    def fault(self, step: str) -> None:
        if self.planned.get(step):
            raise self.planned[step].pop()

    @rule(
        step=st.sampled_from(STEPS),
        error=st.sampled_from(["crash", "later", "unknown"]),
    )
    def procore_will_fail(self, step: str, error: str) -> None:
        if error == "unknown" and not step.startswith("write"):
            error = "later"
        if step == "write.answer" and error == "later":
            error = "unknown"  # what was done never answers as if it was not
        self.planned.setdefault(step, []).append(ERRORS[error]())

    @rule(step=st.sampled_from(STORE_STEPS), moment=st.sampled_from(["before", "after"]))
    def the_worker_will_die(self, step: str, moment: str) -> None:
        self.planned.setdefault(f"{step}:{moment}", []).append(Crash())

    @rule()
    def procore_will_execute_late(self) -> None:
        self.planned.setdefault("write.late", []).append(OutcomeUnknown("timeout"))

    @rule()
    def procore_executes_what_it_still_has(self) -> None:
        self.bench.procore.execute_late()

    @rule(reads=st.integers(1, 3))
    def procore_shows_old_reads(self, reads: int) -> None:
        self.bench.procore.stale_reads = reads

    @rule()
    def the_grant_goes(self) -> None:
        self.bench.grants.ids = {}

    @rule()
    def the_grant_comes(self) -> None:
        self.bench.grants.ids = dict(PROCORE_IDS)

    @rule(seconds=st.sampled_from([0, 1, 5, 60, 200]))
    def time_passes(self, seconds: float) -> None:
        self.forward(seconds)

    def forward(self, seconds: float) -> None:
        """Move the clock; what Procore executes late, it executes within the quiet period."""
        procore, clock = self.bench.procore, self.bench.clock
        if procore.late and procore.late_since is not None:
            left = LONGEST_LATE_S - (clock() - procore.late_since).total_seconds()
            if seconds >= left:
                clock.forward(left)
                procore.execute_late()
                seconds -= left
        clock.forward(seconds)
        procore.stale_reads = 0 if seconds >= 60 else procore.stale_reads

    @rule()
    def an_attempt(self) -> None:
        self.attempt()

    def attempt(self) -> None:
        with suppress(Crash, LeaseLost):
            asyncio.run(self.bench.attempt())

    @invariant()
    def nothing_is_doubled(self) -> None:
        if hasattr(self, "bench"):
            assert self.bench.procore.executed <= 1

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        self.planned.clear()
        self.the_grant_comes()
        for _ in range(60):
            self.forward(max(self.bench.due_in_s or 0, 2))
            self.bench.procore.stale_reads = 0
            self.attempt()
            if self.bench.due_in_s is None:
                break
        self.nothing_is_doubled()
        state = self.bench.task.state
        assert state in ("delivered", "held")
        assert self.bench.last_told.state == state
        if state == "delivered":
            assert self.bench.procore.executed == 1
            assert self.bench.last_told.receipt is not None
        else:
            assert self.bench.task.reason == "outcome_unknown"
            assert self.bench.procore.executed == 0


TestReturnUnderFaults = ReturnUnderFaults.TestCase
TestReturnUnderFaults.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
