"""Who took a record's minutes: each side, the limit and the grant is charged what it took alone."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.errors import TryLater
from services.metrics import Metrics
from services.procore.errors import GrantRefused
from services.procore.pacer import Pacer, Priority
from services.waits import (
    Account,
    Closed,
    Minutes,
    WaitingOn,
    accounting,
    charged,
    charging,
    told,
    waiting_on,
)
from sync_worker.inbound.pausing import IN_A_ROW, LONGEST_PAUSE_S, Pauses
from sync_worker.measures import HELD_REASONS, CountedLooks, Measures
from tests.minutes import SLOW_S, about, charged_to, ten_minutes_pass
from tests.worker.bench import Bench
from tests.worker.sides import OWNER, PROJECT, rfi_json

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


@pytest.mark.parametrize(
    ("minutes", "closed", "spent"),
    [
        (Minutes(since=NOON), (), {"queue": 600}),
        (Minutes(since=NOON, on="part3", until=at(4)), (), {"part3": 240, "queue": 360}),
        (Minutes(since=NOON, on="part3", until=at(12)), (), {"part3": 600}),
        (Minutes(since=NOON, on="authorization"), (), {"authorization": 600}),
        (
            Minutes(since=NOON, spent={"queue": 5.0, "procore": 1.0}),
            (Closed(at(2), at(5), "procore"), Closed(at(4), at(30), "authorization")),
            {"queue": 125, "procore": 181, "authorization": 300},
        ),
        (
            Minutes(since=NOON, on="rate_limit", until=at(3)),
            (Closed(at(-9), at(-1), "part3"), Closed(at(1), at(4), "part3")),
            {"rate_limit": 180, "part3": 60, "queue": 360},
        ),
    ],
)
def test_a_wait_is_charged_to_whom_it_was_for(
    minutes: Minutes, closed: tuple[Closed, ...], spent: Mapping[str, float]
) -> None:
    assert charged(minutes, at(10), closed) == spent
    assert sum(spent.values()) == 600 + sum(minutes.spent.values())


def test_every_reason_of_a_held_return_is_a_person_or_a_missing_authorization() -> None:
    missing = {"not_authorized", "needs_reauthorization"}
    for reason in HELD_REASONS:
        expected = "authorization" if reason in missing else "person"
        assert waiting_on(reason, held=True) == expected
    assert waiting_on("a new reason") == "queue"


async def test_calls_beside_each_other_take_their_time_together() -> None:
    loop = asyncio.get_running_loop()
    began_s, account = loop.time(), Account(Minutes(since=NOON), NOON)

    async def call(on: WaitingOn) -> None:
        with charging(on):
            await asyncio.sleep(0.05)

    with accounting(account):
        await asyncio.gather(*(call("procore") for _ in range(4)))
        await call("part3")
    spent = account.spent()
    assert sum(spent.values()) <= loop.time() - began_s
    assert spent["procore"] > spent["part3"] > 0


async def test_what_nobody_asked_for_tells_nothing() -> None:
    assert told() == {}
    with accounting(Account(Minutes(since=NOON), at(1), tells=False)):
        assert told() == {}
    with accounting(Account(Minutes(since=NOON), at(1))):
        assert told()["waited_s"]["queue"] == about(60)


def test_looks_that_were_not_taken_up_know_which_side_was_away() -> None:
    now = [0.0]
    pauses = Pauses(now=lambda: now[0])
    away = TryLater("away", reason="part3_down")
    for second in range(IN_A_ROW + 3):
        now[0] = 10.0 * second
        pauses.note("prj_1", 1, away)
    now[0] += 1.0
    pauses.note_success()
    (outage,) = pauses.taken("prj_2")
    assert outage.on == "part3"
    assert outage.since.timestamp() == 10.0 * (IN_A_ROW - 1)
    assert outage.until.timestamp() == now[0]


def test_a_limit_met_in_an_outage_does_not_prolong_it() -> None:
    now = [0.0]
    pauses = Pauses(now=lambda: now[0])
    for _ in range(IN_A_ROW + 2):
        pauses.note("prj_1", 1, TryLater("away", reason="part3_down"))
    until = datetime.fromtimestamp(160, UTC)
    pauses.note("prj_1", 1, TryLater("wait", reason="rate_limited", not_before=until))
    now[0] = 1.0
    pauses.note_success()
    (outage,) = pauses.taken("prj_2")
    assert outage.until.timestamp() == now[0]


async def test_a_call_that_waits_for_procores_limit_says_so_and_one_behind_ours_does_not() -> None:
    pacer, limited, behind = Pacer(), Account(Minutes(since=NOON), NOON), None
    with accounting(limited):
        pacer.learn(0.05, Priority.LOOK)
        async with pacer.turn(Priority.LOOK), pacer.turn(Priority.LOOK):
            behind = Account(Minutes(since=NOON), NOON)
            with accounting(behind):
                waiting = asyncio.create_task(pacer.turn(Priority.LOOK).__aenter__())
            await asyncio.sleep(0.01)
        await waiting
    assert limited.spent()["rate_limit"] > 0
    assert set(behind.spent()) == {"queue"}


def test_an_outage_of_days_goes_on_pausing() -> None:
    pauses = Pauses(now=lambda: 0.0)
    for _ in range(3_000):
        pauses.note("prj_1", 1, TryLater("away", reason="procore_down"))
    assert pauses.closed_s() == LONGEST_PAUSE_S


def test_a_limit_is_the_limit_of_its_project_alone() -> None:
    pauses = Pauses(now=lambda: 100.0)
    until = datetime.fromtimestamp(160, UTC)
    pauses.note("prj_1", 1, TryLater("wait", reason="rate_limited", not_before=until))
    assert [one.on for one in pauses.taken("prj_1")] == ["rate_limit"]
    assert pauses.taken("prj_2") == []


# The same with the rows of a real database: each of them happens to one look.

NOTICED = """
INSERT INTO mirror.looks (project_id, kind, procore_id, due_at, priority, first_moment,
  last_moment, arrived_at, first_asked_at)
SELECT $1, 'rfi', '1', now(), 1, moment, moment, moment + make_interval(secs => $2::float8),
  moment + make_interval(secs => $2::float8)
FROM (SELECT now() - make_interval(secs => $2::float8 + $3::float8) AS moment) AS changed
"""


class Watched:
    """A bench whose looks are measured."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.metrics = bench, Metrics()
        measures = Measures(self.metrics, bench.postgres)
        bench.worker.looks = CountedLooks(bench.postgres, "w-1", measures=measures, retry_max_s=1.0)
        bench.worker._begin_anew()

    async def noticed(self, *, late_s: float = 0.0, ago_s: float = 0.0) -> None:
        await self.bench.connect()
        self.bench.procore.hold("rfi", rfi_json(1))
        await self.bench.postgres.execute(NOTICED, PROJECT, late_s, ago_s)

    async def looked(self) -> dict[str, float]:
        """Have all looked at, and return what the log says of who took it."""
        async with self.bench.worker.running(sweeping=False):
            await self.bench.until(self.bench.nothing_to_look_at)
        row = await self.bench.row("activity", event="record.mirrored")
        waited: dict[str, float] = row["detail"]["waited_s"]
        return waited

    async def failed_once(self) -> None:
        async def has_failed() -> bool:
            return any(row["reason"] for row in await self.bench.rows("looks"))

        async with self.bench.worker.running(sweeping=False):
            await self.bench.until(has_failed)
        for hooks in (self.bench.procore.on, self.bench.part3.on):
            hooks.clear()

    def counted(self, on: str) -> float:
        return charged_to(self.metrics, "look", on)


@pytest.fixture
def watched(bench: Bench) -> Watched:
    return Watched(bench)


def failing(error: Exception) -> Any:
    def fail(*_: Any) -> None:
        raise error

    return fail


@pytest.mark.postgres
async def test_a_notice_that_comes_late_is_procores_and_its_wait_here_is_ours(
    watched: Watched,
) -> None:
    await watched.noticed(late_s=300, ago_s=200)
    waited = await watched.looked()
    assert waited["procore"] == about(300)
    assert waited["queue"] == about(200)
    assert watched.counted("procore") == about(300)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("side", "reason", "on"),
    [
        ("procore", "procore_down", "procore"),
        ("part3", "part3_down", "part3"),
        ("procore", "rate_limited", "rate_limit"),
    ],
)
async def test_what_failed_for_now_waits_for_that_side_until_it_is_due(
    watched: Watched, side: str, reason: str, on: str
) -> None:
    await watched.noticed()
    hooks = watched.bench.procore.on if side == "procore" else watched.bench.part3.on
    hooks["rfi" if side == "procore" else "put"] = failing(TryLater("away", reason=reason))
    await watched.failed_once()
    await ten_minutes_pass(watched.bench.postgres, "looks", due_since_s=240)
    waited = await watched.looked()
    assert waited[on] == about(360)  # due again after 6 minutes
    assert waited["queue"] == about(240)  # and then nobody took it up
    assert watched.counted(on) == about(360)


@pytest.mark.postgres
async def test_a_missing_authorization_is_waited_for_until_it_is_given(watched: Watched) -> None:
    await watched.noticed()
    refused = GrantRefused(OWNER, reason="needs_reauthorization")
    watched.bench.procore.on["rfi"] = failing(refused)
    await watched.failed_once()
    await ten_minutes_pass(watched.bench.postgres, "looks")
    await watched.bench.postgres.execute(
        "UPDATE mirror.projects SET attention_since = now() - interval '10 minutes'"
    )
    await watched.bench.postgres.execute(NEVER_TAKEN_UP, PROJECT)
    watched.bench.procore.hold("rfi", rfi_json(1), rfi_json(2))
    assert await watched.bench.worker.readers.probe()
    async with watched.bench.worker.running(sweeping=False):
        await watched.bench.until(watched.bench.nothing_to_look_at)
    for record_id in ("1", "2"):
        row = await watched.bench.row("activity", event="record.mirrored", procore_id=record_id)
        waited = row["detail"]["waited_s"]
        assert waited["authorization"] == about(600), record_id
        assert waited.get("queue", 0) < SLOW_S, record_id


NEVER_TAKEN_UP = """
INSERT INTO mirror.looks (project_id, kind, procore_id, due_at, priority, first_moment,
  last_moment, arrived_at, first_asked_at)
SELECT $1, 'rfi', '2', now(), 1, m, m, m, m FROM (SELECT now() - interval '10 minutes' AS m) AS one
"""


@pytest.mark.postgres
async def test_a_paused_project_waits_for_a_person(watched: Watched) -> None:
    await watched.noticed(ago_s=600)
    paused = datetime.now(UTC) - timedelta(seconds=600)
    await watched.bench.postgres.execute(
        "UPDATE mirror.projects SET state = 'paused', connection_updated_at = $1", paused
    )
    await watched.bench.connect(connected_at=paused)
    waited = await watched.looked()
    assert waited["person"] == about(600)


@pytest.mark.postgres
async def test_what_is_asked_for_meanwhile_begins_its_own_minutes(watched: Watched) -> None:
    await watched.noticed(late_s=300, ago_s=600)

    def change_meanwhile(*_: Any) -> Any:
        watched.bench.procore.on.clear()
        watched.bench.procore.hold("rfi", rfi_json(1, subject="New"))
        return watched.bench.want("rfi", "1")

    watched.bench.part3.on["put"] = change_meanwhile
    async with watched.bench.worker.running(sweeping=False):
        await watched.bench.until(watched.bench.nothing_to_look_at)
    assert watched.counted("queue") == about(600)
    # a sweep asked again, and of no newer change: Procore was late once
    assert watched.counted("procore") == about(300)
