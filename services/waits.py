"""Who a piece of work waits for, second by second: what people and metrics are told of a delay.

A row of work keeps its `Minutes`: who took how many seconds so far, and who is waited for since. A
worker that takes it up charges what passed, and measures its own calls with `charging`. What
nobody else is known to have taken is our queue's: to be in doubt never blames another side.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

import msgspec

WaitingOn = Literal["procore", "part3", "queue", "rate_limit", "authorization", "person"]
WAITING_ON: tuple[WaitingOn, ...] = get_args(WaitingOn)
"""Procore: it told late, or did not answer. The queue is ours, with our own work in it. A person: a
return that is held, or a project that is, for another reason than a missing authorization."""

_BY_REASON: Mapping[str, WaitingOn] = {
    "rate_limited": "rate_limit",
    "procore_down": "procore",
    "procore_refused": "procore",
    "stale": "procore",
    "flipping": "procore",
    "file_unavailable": "procore",
    "outcome_unknown": "procore",
    "part3_down": "part3",
    "part3_refused": "part3",
    "not_authorized": "authorization",
    "needs_reauthorization": "authorization",
    "not_permitted": "person",
    "app_not_installed": "person",
    "file_origin_refused": "person",
    "paused": "person",
}
LASTING = ("authorization", "person")
"""They are waited for until somebody acts, whenever we look again meanwhile."""


def waiting_on(reason: str | None, *, held: bool = False) -> WaitingOn:
    """Say who is waited for by a reason code; what is held waits for a person, if for nobody else.

    Args:
        reason: of an error or a held return.
        held: whether it waits for somebody to act.
    """
    found = _BY_REASON.get(reason or "", "queue")
    return "person" if held and found not in LASTING else found


class Minutes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the time of a piece of work.

    Attributes:
        since: aware UTC; up to here all is charged.
        on: who is waited for since then.
        until: from here on it would have waited for us; None: `on` lasts until it is taken up.
        spent: seconds by who took them.
    """

    since: datetime
    on: WaitingOn = "queue"
    until: datetime | None = None
    spent: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Closed:
    """A time in which work was not taken up, and who was waited for."""

    since: datetime
    until: datetime
    on: WaitingOn


def charged(minutes: Minutes, now: datetime, closed: Iterable[Closed] = ()) -> dict[str, float]:
    """Return the seconds spent up to now, the wait since the last charge shared out."""
    spent = dict(minutes.spent)

    def charge(on: str, seconds: float) -> None:
        if seconds > 0:
            spent[on] = spent.get(on, 0.0) + seconds

    ours_from = minutes.since
    if minutes.on != "queue":
        ours_from = now if minutes.until is None else min(max(minutes.until, minutes.since), now)
        charge(minutes.on, _seconds(minutes.since, ours_from))
    for one in sorted(closed, key=lambda each: each.since):
        since, until = max(one.since, ours_from), min(one.until, now)
        if since < until:
            charge("queue", _seconds(ours_from, since))
            charge(one.on, _seconds(since, until))
            ours_from = until
    charge("queue", _seconds(ours_from, now))
    return spent


class Account:
    """The time of one piece of work while a worker is at it. Made inside the event loop.

    Args:
        minutes: as its row has them.
        began_at: when it was taken up, by the database's clock.
        tells: whether the log is told of them: a notice or a return began it.
    """

    def __init__(self, minutes: Minutes, began_at: datetime, *, tells: bool = True) -> None:
        self.tells = tells
        self._minutes = minutes
        self._known = minutes.spent
        self._began_at = began_at
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._closed: Sequence[Closed] = ()
        self._calls: dict[str, float] = {}

    def was_closed(self, *times: Closed) -> None:
        """Learn of times in which this work could not be taken up."""
        self._closed = (*self._closed, *times)

    def began_late(self, on: WaitingOn, at: datetime) -> None:
        """Charge what passed since `at` until this work was first heard of, if anything did."""
        late_s = _seconds(at, self._minutes.since)
        if late_s > 0:
            before = self._minutes.spent.get(on, 0.0)
            spent = {**self._minutes.spent, on: before + late_s}
            self._minutes = msgspec.structs.replace(self._minutes, spent=spent)

    def add(self, on: WaitingOn, seconds: float) -> None:
        """Charge seconds of a call."""
        self._calls[on] = self._calls.get(on, 0.0) + seconds

    def spent(self) -> dict[str, float]:
        """Return the seconds up to this moment, by who took them."""
        spent = charged(self._minutes, self._began_at, self._closed)
        worked_s = self._loop.time() - self._began_s
        in_calls_s = sum(self._calls.values())
        # calls beside each other took their time together
        share = min(1.0, worked_s / in_calls_s) if in_calls_s else 0.0
        for on, seconds in self._calls.items():
            spent[on] = spent.get(on, 0.0) + seconds * share
        spent["queue"] = spent.get("queue", 0.0) + max(0.0, worked_s - in_calls_s)
        return spent

    def newly_spent(self) -> dict[str, float]:
        """Return what was spent since the row was last charged."""
        before = self._known
        return {on: seconds - before.get(on, 0.0) for on, seconds in self.spent().items()}

    def ended(self, on: WaitingOn, *, until: datetime | None, wait_s: float | None) -> Minutes:
        """Return what the row keeps until it is taken up again.

        Args:
            on: who is waited for.
            until: when it is due again, or None.
            wait_s: the same as seconds from now, or None.
        """
        now = self._began_at + timedelta(seconds=self._loop.time() - self._began_s)
        if until is None and wait_s is not None:
            until = now + timedelta(seconds=wait_s)
        spent = {name: round(seconds, 3) for name, seconds in self.spent().items()}
        return Minutes(since=now, on=on, until=None if on in LASTING else until, spent=spent)


_at_work: ContextVar[tuple[Account, ...]] = ContextVar("accounts", default=())


@contextmanager
def accounting(*accounts: Account | None) -> Iterator[None]:
    """Have every call made in this block charged to these accounts."""
    token = _at_work.set(tuple(one for one in accounts if one is not None))
    try:
        yield
    finally:
        _at_work.reset(token)


@contextmanager
def charging(on: WaitingOn) -> Iterator[None]:
    """Charge the time of this block to whoever it waits for."""
    accounts = _at_work.get()
    if not accounts:
        yield
        return
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    try:
        yield
    finally:
        for account in accounts:
            account.add(on, loop.time() - began_s)


def account_at_work() -> Account | None:
    """Return the account of the piece of work that is at hand, if there is one alone."""
    accounts = _at_work.get()
    return accounts[0] if len(accounts) == 1 else None


def told() -> dict[str, dict[str, float]]:
    """Return what the log keeps of the work at hand: seconds by who took them, as `waited_s`."""
    account = account_at_work()
    if account is None or not account.tells:
        return {}
    spent = {on: round(seconds, 1) for on, seconds in account.spent().items()}
    return {"waited_s": {on: seconds for on, seconds in spent.items() if seconds}}


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()
