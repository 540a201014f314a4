"""Mistakes put in on purpose: each must break an invariant within some seeds, or nothing is held.

A mistake in a statement is an answer that leaves out what the statement asks for; one in the
programs is a part of theirs that is another.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec.structs import replace as changed

from services.procore.models import Rfi
from simulation.database import ANSWERS, Database, Handler, Row
from simulation.part3 import Part3Model
from simulation.programs import LIMITS, Parts, SimulatedSpool
from simulation.world import run
from sync_worker.inbound import stored
from sync_worker.outbound import intent_store
from sync_worker.outbound.deliver import Deliverer
from sync_worker.outbound.intents import Sighting
from token_service.grants import store


class DelivererThatDoesNotLook(Deliverer):
    """Sends again after the quiet period without looking whether it is there by now."""

    async def _look_up(self, errand: Any) -> Sighting:
        return Sighting(())

    async def _record(self, errand: Any) -> Any:
        record = await super()._record(errand)
        if not isinstance(record, Rfi):
            return record
        others = tuple(one for one in record.answers or () if errand.intent.marker not in one.html)
        return changed(record, answers=others)


class NoSpool(SimulatedSpool):
    """A new pair is in memory alone until Postgres has it."""

    def write(self, lease: Any, pair: Any) -> Any:
        """Write nothing."""
        raise OSError("no disk")


def committed_first(handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let offsets be committed while the work on their records is still to be done."""
    under_way: set[asyncio.Task[None]] = set()

    async def handled(batch: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(20)
            await handle(batch)

        task = asyncio.create_task(later())
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    return handled


def arm_whatever_it_is(
    db: Database, op_key: str, fence: int, quiet_s: float, sends: int, response: Any
) -> list[Row]:
    """Arm without a fence: by whoever comes, from whatever state was read."""
    row = db.write_intents.rows[op_key]
    db.write_intents.change(
        op_key,
        state="sending",
        sends=row["sends"] + 1,
        sent_at=db.now,
        not_before=db.after(quiet_s),
        fence=max(fence, row["fence"]),
        response=response,
        changed_at=db.now,
    )
    return [{"op_key": op_key}]


def lease_always_stands(db: Database, return_id: str, fence: int) -> list[Row]:
    """Let a worker that slept through its lease go on."""
    return [{"one": 1}]


def arm_nothing(db: Database, op_key: str, *_: Any) -> list[Row]:
    """Send before anything is noted."""
    return [{"op_key": op_key}]


def read_without_time(db: Database, *key: str) -> list[Row]:
    """Forget of which time the state is that was put."""
    rows = REAL[stored.READ](db, *key)
    return [row | {"procore_updated_at": None} for row in rows]


def take_any_lease(
    db: Database, user_id: str, version: int, owner: str, lease_s: float, last_try: bool
) -> list[Row]:
    """Let whoever finds a refresh due make it."""
    row = db.grants.rows[user_id]
    db.grants.change(user_id, lease_owner=None, lease_until=None)
    rows = REAL[store.TAKE_LEASE](db, user_id, row["version"], owner, lease_s, last_try)
    db.grants.change(user_id, lease_owner=None, lease_until=None)
    return rows


REAL: Mapping[str, Handler] = dict(ANSWERS)


@dataclass(frozen=True)
class Defect:
    """One mistake, and which invariants it may break."""

    name: str
    breaks: tuple[str, ...]
    profile: str
    parts: Parts = field(default_factory=Parts)
    answers: Mapping[str, Handler] = field(default_factory=dict)
    unconditional_puts: bool = False
    shown_by: int = 1  # a seed that showed it once, and probably still does

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """Have the mistake made."""
        put = Part3Model.put
        ANSWERS.update(self.answers)
        if self.unconditional_puts:
            Part3Model.put = _put_anything(put)  # type: ignore[method-assign]
        try:
            yield
        finally:
            ANSWERS.update(REAL)
            Part3Model.put = put  # type: ignore[method-assign]


def _put_anything(put: Callable[..., Any]) -> Callable[..., Any]:
    def anything(model: Part3Model, record: Any, _if_match: str | None) -> Any:
        there = model.records.get((record.kind, record.procore_id))
        return put(model, record, there.version if there else None)

    return anything


DEFECTS = (
    Defect(
        "no quiet period",
        ("I2",),
        "calls",
        Parts(limits=replace(LIMITS, quiet_s=0.001)),
        shown_by=94,
    ),
    Defect("offsets committed before the work", ("I5",), "mild", Parts(handle=committed_first)),
    Defect(
        "a lease without a fence",
        ("I2",),
        "sleepers",
        answers={
            intent_store.ARM: arm_whatever_it_is,
            intent_store.HOLD_LEASE: lease_always_stands,
        },
        shown_by=139,
    ),
    Defect(
        "sent before it is noted",
        ("I2",),
        "calls",
        answers={intent_store.ARM: arm_nothing},
        shown_by=94,
    ),
    Defect(
        "the look-up left out",
        ("I2",),
        "calls",
        Parts(deliverer=DelivererThatDoesNotLook),
        shown_by=36,
    ),
    Defect(
        "any read accepted", ("I3",), "stale", answers={stored.READ: read_without_time}, shown_by=3
    ),
    Defect("a put without a condition", ("I3",), "calls", unconditional_puts=True, shown_by=45),
    Defect(
        "a refresh without a lease",
        ("grant",),
        "tokens",
        answers={store.TAKE_LEASE: take_any_lease},
        shown_by=21,
    ),
    Defect("a new pair in memory alone", ("grant",), "tokens", Parts(spool=NoSpool), shown_by=283),
)


def first_seed_that_shows(defect: Defect, most_seeds: int) -> int | None:
    """Return a seed in which the mistake breaks what it should; None if none of so many does."""
    with defect.put_in():
        for seed in (defect.shown_by, *range(1, most_seeds + 1)):
            outcome = run(seed, parts=defect.parts, profile=defect.profile)
            if any(one.name in defect.breaks for one in outcome.history.violations):
                return int(seed)
    return None
