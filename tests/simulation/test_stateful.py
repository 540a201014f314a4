"""Hypothesis plays a history itself: people, faults and time in any order, then all works again.

The same world as `make simulate`, but what happens is chosen by Hypothesis, which makes the
shortest history that breaks an invariant and keeps it as an example.
"""

from contextlib import ExitStack

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from simulation.faults import PROFILES
from simulation.world import REPLICAS, WORKERS, World, opened_world

ACTS = (
    "return_something",
    "edit_something",
    "change_a_question",
    "add_a_file",
    "reply_as_gc",
    "close_or_reopen",
    "remove_or_restore",
    "answer_in_procore",
)


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.world: World | None = None

    @initialize(seed=st.integers(0, 999), profile=st.sampled_from(sorted(PROFILES)))
    def begin(self, seed: int, profile: str) -> None:
        self.world = self.open.enter_context(opened_world(seed, profile=profile, told=True))
        self.world.start()
        self.pass_time(5.0)

    @property
    def there(self) -> World:
        assert self.world is not None
        return self.world

    def pass_time(self, seconds: float) -> None:
        self.there.loop.run_until_complete(self.there.until(self.there.loop.now_s + seconds))

    @rule(seconds=st.sampled_from([0.2, 2.0, 20.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(act=st.sampled_from(ACTS))
    def somebody_acts(self, act: str) -> None:
        getattr(self.there.people, act)()

    @rule(which=st.integers(0, 5))
    def an_architect_takes_an_answer_back(self, which: int) -> None:
        returns = sorted(self.there.sides.part3.returns)
        if returns:
            self.there.people.withdraw(returns[which % len(returns)])

    @rule(name=st.sampled_from((*WORKERS, *REPLICAS)))
    def a_program_is_killed(self, name: str) -> None:
        process = self.there.processes.get(name)
        if process is not None:
            process.die("as Hypothesis says")

    @rule(name=st.sampled_from(WORKERS), seconds=st.sampled_from([3.0, 50.0, 130.0]))
    def a_worker_stands_still(self, name: str, seconds: float) -> None:
        process = self.there.processes.get(name)
        if process is not None and process.alive:
            process.stand_still(seconds)

    @rule(away=st.booleans())
    def postgres_goes_away_or_comes_back(self, away: bool) -> None:
        self.there.sides.database.is_down = away

    @invariant()
    def nothing_is_broken_on_the_way(self) -> None:
        if self.world is not None:
            assert self.world.history.violations == []

    def teardown(self) -> None:
        if self.world is None:
            return
        world, self.world = self.world, None
        try:
            world.loop.run_until_complete(world.end())
            assert world.history.violations == []
        finally:
            world.loop.run_until_complete(world.stop())
            self.open.close()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
