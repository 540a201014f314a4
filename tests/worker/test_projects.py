"""Projects as they are connected, paused, disconnected and tied anew; and who reads them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.connections import ProjectOptions
from services.procore.errors import AppNotInstalled, NotAllowed, NotVisible
from sync_worker.inbound.bringing import HIDDEN
from tests.worker.bench import Bench
from tests.worker.sides import OWNER, PROJECT, START, later, member, rfi_json

pytestmark = pytest.mark.postgres
ANNA, BERT, CARL = "usr_anna", "usr_bert", "usr_carl"


async def test_every_page_of_connections_is_heard(bench: Bench) -> None:
    for n in range(5):
        bench.tokens.connect(f"prj_{n}", procore_project_id=str(n))
    await bench.worker.projects.learn_changes()
    assert sorted(row["project_id"] for row in await bench.rows("projects")) == [
        f"prj_{n}" for n in range(5)
    ]
    assert len(await bench.rows("sweeps")) == 10


async def test_a_paused_project_is_not_read_and_catches_up_when_resumed(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1))
    await bench.backfilled()
    await bench.swept()
    await bench.connect(state="paused")
    bench.procore.calls.clear()
    now = datetime.now(UTC).isoformat()
    bench.procore.hold("rfi", rfi_json(1, subject="Changed in the pause", updated_at=now))
    await bench.want("rfi", "1")
    await bench.sweep_due()
    async with bench.worker.running():
        await asyncio.sleep(0.7)
    assert bench.procore.calls == []
    await bench.connect()
    async with bench.worker.running():
        await bench.until(bench.is_idle)
    assert bench.shown("rfi", "1").title == "Changed in the pause"
    assert bench.part3.batches == [["1"]]  # it went on, and did not begin anew


async def test_a_project_connected_again_finds_its_records_without_second_copies(
    bench: Bench,
) -> None:
    bench.procore.hold("rfi", rfi_json(1, files=[5]), rfi_json(2))
    await bench.backfilled()
    await bench.connect(state="disconnected")
    bench.procore.hold("rfi", rfi_json(2, subject="Changed meanwhile", updated_at=later(60)))
    puts, files = list(bench.part3.puts), set(bench.part3.files)
    bench.procore.calls.clear()
    await bench.backfilled()
    assert sorted(bench.part3.held) == [("rfi", "1"), ("rfi", "2")]
    assert bench.shown("rfi", "2").title == "Changed meanwhile"
    assert bench.part3.puts == [*puts, "2"]
    assert (bench.part3.files, bench.procore.asked("download")) == (files, [])


@pytest.mark.parametrize("chosen", [{}, {"options": ProjectOptions(send_emails=True)}])
@pytest.mark.parametrize("left", ["active", "paused"])
async def test_a_disconnect_that_no_worker_heard_of_still_makes_a_new_tie(
    bench: Bench, left: str, chosen: dict[str, Any]
) -> None:
    bench.procore.hold("rfi", rfi_json(1))
    await bench.backfilled()
    await bench.connect(state=left)
    await bench.postgres.execute(
        "UPDATE mirror.projects SET reader_user_id = $1, attention_reason = 'not_permitted', "
        "attention_since = now()",
        BERT,
    )
    told = len(await bench.events())
    bench.tokens.connect(state="disconnected")
    await bench.connect(**chosen)
    row = await bench.row("projects")
    assert (row["state"], row["reader_user_id"], row["attention_reason"]) == ("active", OWNER, None)
    assert [one["backfilled_at"] for one in await bench.rows("sweeps")] == [None, None]
    assert (await bench.events())[told:] == ["connection.active"]
    async with bench.worker.running():
        await bench.until(bench.is_backfilled)
    await bench.connect(options=ProjectOptions())  # a change of this one, and not one more
    assert await bench.is_backfilled()


async def test_a_project_first_heard_of_in_a_pause_is_read_when_it_is_resumed(
    bench: Bench,
) -> None:
    bench.procore.hold("rfi", rfi_json(1))
    await bench.connect(state="paused")
    await bench.backfilled()
    assert bench.shown("rfi", "1") is not None


async def test_a_sweep_of_the_earlier_tie_does_not_count_for_the_new_one(bench: Bench) -> None:
    await bench.connect()
    sweep = await bench.worker.sweeps.claim(backfill=True)
    assert sweep is not None
    await bench.connect(procore_project_id="999")
    with pytest.raises(Exception, match="taken over"):
        await bench.worker.sweeps.page_done(sweep, 4, 300, None)
    rows = await bench.rows("sweeps")
    assert [(row["next_page"], row["found"]) for row in rows] == [(None, 0), (None, 0)]


async def test_an_owner_changed_in_the_connection_reads_from_then_on(bench: Bench) -> None:
    await bench.connect()
    await bench.connect(owner_user_id=ANNA)
    reader = await bench.worker.projects.reader(PROJECT)
    assert reader is not None
    assert reader.whose == ANNA


async def losing(bench: Bench) -> None:
    """Let the owner's grant be lost and noticed."""
    bench.procore.on["rfi"] = bench.procore.on["page"] = bench.tokens.refuse
    bench.procore.on["submittals"] = bench.tokens.refuse
    del bench.tokens.authorized[OWNER]
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):

        async def noticed() -> bool:
            return (await bench.row("projects"))["attention_reason"] is not None

        await bench.until(noticed)


def gc_team(bench: Bench) -> None:
    bench.part3.team += [
        member(ANNA, "Anna Young"),
        member(BERT, "Bert Old"),
        member(CARL, "Carl Architect", role="prime_consultant"),
    ]
    since = {ANNA: START + timedelta(days=2), BERT: START + timedelta(days=1), CARL: START}
    bench.tokens.authorized |= since


async def test_without_the_owners_grant_nothing_is_read_and_people_are_told(bench: Bench) -> None:
    await bench.backfilled()
    await losing(bench)
    row = await bench.row("projects")
    assert row["attention_reason"] == "needs_reauthorization"
    assert "Olive Owner authorizes again" in row["attention_message"]
    assert await bench.worker.projects.reader(PROJECT) is None
    assert await bench.worker.readers.probe()
    assert (await bench.row("projects"))["attention_reason"] == "needs_reauthorization"


async def test_the_oldest_authorized_admin_of_the_gc_stands_in(bench: Bench) -> None:
    await bench.backfilled()
    gc_team(bench)
    bench.procore.admins |= {ANNA, BERT, CARL}
    await losing(bench)
    assert await bench.worker.readers.probe()
    row = await bench.row("projects")
    assert (row["attention_reason"], row["reader_user_id"]) == (None, BERT)
    assert row["owner_user_id"] == OWNER
    assert "Bert Old" in [one["words"] for one in await bench.rows("activity")][-1]
    bench.procore.hold("rfi", rfi_json(1, updated_at=datetime.now(UTC).isoformat()))
    bench.procore.readers.clear()
    async with bench.worker.running():
        await bench.until(bench.is_idle)
    assert set(bench.procore.readers) == {BERT}
    assert bench.shown("rfi", "1") is not None


async def test_who_is_not_admin_does_not_stand_in_and_is_not_asked_about_every_time(
    bench: Bench,
) -> None:
    await bench.backfilled()
    gc_team(bench)
    bench.procore.admins |= {ANNA, CARL}
    await losing(bench)
    bench.procore.admins.discard(ANNA)
    for _ in range(3):
        assert await bench.worker.readers.probe()
    assert bench.procore.asked("manifest") == [BERT, ANNA]
    assert (await bench.row("projects"))["attention_reason"] == "needs_reauthorization"


async def test_the_owner_reads_again_once_their_grant_works(bench: Bench) -> None:
    await bench.backfilled()
    gc_team(bench)
    bench.procore.admins |= {ANNA}
    await losing(bench)
    assert await bench.worker.readers.probe()
    assert await bench.worker.readers.return_to_owner()
    assert (await bench.row("projects"))["reader_user_id"] == ANNA
    bench.tokens.authorized[OWNER] = datetime.now(UTC)
    assert await bench.worker.readers.return_to_owner()
    assert (await bench.row("projects"))["reader_user_id"] == OWNER
    assert OWNER in bench.tokens.forgotten
    assert not await bench.worker.readers.return_to_owner()


async def test_a_stand_in_who_loses_their_grant_is_stood_in_for(bench: Bench) -> None:
    await bench.backfilled()
    gc_team(bench)
    bench.procore.admins |= {ANNA, BERT}
    await losing(bench)
    assert await bench.worker.readers.probe()
    del bench.tokens.authorized[BERT]
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):

        async def noticed() -> bool:
            return (await bench.row("projects"))["attention_reason"] is not None

        await bench.until(noticed)
    assert await bench.worker.readers.probe()
    assert (await bench.row("projects"))["reader_user_id"] == ANNA


async def test_an_owner_who_authorizes_again_is_read_by_at_the_next_probe(bench: Bench) -> None:
    await bench.backfilled()
    await losing(bench)
    bench.tokens.authorized[OWNER] = datetime.now(UTC)
    assert await bench.worker.readers.probe()
    assert (await bench.row("projects"))["attention_reason"] is None
    assert (await bench.events())[-1] == "connection.mended"
    async with bench.worker.running():
        await bench.until(bench.is_idle)


async def test_a_company_without_the_app_is_probed_with_one_call_a_period(bench: Bench) -> None:
    await bench.backfilled()
    gc_team(bench)

    def not_installed(*_: Any) -> None:
        raise AppNotInstalled

    for call in ("rfi", "page", "submittals", "manifest"):
        bench.procore.on[call] = not_installed
    await bench.want("rfi", "1")
    async with bench.worker.running():

        async def noticed() -> bool:
            return bool((await bench.row("projects"))["attention_reason"] == "app_not_installed")

        await bench.until(noticed)
    bench.procore.calls.clear()
    async with bench.worker.running():
        await bench.sweep_due()
        await bench.want("rfi", "2", "3")
        await asyncio.sleep(0.6)
    assert not await bench.worker.readers.probe()
    assert bench.procore.calls == []
    await bench.postgres.execute("UPDATE mirror.projects SET probe_after = now()")
    for _ in range(3):
        _ = await bench.worker.readers.probe()
    assert len(bench.procore.calls) == 1
    bench.procore.on.clear()
    await bench.postgres.execute("UPDATE mirror.projects SET probe_after = now()")
    assert await bench.worker.readers.probe()
    assert (await bench.row("projects"))["attention_reason"] is None


async def test_an_owner_who_is_no_admin_any_more_is_not_asked_every_time(bench: Bench) -> None:
    await bench.backfilled()

    def refused(_what: Any, whose: str) -> None:
        if whose == OWNER:
            raise NotAllowed("Read Only")

    for call in ("rfi", "page", "submittals"):
        bench.procore.on[call] = refused
    gc_team(bench)
    bench.procore.admins |= {ANNA}
    await bench.sweep_due()
    async with bench.worker.running():

        async def noticed() -> bool:
            return bool((await bench.row("projects"))["attention_reason"] == "not_permitted")

        await bench.until(noticed)
    assert await bench.worker.readers.probe()
    assert (await bench.row("projects"))["reader_user_id"] == ANNA
    asked = len(bench.procore.calls)
    for _ in range(4):
        _ = await bench.worker.readers.return_to_owner()
    assert len(bench.procore.calls) <= asked + 1


async def test_what_an_owner_who_is_no_admin_any_more_does_not_see_somebody_else_reads(
    bench: Bench,
) -> None:
    """It became private, and an owner who is Standard by now hears 404 instead of that."""
    bench.procore.hold("rfi", rfi_json(1))
    await bench.backfilled()
    gc_team(bench)
    bench.procore.admins = {ANNA}

    def hidden(_what: Any, whose: str) -> None:
        if whose == OWNER:
            raise NotVisible("404")

    bench.procore.on["rfi"] = hidden
    bench.procore.hold("rfi", rfi_json(1, private=True, updated_at=later(60)))
    await bench.want("rfi", "1")
    async with bench.worker.running(sweeping=False):

        async def noticed() -> bool:
            return bool((await bench.row("projects"))["attention_reason"] == "not_permitted")

        await bench.until(noticed)
        assert not bench.shown("rfi", "1").private
        assert await bench.worker.readers.probe()
        assert (await bench.row("projects"))["reader_user_id"] == ANNA

        async def hidden_in_part3() -> bool:
            return bool(bench.shown("rfi", "1").private)

        await bench.until(hidden_in_part3)
    await bench.postgres.execute("UPDATE mirror.projects SET reader_due_at = now()")
    assert await bench.worker.readers.return_to_owner()
    assert (await bench.row("projects"))["reader_user_id"] == ANNA


async def test_what_even_an_admin_does_not_see_is_named_and_asked_about_once(bench: Bench) -> None:
    bench.procore.hold("rfi", rfi_json(1), rfi_json(2))
    await bench.backfilled()
    bench.procore.held.clear()
    for one in ("1", "2"):
        await bench.want("rfi", one)
    async with bench.worker.running(sweeping=False):
        await bench.until(bench.nothing_to_look_at)
    rows = await bench.rows("records")
    assert {row["not_mirrored_because"] for row in rows} == {HIDDEN}
    assert (await bench.row("projects"))["attention_reason"] is None
    assert bench.procore.asked("manifest") == [OWNER]


async def test_what_the_contractor_chose_is_heard_with_the_connection(bench: Bench) -> None:
    await bench.connect()
    assert (await bench.rows("projects"))[0]["options"]["send_emails"] is False
    await bench.connect(options=ProjectOptions(send_emails=True))
    assert (await bench.rows("projects"))[0]["options"]["send_emails"] is True


async def test_an_agreement_of_the_parties_has_the_project_checked_at_once_and_nothing_else(
    bench: Bench,
) -> None:
    await bench.connect()
    await bench.postgres.execute(
        "UPDATE mirror.projects SET checks_due_at = now() + interval '5 minutes', "
        "reader_user_id = $1, hook_due_at = now() + interval '1 hour'",
        BERT,
    )
    before = await bench.row("projects")
    await bench.connect()  # the token service tells of a change, and of none that stands there
    after = await bench.row("projects")
    due = "SELECT checks_due_at <= now() FROM mirror.projects"
    assert await bench.postgres.fetchval(due)
    assert after["connection_updated_at"] > before["connection_updated_at"]
    moved = ("checks_due_at", "connection_updated_at")
    kept = [name for name in dict(before) if name not in moved]
    assert [after[name] for name in kept] == [before[name] for name in kept]
