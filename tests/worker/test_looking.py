"""Looks: gathered, shared out among projects, never lost, and tried again with a reason."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.errors import TryLater
from services.procore.errors import NotAllowed, Refused
from sync_worker.inbound import look_store, looking
from sync_worker.inbound.look_store import Look, Room
from sync_worker.inbound.looking import BACKFILLS_AT_ONCE, PER_PROJECT
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, later, rfi_json, submittal_json

pytestmark = pytest.mark.postgres


async def test_submittals_that_are_due_together_cost_one_call(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("submittal", *(submittal_json(n) for n in range(1, 21)))
    await bench.looked("submittal", *(str(n) for n in range(1, 21)))
    assert bench.procore.asked("submittals") == [sorted(str(n) for n in range(1, 21))]
    assert len(bench.part3.held) == 20


async def test_one_project_leaves_room_for_the_others(bench: Bench) -> None:
    await bench.connect()
    await bench.connect("prj_2", procore_project_id="502")
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(1, 31)))
    let_go = asyncio.Event()
    bench.procore.on["rfi"] = lambda what, _: let_go.wait() if what != "30" else None
    await bench.want("rfi", *(str(n) for n in range(1, 30)))
    await bench.worker.looks.want("prj_2", "rfi", ["30"], 1)
    async with bench.worker.running(sweeping=False):

        async def other_came() -> bool:
            return bench.shown("rfi", "30") is not None

        await bench.until(other_came)
        assert len(set(bench.procore.asked("rfi"))) == PER_PROJECT + 1
        let_go.set()
        await bench.until(bench.nothing_to_look_at)


async def test_backfills_of_many_projects_leave_room_for_a_notice(bench: Bench) -> None:
    for n in range(1, 9):
        await bench.connect(f"prj_{n}", procore_project_id=str(n))
        await bench.worker.looks.want(f"prj_{n}", "rfi", ["1", "2", "3", "4"], 3)
    bench.procore.hold("rfi", *(rfi_json(n) for n in (1, 2, 3, 4, 77)))
    let_go = asyncio.Event()
    bench.procore.on["rfi"] = lambda what, _: let_go.wait() if what != "77" else None
    async with bench.worker.running(sweeping=False):

        async def full() -> bool:
            return len(bench.procore.asked("rfi")) == BACKFILLS_AT_ONCE

        await bench.until(full)
        await bench.want("rfi", "77")

        async def came() -> bool:
            return bench.shown("rfi", "77") is not None

        await bench.until(came)
        let_go.set()
        await bench.until(bench.nothing_to_look_at)


async def test_what_is_asked_for_while_a_look_is_under_way_is_looked_at_again(
    bench: Bench,
) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1, files=[5]))
    asked: list[int] = []

    def change_meanwhile(*_: Any) -> Any:
        if asked:
            return None
        asked.append(1)
        bench.procore.hold("rfi", rfi_json(1, files=[5], subject="New", updated_at=later(9)))
        return bench.want("rfi", "1")

    bench.procore.on["download"] = change_meanwhile
    await bench.looked("rfi", "1")
    assert bench.shown("rfi", "1").title == "New"
    assert bench.procore.asked("rfi") == ["1", "1"]


async def test_an_older_state_is_never_put_over_a_newer_one(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1, subject="Newer", updated_at=later(60)))
    await bench.looked("rfi", "1")
    stale = rfi_json(1, subject="Older")
    newest = rfi_json(1, subject="Newest", updated_at=later(90))
    answers = iter([stale, stale, newest])
    bench.procore.on["rfi"] = lambda *_: bench.procore.hold("rfi", next(answers))
    await bench.looked("rfi", "1")
    assert bench.shown("rfi", "1").title == "Newest"
    titles = [row["title"] for row in await bench.rows("activity") if row["title"]]
    assert titles == ["Newer", "Newest"]


async def test_of_two_states_of_one_second_the_earlier_never_comes_back(bench: Bench) -> None:
    await bench.connect()
    older, newer = rfi_json(1, subject="Older"), rfi_json(1, subject="Newer")
    bench.procore.hold("rfi", older)
    await bench.looked("rfi", "1")
    bench.procore.hold("rfi", newer)
    await bench.looked("rfi", "1")
    answers = iter([older, older, newer])
    bench.procore.on["rfi"] = lambda *_: bench.procore.hold("rfi", next(answers))
    await bench.looked("rfi", "1")
    titles = [row["title"] for row in await bench.rows("activity") if row["title"]]
    assert titles == ["Older", "Newer"]


async def test_a_state_of_that_second_that_was_never_put_is_read_again_before_it_is_believed(
    bench: Bench,
) -> None:
    await bench.connect()
    middle, newest = rfi_json(1, subject="Middle"), rfi_json(1, subject="Newest")
    bench.procore.hold("rfi", newest)
    await bench.looked("rfi", "1")
    answers = iter([middle, newest])
    bench.procore.on["rfi"] = lambda *_: bench.procore.hold("rfi", next(answers))
    await bench.looked("rfi", "1")
    titles = [row["title"] for row in await bench.rows("activity") if row["title"]]
    assert titles == ["Newest"]


async def test_a_second_change_of_one_second_is_shown_once_reads_have_settled(
    bench: Bench,
) -> None:
    await bench.connect()
    for subject in ("First", "Second"):
        bench.procore.hold("rfi", rfi_json(1, subject=subject))
        await bench.looked("rfi", "1")
    assert bench.shown("rfi", "1").title == "Second"


async def test_a_state_that_came_back_in_its_second_is_shown_in_the_end(bench: Bench) -> None:
    await bench.connect()
    for subject in ("Yes", "No"):
        bench.procore.hold("rfi", rfi_json(1, subject=subject))
        await bench.looked("rfi", "1")
    bench.procore.hold("rfi", rfi_json(1, subject="Yes"))
    await bench.postgres.execute(
        "UPDATE mirror.seen_versions SET noted_at = now() - interval '61 seconds'"
    )
    await bench.looked("rfi", "1")
    assert bench.shown("rfi", "1").title == "Yes"


async def test_a_read_that_stays_stale_is_asked_for_ever_less_often(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1, updated_at=later(60)))
    await bench.looked("rfi", "1")
    bench.procore.hold("rfi", rfi_json(1))
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):

        async def three_times() -> bool:
            return bool((await bench.row("looks"))["attempts"] == 3)

        await bench.until(three_times)
    assert (await bench.row("looks"))["reason"] == "stale"


async def test_what_procore_does_not_show_is_no_deletion(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.looked("rfi", "1")
    bench.procore.held.clear()
    await bench.looked("rfi", "1")
    assert bench.shown("rfi", "1").status == "open"
    assert "does not show it" in (await bench.row("records"))["not_mirrored_because"]


async def test_one_rfi_that_is_refused_is_left_out_and_its_project_goes_on(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1), rfi_json(2))

    def refuse(what: Any, _whose: str) -> None:
        if what == "1":
            raise NotAllowed("private")

    bench.procore.on["rfi"] = refuse
    await bench.looked("rfi", "1", "2")
    assert list(bench.part3.held) == [("rfi", "2")]
    assert (await bench.row("projects"))["attention_reason"] is None


async def test_a_tool_that_is_refused_needs_attention_and_is_not_asked_again(bench: Bench) -> None:
    await bench.connect()

    def refuse(*_: Any) -> None:
        raise NotAllowed("tool off")

    for call in ("rfi", "page", "submittals"):
        bench.procore.on[call] = refuse
    await bench.want("rfi", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    async with bench.worker.running(sweeping=False):

        async def noticed() -> bool:
            return bool((await bench.row("projects"))["attention_reason"] == "not_permitted")

        await bench.until(noticed)
        await asyncio.sleep(0.3)
        asked = len(bench.procore.calls)
        await bench.want("rfi", "10")
        await asyncio.sleep(0.5)
        assert len(bench.procore.calls) == asked
    assert len(bench.procore.asked("rfi")) <= PER_PROJECT


async def test_a_claim_is_free_again_when_its_worker_starts_anew(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.want("rfi", "1")
    assert len(await bench.worker.looks.claim(Room())) == 1
    _ = await bench.worker.leases.take_free(PROJECT, "rfi", ["1"])
    async with bench.replica("w-2").running(sweeping=False):
        await asyncio.sleep(0.3)
        assert bench.shown("rfi", "1") is None
    async with bench.replica("w-1").running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert bench.shown("rfi", "1") is not None


async def test_a_claim_whose_answer_was_lost_is_made_again_once_postgres_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was committed, so without that nobody would look before it lapses, minutes later."""
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    await bench.want("rfi", "1")
    claim, lost = bench.worker.looks.claim, 0

    async def claim_and_hear_nothing(room: Room) -> list[Look]:
        nonlocal lost
        claimed = await claim(room)
        if claimed and not lost:
            lost = len(claimed)
            raise TryLater("the answer was lost", reason="postgres_down")
        return claimed

    monkeypatch.setattr(bench.worker.looks, "claim", claim_and_hear_nothing)
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert lost == 1
    assert bench.shown("rfi", "1") is not None


async def test_a_lease_whose_answer_was_lost_keeps_nobody_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.connect()
    leases = bench.worker.leases
    fetch = leases._postgres.fetch

    async def fetch_and_hear_nothing(*asked: Any) -> Any:
        await fetch(*asked)
        raise TryLater("the answer was lost", reason="postgres_down")

    with monkeypatch.context() as lost:
        lost.setattr(leases._postgres, "fetch", fetch_and_hear_nothing)
        with pytest.raises(TryLater):
            await leases.take_free(PROJECT, "rfi", ["1"])
    assert await leases.take_free(PROJECT, "rfi", ["1"]) == {}
    await leases.pay()
    assert set(await leases.take_free(PROJECT, "rfi", ["1"])) == {"1"}


async def test_a_worker_that_is_ended_leaves_its_claims_to_the_others_at_once(
    bench: Bench,
) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    bench.procore.on["rfi"] = lambda *_: asyncio.Event().wait()
    await bench.want("rfi", "1")
    async with bench.worker.until_killed():

        async def under_way() -> bool:
            return bool(bench.procore.asked("rfi"))

        await bench.until(under_way)
    bench.procore.on.clear()
    async with bench.replica("w-2").running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert bench.shown("rfi", "1") is not None


async def test_a_record_that_another_worker_is_at_costs_no_call(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    fences = await bench.replica("w-2").leases.take_free(PROJECT, "rfi", ["1"])
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):
        await asyncio.sleep(0.4)
        assert bench.procore.asked("rfi") == []
        await bench.worker.leases.give_all_back(PROJECT, "rfi", fences)
        await bench.until(bench.nothing_to_look_at)
    assert (await bench.row("records"))["record"] is not None


async def test_a_failed_look_says_why_and_when_again(bench: Bench) -> None:
    await bench.connect()
    at = datetime.now(UTC) + timedelta(minutes=5)

    def limited(*_: Any) -> None:
        message = "waits for Procore's limit"
        raise TryLater(message, reason="rate_limited", not_before=at)

    bench.procore.on["rfi"] = limited
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):

        async def failed() -> bool:
            return bool((await bench.row("looks"))["attempts"])

        await bench.until(failed)
    row = await bench.row("looks")
    assert (row["reason"], row["claimed_by"]) == ("rate_limited", None)
    assert abs((row["due_at"] - at).total_seconds()) < 0.001


async def test_a_reached_limit_keeps_the_projects_other_looks_from_being_claimed(
    bench: Bench,
) -> None:
    await bench.connect()

    def limited(*_: Any) -> None:
        message = "waits for Procore's limit"
        not_before = datetime.now(UTC) + timedelta(minutes=5)
        raise TryLater(message, reason="rate_limited", not_before=not_before)

    bench.procore.on["rfi"] = limited
    await bench.want("rfi", *(str(n) for n in range(50)))
    async with bench.worker.running(sweeping=False):
        await asyncio.sleep(0.7)
    tried = [row for row in await bench.rows("looks") if row["attempts"]]
    assert 1 <= len(tried) <= PER_PROJECT


async def test_a_bad_submittal_neither_hides_nor_delays_those_read_with_it(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("submittal", *(submittal_json(n) for n in range(1, 10)))

    def poison(ids: Any, _whose: str) -> None:
        if "x" in ids:
            raise Refused("x is no number")

    bench.procore.on["submittals"] = poison
    await bench.want("submittal", "x", *(str(n) for n in range(1, 10)))
    async with bench.worker.running(sweeping=False):

        async def others_came() -> bool:
            return len(bench.part3.held) == 9

        await bench.until(others_came)
    left = await bench.row("looks")
    assert (left["procore_id"], left["reason"]) == ("x", "procore_refused")


async def test_part3_away_costs_procore_a_few_calls_and_not_one_for_each_record(
    bench: Bench,
) -> None:
    await bench.connect()
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(100)))

    def away(*_: Any) -> None:
        message = "away"
        raise TryLater(message, reason="part3_down")

    bench.part3.on["put"] = away
    await bench.want("rfi", *(str(n) for n in range(100)))
    async with bench.worker.running(sweeping=False):
        await asyncio.sleep(2.0)
        assert len(bench.procore.asked("rfi")) < 30
        bench.part3.on.clear()

        async def all_came() -> bool:
            return len(bench.part3.held) == 100

        await bench.until(all_came)


async def test_two_workers_look_at_each_record_once(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", *(rfi_json(n) for n in range(40)))
    await bench.want("rfi", *(str(n) for n in range(40)))
    async with (
        bench.worker.running(sweeping=False),
        bench.replica("w-2").running(sweeping=False),
    ):
        await bench.until(bench.nothing_to_look_at)
    assert sorted(bench.procore.asked("rfi"), key=int) == [str(n) for n in range(40)]


async def test_a_claim_is_renewed_until_its_work_ends(bench: Bench) -> None:
    await bench.connect()
    await bench.want("rfi", "1")
    (look,) = await bench.worker.looks.claim(Room())
    await bench.postgres.execute("UPDATE mirror.looks SET due_at = now() + interval '1 s'")
    await bench.worker.looks.renew([look])
    assert await bench.replica("w-2").looks.claim(Room()) == []
    left = await bench.postgres.fetchval(
        "SELECT due_at > now() + interval '25 s' FROM mirror.looks"
    )
    assert left is True


async def test_a_look_given_back_is_not_renewed(bench: Bench) -> None:
    await bench.connect()
    await bench.want("rfi", "1")
    (look,) = await bench.worker.looks.claim(Room())
    await bench.worker.looks.try_again(look, TryLater("busy", reason="busy"))
    await bench.worker.looks.renew([look])
    soon = await bench.postgres.fetchval("SELECT due_at < now() + interval '5 s' FROM mirror.looks")
    assert soon is True


@pytest.mark.parametrize("slow", ["reader", "rfi"])
async def test_a_look_that_lasts_longer_than_its_claim_stays_with_its_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    # a claim of 1.5 s renewed every 0.1 s stands for one of 30 s renewed every 7.5 s
    monkeypatch.setattr(look_store, "LEASE_S", 1.5)
    monkeypatch.setattr(looking, "RENEW_EVERY_S", 0.1)
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    reached, let_go = asyncio.Event(), asyncio.Event()

    async def stay(*_: Any) -> None:
        reached.set()
        await let_go.wait()

    if slow == "rfi":
        bench.procore.on["rfi"] = stay
    else:
        read = bench.worker.projects.reader

        async def reader(project_id: str) -> Any:
            await stay()
            return await read(project_id)

        monkeypatch.setattr(bench.worker.projects, "reader", reader)
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):
        await reached.wait()
        claimed = await bench.row("looks", procore_id="1")
        await asyncio.sleep(2.0)  # longer than the claim
        assert await bench.replica("w-2").looks.claim(Room()) == []
        kept = await bench.row("looks", procore_id="1")
        assert (kept["claimed_by"], kept["due_at"] > claimed["due_at"]) == ("w-1", True)
        let_go.set()
        await bench.until(bench.nothing_to_look_at)
    assert len(bench.procore.asked("rfi")) == 1


async def test_what_a_dead_worker_was_at_is_another_ones_within_35_seconds(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", rfi_json(1))
    bench.procore.on["rfi"] = lambda *_: asyncio.Event().wait()
    await bench.want("rfi", "1")
    async with bench.worker.until_killed():

        async def at_it() -> bool:
            return bool(bench.procore.asked("rfi"))

        await bench.until(at_it)
        # a cancelled loop gives its lease back, a killed process does not
        held = await bench.row("records", procore_id="1")
        claimed = await bench.row("looks", procore_id="1")
    bench.procore.on.clear()
    await bench.postgres.execute(
        "UPDATE mirror.records SET lease_owner = $1, lease_until = $2", "w-1", held["lease_until"]
    )
    await bench.postgres.execute(
        "UPDATE mirror.looks SET claimed_by = $1, due_at = $2", "w-1", claimed["due_at"]
    )
    other = bench.replica("w-2")
    assert await other.looks.claim(Room()) == []
    pass_s = "- interval '33 seconds'"  # and two to find that it is due
    await bench.postgres.execute(f"UPDATE mirror.records SET lease_until = lease_until {pass_s}")  # noqa: S608 - a constant
    await bench.postgres.execute(f"UPDATE mirror.looks SET due_at = due_at {pass_s}")  # noqa: S608 - a constant
    async with other.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    assert bench.shown("rfi", "1") is not None
