"""The state that every operation works on: store, clock, switches, chance and files."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sandbox.procore.clock import Clock
from sandbox.procore.domain.people import Actor
from sandbox.procore.domain.rfi_model import Rfi
from sandbox.procore.domain.submittal_model import Submittal
from sandbox.procore.faults import Faults
from sandbox.procore.filebox import FileBox
from sandbox.procore.store import Kept, Store, stamp, unstamp
from sandbox.procore.switches import Switches

R = TypeVar("R", Rfi, Submittal)

FIRST_GLOBAL_ID = 10_001

reads_lag_s: ContextVar[float] = ContextVar("reads_lag_s", default=0.0)
"""How old a state the present request reads; set by the faults."""

reads_half: ContextVar[bool] = ContextVar("reads_half", default=False)
"""With a lag: only the ball in court is old, the rest is new."""


def _nobody_waits() -> None:
    """No dispatcher runs: deliveries stay in their queues."""


class World:
    """One Procore environment. Holds no connection to anybody; programs are built around it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(folder / "procore.sqlite3")
        self.files = FileBox(folder / "files")
        self.clock = self._stored_clock()
        self.random = random.Random(0)
        self.faults = Faults(self.random)
        if kept := self.store.setting("faults"):
            order = msgspec.json.decode(kept)
            self.faults.set(order["seed"], order["rules"])
        self.switches = self._stored_switches()
        self.public_url = "http://127.0.0.1"  # of pages, API and login
        self.storage_url = "http://127.0.0.1"
        self.more_file_hosts: tuple[str, ...] = ()
        self.on_delivery_due: Callable[[], None] = _nobody_waits  # the dispatcher's alarm

    def _stored_clock(self) -> Clock:
        shift, frozen = self.store.setting("clock.shift_s"), self.store.setting("clock.frozen_at")
        return Clock(shift_s=float(shift or 0), frozen_at=unstamp(frozen) if frozen else None)

    def _stored_switches(self) -> Switches:
        text = self.store.setting("switches")
        return msgspec.json.decode(text, type=Switches) if text else Switches()

    def keep_clock(self) -> None:
        self.store.keep_setting("clock.shift_s", str(self.clock.shift_s))
        self.store.keep_setting("clock.frozen_at", stamp(self.clock.frozen_at))

    def set_switches(self, switches: Switches) -> None:
        self.switches = switches
        self.store.keep_setting("switches", msgspec.json.encode(switches).decode())

    def set_faults(self, seed: int, rules: list[dict[str, Any]]) -> None:
        """Replace the rules; they outlast a restart, their counts begin anew with it."""
        self.faults.set(seed, rules)
        order = {"seed": seed, "rules": rules}
        self.store.keep_setting("faults", msgspec.json.encode(order).decode())

    def close(self) -> None:
        self.store.close()

    def now(self) -> datetime:
        return self.clock.now()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; the dispatcher is woken once it stands."""
        with self.store.transaction():
            yield
        self.on_delivery_due()

    def next_id(self, company_base: int | None = None) -> int:
        """A new id: global, or in the range of a company."""
        if company_base is None:
            return self.store.next_id("global", FIRST_GLOBAL_ID)
        return self.store.next_id(f"ids/{company_base}", company_base + 1)

    def save(self, value: Kept) -> None:
        """Write a record, keeping the state before for stale reads."""
        self.store.put(value, superseded_at=self.now())

    def seen(self, record: R) -> R | None:
        """The state of a record that the present reader gets: maybe a stale one, maybe none."""
        lag_s = reads_lag_s.get() or self.switches.stale_reads_s
        if not lag_s:
            return record
        old = self.store.at(record, self.now() - timedelta(seconds=lag_s))
        if old is None or not reads_half.get():
            return old
        return msgspec.structs.replace(record, ball_ids=old.ball_ids)

    def note_effect(
        self, actor: Actor | None, effect: str, resource: str, resource_id: object, detail: str = ""
    ) -> None:
        """Write into the ledger what was done."""
        self.store.insert(
            "effects",
            at=stamp(self.now()),
            effect=effect,
            resource=resource,
            resource_id=str(resource_id),
            user_id=actor.user_id if actor else None,
            app=actor.app if actor else None,
            call_id=actor.call_id if actor else None,
            detail=detail,
        )
